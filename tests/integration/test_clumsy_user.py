"""A clumsy user's mistakes at a running network: each is told in one line, as docs/troubleshooting.md has it."""

from __future__ import annotations

import asyncio
import socket
import subprocess
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
import yaml

from gridledger.client import SigningIdentity
from gridledger.client.ca import BlockingCAClient
from gridledger.client.queries import read_config
from gridledger.formats import NETWORK_FOLDER
from gridledger.protocol import ConfigUpdate
from gridledger.sealed import seal
from tests.support.command import gridledger
from tests.support.forgery import now_us
from tests.support.local_network import LocalNetwork, local_network
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import free_ports
from tests.support.troubleshooting import rows

pytestmark = pytest.mark.integration
Done = subprocess.CompletedProcess[str]
ROWS = rows()
METER = "from gridledger.contract import Contract, transaction\nimport meterlib\n"


class Clumsy:
    """A user of one network, with a folder for what they write."""

    def __init__(self, network: LocalNetwork, place: Path) -> None:
        self.network = network
        self.place = place

    def __call__(self, *words: str | Path) -> Done:
        """A command on the network."""
        return gridledger(*words, "--dir", self.network.folder.root)

    def query(self, function: str = "get", *words: str, channel: str = CHANNEL, chaincode: str = "kv") -> Done:
        return self("query", channel, chaincode, function, *words)

    def invoke(self, function: str, *words: str) -> Done:
        return self("invoke", CHANNEL, "kv", function, *words)

    def with_profile(self, profile: str | Path) -> Done:
        """A command that takes the network from the environment."""
        return gridledger("query", CHANNEL, "kv", "get", "a", environment={"GRIDLEDGER_PROFILE": str(profile)})

    def up(self, *words: str | Path, folder: Path | None = None) -> Done:
        return gridledger("up", *words, "--dir", folder or self.place / "another")

    def deploy(self, folder: Path | str, *words: str) -> Done:
        return self("chaincode", "deploy", folder, "--channel", CHANNEL, *words)

    def written(self, name: str, text: str) -> Path:
        path = self.place / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(text)
        return path

    def description(self, **changed: object) -> Path:
        """The network's description, with some members changed."""
        members = {**self.network.config.model_dump(mode="json"), **changed}
        return self.written("network.yaml", yaml.safe_dump(members))

    def with_policy(self, policy: str) -> Path:
        spec = {"path": "chaincode/kv", "policy": policy}
        return self.description(channels={CHANNEL: {"peers": ["peer1"], "chaincodes": {"kv": spec}}})

    @contextmanager
    def stopped(self, *nodes: str) -> Iterator[None]:
        """While the block lasts these nodes are stopped."""
        for node in nodes:
            assert self("stop", node).returncode == 0
        try:
            yield
        finally:
            for node in nodes:
                assert self("start", node).returncode == 0


def _port_is_taken(user: Clumsy) -> Done:
    return user.up(user.description())


def _companions_port_is_taken(user: Clumsy) -> Done:
    ports = iter(free_ports(6))
    described = user.network.config.model_dump(mode="json")
    for node in (described["ca"], *described["orderers"], *described["peers"]):
        node["port"] = next(ports)
    with socket.create_server(("127.0.0.1", 0)) as server:
        rest = {"name": "rest", "kind": "rest", "organisations": ["Org1"], "port": server.getsockname()[1]}
        path = user.written("companions.yaml", yaml.safe_dump({**described, "companions": [rest]}))
        return user.up(path, "--with", "rest")


def _another_description(user: Clumsy) -> Done:
    folder = user.place / "made"
    folder.mkdir()
    (folder / "connection.json").write_text("{}")
    (folder / "network.json").write_text("{}")
    (folder / "format.json").write_bytes(seal(NETWORK_FOLDER, {}))
    ports = iter(free_ports(6))
    described = user.network.config.model_dump(mode="json")
    for node in (described["ca"], *described["orderers"], *described["peers"]):
        node["port"] = next(ports)
    return user.up(user.written("other.yaml", yaml.safe_dump(described)), folder=folder)


def _while_stopped(nodes: Sequence[str], command: Callable[[Clumsy], Done]) -> Callable[[Clumsy], Done]:
    def do(user: Clumsy) -> Done:
        with user.stopped(*nodes):
            return command(user)

    return do


def _key_is_lost(user: Clumsy) -> Done:
    assert user("enroll", "Org1", "keyless").returncode == 0
    (user.network.profile.user("Org1", "keyless") / "key.pem").unlink()
    return user.query("get", "a", "--user=Org1/keyless")


def _revoked(user: Clumsy, name: str) -> BlockingCAClient:
    assert user("enroll", "Org1", name).returncode == 0
    profile = user.network.profile
    client = BlockingCAClient(profile.ca.url, "Org1", profile.ca.tls_root)
    client.revoke(SigningIdentity.load(profile.user("Org1", "registrar")), name)
    return client


def _enroll_the_revoked(user: Clumsy) -> Done:
    _revoked(user, "fired")
    return user("enroll", "Org1", "fired")


def _call_as_the_revoked(user: Clumsy) -> Done:
    """The channel hears of a revocation by its configuration."""
    crl = _revoked(user, "dismissed").crl()
    admins = [user.network.admin(name) for name in ("Org1", "Org2")]

    async def tell_the_channel() -> None:
        async with user.network.node("peer1") as node:
            current = await read_config(node, CHANNEL)
            organisation = replace(current.organisations["Org1MSP"], crls=(crl,))
            organisations = {**current.organisations, "Org1MSP": organisation}
            following = replace(current, sequence=current.sequence + 1, organisations=organisations)
            await node.post("/gateway/submit", ConfigUpdate.build(following, admins, time_us=now_us()).to_bytes())

    asyncio.run(tell_the_channel())
    return user.query("get", "a", "--user=Org1/dismissed")


def _enroll_with_other_attributes(user: Clumsy) -> Done:
    assert user("enroll", "Org1", "meter9").returncode == 0
    return user("enroll", "Org1", "meter9", "--attribute", "grid.group=1")


def _simulate(user: Clumsy, word: str, state: str = "") -> Done:
    return gridledger("simulate", "chaincode/kv", "--state", user.written("state.json", state), "get", word)


MISTAKES: dict[str, Callable[[Clumsy], Done]] = {
    "misspell a command": lambda user: user("qery", CHANNEL),
    "misspell an option": lambda user: user.query("get", "a", "--usr", "Org1/admin"),
    "start on a port that is taken": _port_is_taken,
    "start it twice": lambda user: user.up(user.description(), folder=user.network.folder.root),
    "name a description that is not there": lambda user: user.up("network-config/four-shards.yaml"),
    "give a file that is no description": lambda user: user.up("README.md"),
    "misspell a member of the description": lambda user: user.up(user.description(chanels={})),
    "name an unknown MSP in a policy of the description": lambda user: user.up(user.with_policy("'Org9MSP.peer'")),
    "change the description of a network that exists": _another_description,
    "ask for a companion that is not described": lambda user: user.up(user.description(), "--with", "rets"),
    "start with a companion whose port is taken": _companions_port_is_taken,
    "call before anything was started": lambda user: gridledger("status", "--dir", user.place / "new"),
    "let GRIDLEDGER_PROFILE point nowhere": lambda user: user.with_profile(user.place / "nowhere"),
    "let GRIDLEDGER_PROFILE point to another file": lambda user: user.with_profile("README.md"),
    "give a file where a folder is needed": lambda user: gridledger("down", "--dir", "README.md"),
    "call while no peer runs": _while_stopped(("peer1", "peer2"), lambda user: user.query("get", "a")),
    "submit while a peer that must endorse is stopped": _while_stopped(
        ("peer2",), lambda user: user.invoke("put", "a", "1")
    ),
    "submit while no orderer runs": _while_stopped(("orderer1",), lambda user: user.invoke("put", "a", "1")),
    "enroll while the CA is stopped": _while_stopped(("ca",), lambda user: user("enroll", "Org1", "late")),
    "stop a node of a network that does not run": lambda user: gridledger("stop", "peer1", "--dir", user.place),
    "stop a node that there is not": lambda user: user("stop", "peer9"),
    "start a node that runs": lambda user: user("start", "peer1"),
    "reset a network that runs": lambda user: user("reset", "--yes"),
    "name a wrong channel": lambda user: user.query("get", "a", channel="shard9"),
    "name a wrong chaincode": lambda user: user.query("get", "a", chaincode="vk"),
    "misspell a function": lambda user: user.query("gte", "a"),
    "give too few arguments, or too many": lambda user: user.invoke("put", "a"),
    "give an argument of the wrong type": lambda user: user.invoke("add", "a", "many"),
    "let the shell eat the quotes of a JSON argument": lambda user: user.invoke("put", "a", "{a: 1}"),
    "name a file of arguments that is not there": lambda user: user.invoke("put", "a", "@nothing.json"),
    "ask for a transaction that there is not": lambda user: user("tx", CHANNEL, "abc"),
    "ask for a block that there is not": lambda user: user("block", CHANNEL, "99999"),
    "deploy a folder that is no chaincode": lambda user: user.deploy("docs"),
    "deploy a package with an import error": lambda user: user.deploy(user.written("meter/contract.py", METER).parent),
    "name an unknown MSP in a policy": lambda user: user.deploy("chaincode/kv", "--policy", "OR('Org9MSP.peer', all)"),
    "ask for more endorsements than there are peers": lambda user: user.deploy(
        "chaincode/kv", "--policy", "OutOf(9, all)"
    ),
    "leave out the quotes inside a policy": lambda user: user.deploy("chaincode/kv", "--policy", "OR(Org1MSP.peer)"),
    "simulate on a state file of another kind": lambda user: _simulate(user, '"a"', '{"name": "three-shards"}'),
    "simulate with a text that is not quoted": lambda user: _simulate(user, "m1"),
    "name a wrong user": lambda user: user.query("get", "a", "--user", "Org1/alicia"),
    "lose a user's key": _key_is_lost,
    "enroll at a wrong organisation": lambda user: user("enroll", "Org9", "alice"),
    "enroll a name again with other attributes": _enroll_with_other_attributes,
    "enroll an identity that is revoked": _enroll_the_revoked,
    "call with an identity that is revoked": _call_as_the_revoked,
}
"""Each mistake, under the words that the page has for it."""


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalNetwork]:
    """Two peers that must both endorse kv."""
    with local_network(few_nodes(peers=2), tmp_path_factory.mktemp("clumsy") / "network") as running:
        yield running


@pytest.fixture
def user(network: LocalNetwork, tmp_path: Path) -> Clumsy:
    return Clumsy(network, tmp_path)


@pytest.mark.parametrize("did", MISTAKES)
def test_a_mistake_is_told_in_the_pages_one_line(user: Clumsy, did: str) -> None:
    row = ROWS[did]
    done = MISTAKES[did](user)
    assert done.stdout == ""
    assert done.stderr.count("\n") == 1, done.stderr
    assert row.tells(done.stderr.rstrip("\n")), f"the page has: {row.line}\nit said:      {done.stderr}"
    assert done.returncode == row.exit_code


def test_the_network_outlives_its_clumsy_user(user: Clumsy) -> None:
    assert user("status").returncode == 0
    assert user.invoke("put", "a", "1").returncode == 0
