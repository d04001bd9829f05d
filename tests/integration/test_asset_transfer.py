"""The sample asset_transfer on a running network: from the shell, both SDKs, the REST bridge, and curl alone."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from gridledger.client import connect
from gridledger.client.blocking import connect as connect_blocking
from gridledger.client.errors import EndorseError
from gridledger.client.gateway import Network
from tests.support.command import gridledger
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import REPOSITORY
from tests.support.rest_bridge import running_bridge

pytestmark = pytest.mark.integration
NAME = "asset_transfer"
FOLDER = REPOSITORY / "chaincode" / "samples" / NAME
CHANGES = ["CreateAsset", "UpdateAsset", "TransferAsset", "DeleteAsset"]


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Two peers that both endorse the sample, with the six assets that it begins with."""
    with local_network(few_nodes(peers=2), tmp_path_factory.mktemp("assets") / "network") as network:
        done = _run(network, "chaincode", "deploy", FOLDER, "--channel", CHANNEL, "--policy", "OutOf(2, all)")
        assert done.stderr == ""
        assert done.stdout.startswith(f"{NAME} is on {CHANNEL}: sequence 1, policy OutOf(2, all), ")
        _invoke(network, "InitLedger")
        yield network


def _run(network: LocalNetwork, *arguments: str | Path, code: int = 0) -> subprocess.CompletedProcess[str]:
    done = gridledger(*arguments, "--dir", network.folder.root)
    assert done.returncode == code, done
    return done


def _json(network: LocalNetwork, *arguments: str) -> Any:
    return json.loads(_run(network, *arguments, "--json").stdout)


def _invoke(network: LocalNetwork, *call: str) -> Any:
    return _json(network, "invoke", CHANNEL, NAME, *call)


def _asset(name: str, color: str, size: int, owner: str, value: int) -> dict[str, Any]:
    return {"ID": name, "Color": color, "Size": size, "Owner": owner, "AppraisedValue": value}


@pytest.mark.deep
def test_from_the_shell(network: LocalNetwork) -> None:
    created = _invoke(network, "CreateAsset", "shell", "blue", "5", "42", "300")
    assert (created["code_name"], created["payload"]) == ("VALID", None)
    # The owner is declared as a text, so that it stays one, whatever it looks like.
    assert _json(network, "query", CHANNEL, NAME, "ReadAsset", "shell") == {
        "payload": _asset("shell", "blue", 5, "42", 300)
    }
    _invoke(network, "UpdateAsset", "shell", "red", "6", "Brad", "400")
    given = _invoke(network, "TransferAsset", "shell", "Max")
    assert given["payload"] == "Brad"
    refused = _run(network, "invoke", CHANNEL, NAME, "CreateAsset", "shell", "blue", "5", "Max", "1", code=3)
    assert "the asset shell already exists" in refused.stderr
    refused = _run(network, "invoke", CHANNEL, NAME, "CreateAsset", "other", "blue", "large", "Max", "1", code=3)
    assert 'size: must be an integer (int), not "large"' in refused.stderr
    _invoke(network, "DeleteAsset", "shell")
    listed = _json(network, "query", CHANNEL, NAME, "GetAllAssets")["payload"]
    assert [asset["ID"] for asset in listed] == [f"asset{number}" for number in range(1, 7)]

    lines = _run(network, "events", CHANNEL, "--chaincode", NAME, "--json").stdout.splitlines()
    events = [event for event in map(json.loads, lines) if event["payload"]["ID"] == "shell"]
    assert [event["name"] for event in events] == CHANGES
    assert [event["payload"]["Owner"] for event in events] == ["42", "Brad", "Max", "Max"]
    history = _json(network, "history", CHANNEL, NAME, "shell")["items"]
    assert [item["value"] and item["value"]["Owner"] for item in history] == [None, "Max", "Brad", "42"]
    told = _json(network, "tx", CHANNEL, given["tx_id"], "--proof")
    assert (told["code_name"], told["block"]) == ("VALID", given["block"])
    assert told["proof"]["header"]


def test_the_shell_shows_what_can_be_called(network: LocalNetwork) -> None:
    shown = _run(network, "chaincode", "info", CHANNEL, NAME).stdout
    assert "CreateAsset" in shown
    assert "asset_id: string" in shown
    metadata = _json(network, "chaincode", "info", CHANNEL, NAME)["metadata"]
    assert [*metadata["components"]["schemas"]] == ["Asset"]


async def test_from_the_asynchronous_sdk(network: LocalNetwork) -> None:
    async with await connect(network.folder.root) as gateway:
        channel = gateway.get_network(CHANNEL)
        contract = channel.get_contract(NAME)
        following = asyncio.create_task(_events(channel, "sdk", await _height(channel)))
        assert await contract.submit_transaction("CreateAsset", "sdk", "blue", 5, "Tomoko", 300) is None
        assert await contract.evaluate_transaction("AssetExists", "sdk") is True
        await contract.submit_transaction("UpdateAsset", "sdk", "red", 6, "Brad", 400)
        assert await contract.submit_transaction("TransferAsset", "sdk", "Max") == "Brad"
        assert await contract.evaluate_transaction("ReadAsset", "sdk") == _asset("sdk", "red", 6, "Max", 400)
        with pytest.raises(EndorseError) as caught:
            await contract.submit_transaction("CreateAsset", "sdk", "blue", 5.0, "Tomoko", 300)
        assert set(caught.value.details["endorsers"].values()) == {"size: must be an integer (int), not 5.0"}
        await contract.submit_transaction("DeleteAsset", "sdk")
        async with asyncio.timeout(20):
            assert await following == CHANGES
        values = [item.value for item in await channel.get_history(NAME, "sdk")]
        assert values[:2] == [None, _asset("sdk", "red", 6, "Max", 400)]


def test_from_the_blocking_sdk(network: LocalNetwork) -> None:
    with connect_blocking(network.folder.root) as gateway:
        contract = gateway.get_network(CHANNEL).get_contract(NAME)
        contract.submit_transaction("CreateAsset", "plain", "blue", 5, "Tomoko", 300)
        contract.submit_transaction("UpdateAsset", "plain", "red", 6, "Brad", 400)
        assert contract.submit_transaction("TransferAsset", "plain", "Max") == "Brad"
        assert contract.evaluate_transaction("ReadAsset", "plain") == _asset("plain", "red", 6, "Max", 400)
        contract.submit_transaction("DeleteAsset", "plain")
        assert contract.evaluate_transaction("AssetExists", "plain") is False
        with pytest.raises(EndorseError, match="the asset plain does not exist"):
            contract.submit_transaction("DeleteAsset", "plain")
        listed = contract.evaluate_transaction("GetAllAssets")
        assert [asset["ID"] for asset in listed] == [f"asset{number}" for number in range(1, 7)]


async def _height(channel: Network) -> int:
    return (await channel.get_chain_info()).height


async def _events(channel: Network, asset: str, start: int) -> list[str]:
    """The names of the events of an asset from block ``start`` on, until it is deleted."""
    names: list[str] = []
    async for event in channel.chaincode_events(NAME, start_block=start):
        if event.payload["ID"] == asset:
            names.append(event.name)
        if names[-1:] == CHANGES[-1:]:
            break
    return names


def test_through_the_rest_bridge(network: LocalNetwork, tmp_path: Path) -> None:
    folder, path = tmp_path, f"/channels/{CHANNEL}/chaincodes/{NAME}"
    identities = {"admin": network.profile.user("Org1", "admin")}
    with running_bridge(folder, network.folder.connection, identities) as bridge:

        def submit(function: str, *args: Any) -> Any:
            status, done = bridge.ask(f"{path}/submit", {"function": function, "args": args})
            assert (status, done["code_name"]) == (200, "VALID"), done
            return done["payload"]

        def evaluate(function: str, *args: Any) -> Any:
            status, done = bridge.ask(f"{path}/evaluate", {"function": function, "args": args})
            assert status == 200, done
            return done["payload"]

        submit("CreateAsset", "rest", "blue", 5, "Tomoko", 300)
        submit("UpdateAsset", "rest", "red", 6, "Brad", 400)
        assert submit("TransferAsset", "rest", "Max") == "Brad"
        assert evaluate("ReadAsset", "rest") == _asset("rest", "red", 6, "Max", 400)
        assert len(evaluate("GetAllAssets")) == 7
        status, error = bridge.ask(f"{path}/submit", {"function": "DeleteAsset", "args": ["nothing"]})
        assert (status, error["code"]) == (400, "CHAINCODE_REFUSED")
        assert "the asset nothing does not exist" in error["message"]
        submit("DeleteAsset", "rest")
        assert evaluate("AssetExists", "rest") is False


def test_with_curl_and_openssl(network: LocalNetwork) -> None:
    environment = {
        "PATH": os.environ["PATH"],
        "NETWORK": str(network.folder.root),
        "GATEWAY": network.entry("peer1").url,
        "IDENTITY": str(network.profile.user("Org1", "admin")),
    }

    def submit(function: str, *args: Any, code: int = 0) -> Any:
        command = ["sh", str(REPOSITORY / "docs/examples/transaction.sh"), CHANNEL, NAME, function, json.dumps(args)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=60, check=False)
        assert done.returncode == code, done
        return json.loads(done.stdout) if code == 0 else done.stderr

    assert submit("CreateAsset", "curl", "blue", 5, "Tomoko", 300)["code_name"] == "VALID"
    submit("UpdateAsset", "curl", "red", 6, "Brad", 400)
    submit("TransferAsset", "curl", "Max")
    assert _json(network, "query", CHANNEL, NAME, "ReadAsset", "curl")["payload"] == _asset(
        "curl", "red", 6, "Max", 400
    )
    assert "the asset curl already exists" in submit("CreateAsset", "curl", "blue", 5, "Tomoko", 300, code=1)
    submit("DeleteAsset", "curl")
    assert _json(network, "query", CHANNEL, NAME, "AssetExists", "curl")["payload"] is False
