"""A transaction and the routes' descriptions by plain HTTP, without any code of ours on the client's side."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path

import pytest

from gridledger.errors import GridLedgerError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.transport.node_client import NodeClient
from gridledger.web import ClientCertificateRequired, RouteNotFound
from tests.support.local_network import LocalNetwork

pytestmark = pytest.mark.integration
ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "docs/examples/transaction.sh"
CHANNEL = "shard3"


def run_script(network: LocalNetwork, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {
        "PATH": os.environ["PATH"],
        "NETWORK": str(network.folder.root),
        "GATEWAY": network.entry("peer5").url,
        "IDENTITY": str(network.profile.user(network.entry("peer5").organisation, "admin")),
    }
    return subprocess.run(
        ["sh", str(SCRIPT), *arguments], env=environment, capture_output=True, text=True, timeout=60, check=False
    )


async def test_curl_and_openssl_commit_a_transaction(network: LocalNetwork) -> None:
    # Quotes, backslashes and a newline pass through three layers of JSON and the shell.
    value = {"text": 'a "quoted" \\ word,\nü', "number": 2.5}
    done = run_script(network, CHANNEL, "kv", "put", json.dumps(["by-curl", value]))
    assert (done.returncode, done.stderr) == (0, "")
    status = json.loads(done.stdout)
    assert (status["code"], status["code_name"]) == (int(Code.VALID), "VALID")
    async with network.gateway("peer5") as gateway:
        channel = gateway.get_network(CHANNEL)
        assert await channel.get_contract("kv").evaluate_transaction("get", "by-curl") == value
        assert (await channel.get_status(status["tx_id"])).block == status["block"]


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        ((CHANNEL, "nothing", "put", "[]"), "CHAINCODE_UNKNOWN"),
        ((CHANNEL, "kv", "put", "[1"), "MALFORMED_JSON"),
        ((CHANNEL, "kv", "no_such_function", "[]"), "CHAINCODE_REFUSED"),
    ],
)
async def test_the_script_shows_what_was_refused(network: LocalNetwork, arguments: tuple[str, ...], code: str) -> None:
    done = run_script(network, *arguments)
    assert done.returncode != 0
    assert json.loads(done.stderr.splitlines()[-1])["error"]["code"] == code


@pytest.mark.parametrize(("service", "node"), [("peer", "peer5"), ("orderer", "orderer1"), ("ca", "ca")])
async def test_every_service_describes_its_routes(network: LocalNetwork, service: str, node: str) -> None:
    async with node_client(network, node) as client:
        told = await client.get_json("/openapi.json")
        assert told == json.loads((ROOT / f"docs/openapi/{service}.json").read_text())
        for path, methods in told["paths"].items():
            if "application/json" in methods.get("get", {}).get("responses", {}).get("200", {}).get("content", {}):
                assert await code_of(client, path.replace("{number}", "0")) != RouteNotFound.code, path


async def test_a_malformed_envelope_is_refused_at_once(network: LocalNetwork) -> None:
    """As a client of one's own would send it: endorsed and signed, but the endorsements are not written as a list."""
    client = await network.client("Org5")
    async with network.gateway("peer5", client) as gateway, network.node("peer5", client) as node:
        proposal = await gateway.get_network(CHANNEL).get_contract("kv").new_proposal("put", "malformed", 1)
        endorsed = await proposal.endorse()
        parts = {**json.loads(endorsed.transaction.to_bytes()), "endorsements": ""}
        with pytest.raises(GridLedgerError, match="the transaction's 'endorsements': not a JSON text") as caught:
            await node.post("/gateway/submit", json.dumps(parts).encode(), timeout_s=20)
        assert caught.value.status == 400


def node_client(network: LocalNetwork, node: str) -> NodeClient:
    if node != "ca":
        return network.node(node)
    return NodeClient(network.profile.ca.url, network.admin("Org1"), network.profile.ca.tls_root.read_text("ascii"))


async def code_of(client: NodeClient, path: str) -> str:
    try:
        await client.get(path)
    except GridLedgerError as error:
        return error.code
    return ""


async def test_the_description_is_for_members_only(network: LocalNetwork) -> None:
    async with NodeClient(network.entry("peer5").url, None, network.roots) as stranger:
        assert await code_of(stranger, "/openapi.json") == ClientCertificateRequired.code
