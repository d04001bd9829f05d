"""A supervisor that follows the description in its folder: processes come, go and start anew; all others stay."""

from __future__ import annotations

import socket
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest
import pytest_asyncio

from gridledger import jsontext
from gridledger.errors import PortTaken
from gridledger.network import supervisor as supervising
from gridledger.network.descriptions import write_network
from gridledger.network.folder import NetworkFolder
from gridledger.network.processes import Service
from gridledger.network.schema import CompanionSpec, NetworkConfig
from gridledger.network.supervisor import Supervisor
from tests.support.network_configs import few_nodes
from tests.support.waiting import eventually

CHILD = """
import argparse, http.server, json, signal, sys

parser = argparse.ArgumentParser()
parser.add_argument("--config")
file = parser.parse_args().config
settings = json.load(open(file))
signal.signal(signal.SIGHUP, lambda *_: print("organisations", json.load(open(file))["organisations"], flush=True))


class Healthy(http.server.BaseHTTPRequestHandler):
    def do_GET(self):
        self.send_response(200)
        self.end_headers()


http.server.HTTPServer(("127.0.0.1", settings["port"]), Healthy).serve_forever()
"""


def write_settings(folder: NetworkFolder, name: str, port: int, **members: object) -> Path:
    home = folder.ca if name == "ca" else folder.node(name)
    home.mkdir(parents=True, exist_ok=True)
    (home / "config.json").write_bytes(jsontext.dumps({"port": port, "organisations": [], **members}))
    return home / "config.json"


def stand_ins(config: NetworkConfig, folder: NetworkFolder, _: Sequence[CompanionSpec] = ()) -> list[list[Service]]:
    """The processes of a description as programs that only say that they are well, over plain HTTP."""

    def one(name: str, port: int) -> Service:
        home = folder.ca if name == "ca" else folder.node(name)
        url = f"http://127.0.0.1:{port}"
        return Service(name, "child", home / "config.json", url, port, folder.roots, is_companion=True)

    nodes = (config.orderers, config.peers)
    return [[one("ca", config.ca.port)], *([one(item.name, item.port) for item in stage] for stage in nodes)]


class Network:
    """A description whose processes run, and the lines that they write."""

    def __init__(self, folder: NetworkFolder) -> None:
        self.folder = folder
        self.config = few_nodes(peers=3)
        self.lines: list[tuple[str, str]] = []
        self.supervisor = Supervisor(
            self.config, folder, project=folder.root, sink=lambda name, line: self.lines.append((name, line))
        )

    def write(self, peers: Sequence[str], **ports: int) -> None:
        """Change the description: these peers, some of them on other ports."""
        chosen = tuple(
            item.model_copy(update={"port": ports.get(item.name, item.port)})
            for item in self.config.peers
            if item.name in peers
        )
        channels = {
            name: spec.model_copy(update={"peers": tuple(peers)}) for name, spec in self.config.channels.items()
        }
        config = self.config.model_copy(update={"peers": chosen, "channels": channels})
        for node in (*config.orderers, *config.peers):
            write_settings(self.folder, node.name, node.port)
        write_network(self.folder, config)

    def pids(self) -> dict[str, int]:
        return {process.service.name: process.pid for process in self.supervisor.processes}


@pytest_asyncio.fixture
async def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Network]:
    """A CA, an orderer and two peers."""
    monkeypatch.setattr(supervising, "services_of", stand_ins)
    (tmp_path / "child.py").write_text(CHILD)
    (tmp_path / "logs").mkdir()
    found = Network(NetworkFolder(tmp_path))
    write_settings(found.folder, "ca", found.config.ca.port)
    found.write(["peer1", "peer2"])
    try:
        assert (await found.supervisor.refresh())["started"] == ["ca", "orderer1", "peer1", "peer2"]
        yield found
    finally:
        await found.supervisor.stop()


async def test_what_is_new_is_started_and_what_is_gone_is_stopped(network: Network) -> None:
    before = network.pids()
    gone = network.supervisor.processes[2]
    network.write(["peer2", "peer3"])
    told = await network.supervisor.command("refresh", "")
    assert told == {"stopped": ["peer1"], "restarted": [], "told": [], "started": ["peer3"]}
    assert gone.service.name == "peer1"
    assert gone.ended
    after = network.pids()
    assert after.keys() == {"ca", "orderer1", "peer2", "peer3"}
    assert {name: after[name] for name in ("ca", "orderer1", "peer2")} == {
        name: before[name] for name in ("ca", "orderer1", "peer2")
    }


async def test_one_that_moves_is_started_anew_and_no_other(network: Network) -> None:
    before = network.pids()
    network.write(["peer1", "peer2"], peer2=network.config.peers[2].port)
    assert (await network.supervisor.refresh())["restarted"] == ["peer2"]
    after = network.pids()
    assert {name for name in after if after[name] != before[name]} == {"peer2"}
    assert (await network.supervisor.refresh())["restarted"] == []


async def test_one_whose_settings_changed_is_started_anew(network: Network) -> None:
    write_settings(network.folder, "orderer1", network.config.orderers[0].port, log_level="debug")
    assert (await network.supervisor.refresh())["restarted"] == ["orderer1"]


async def test_the_ca_is_told_of_another_organisation_and_goes_on(network: Network) -> None:
    before = network.pids()["ca"]
    write_settings(network.folder, "ca", network.config.ca.port, organisations=["Org7"])
    assert (await network.supervisor.refresh())["told"] == ["ca"]
    assert network.pids()["ca"] == before

    async def heard() -> bool:
        return ("ca", "organisations ['Org7']") in network.lines

    await eventually(heard, within_s=10, what="the CA's line")


async def test_one_that_was_stopped_stays_so(network: Network) -> None:
    await network.supervisor.stop_process("peer1")
    network.write(["peer1", "peer2"], peer1=network.config.peers[2].port)
    assert (await network.supervisor.refresh())["restarted"] == []
    assert network.supervisor.states()["peer1"] == "stopped"
    await network.supervisor.start_process("peer1")
    assert network.supervisor.states()["peer1"] == "running"


async def test_a_port_that_another_has_is_told_before_anything_stops(network: Network) -> None:
    before = network.pids()
    with socket.create_server(("127.0.0.1", 0)) as other:
        network.write(["peer1", "peer2"], peer2=other.getsockname()[1])
        with pytest.raises(PortTaken, match="peer2"):
            await network.supervisor.refresh()
    assert network.pids() == before
    assert network.supervisor.states()["peer2"] == "running"
    assert (await network.supervisor.refresh())["restarted"] == ["peer2"]
