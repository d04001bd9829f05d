"""The command ``gridledger`` as a person uses it: up, status, deploy, enroll, down, and what goes wrong."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any

import pytest
import yaml

from gridledger import jsontext
from gridledger.client import Gateway
from gridledger.identity.signer import SigningIdentity
from gridledger.network.connection import load_connection
from tests.support.processes import REPOSITORY, free_ports, running
from tests.support.waiting import eventually

READY_WITHIN_S = 60.0
pytestmark = [pytest.mark.integration, pytest.mark.timeout(180)]


def gridledger(*arguments: str | Path) -> list[str]:
    return [sys.executable, "-m", "gridledger.cli", *map(str, arguments)]


def run(*arguments: str | Path) -> subprocess.CompletedProcess[str]:
    """One command to its end."""
    return subprocess.run(
        gridledger(*arguments), cwd=REPOSITORY, capture_output=True, text=True, timeout=90, check=False
    )


class Up:
    """``gridledger up`` in the foreground. Its output goes to files, so that reading never blocks it."""

    def __init__(self, place: Place, *arguments: str) -> None:
        self._out = place.folder.with_name("up.out")
        self._err = place.folder.with_name("up.err")
        with self._out.open("wb") as out, self._err.open("wb") as err:
            self.process = subprocess.Popen(
                gridledger("up", place.config, "--dir", place.folder, *arguments),
                cwd=REPOSITORY,
                stdout=out,
                stderr=err,
                start_new_session=True,
            )

    @property
    def output(self) -> str:
        return self._out.read_text()

    @property
    def errors(self) -> str:
        return self._err.read_text()

    async def says(self, text: str) -> None:
        async def said() -> bool:
            assert self.process.poll() is None or text in self.output, self.errors
            return text in self.output

        await eventually(said, within_s=READY_WITHIN_S, what=f"{text!r} in the output of up")

    async def ended(self) -> int:
        return await asyncio.to_thread(self.process.wait, 60)


class Place:
    """A network of two peers' description and folder, and the processes that are about it."""

    def __init__(self, folder: Path) -> None:
        self.config = folder / "network.yaml"
        self.folder = folder / "net"
        self.ports = dict(zip(("ca", "orderer1", "orderer2", "orderer3", "peer1", "peer2"), free_ports(6), strict=True))
        self.describe()

    def describe(self, **members: Any) -> None:
        ports = self.ports
        organisations = {"Orderer": "OrdererMSP", "Org1": "Org1MSP", "Org2": "Org2MSP"}
        orderers = [name for name in ports if name.startswith("orderer")]
        description = {
            "name": "two-peers",
            "organisations": [{"name": name, "mspid": mspid} for name, mspid in organisations.items()],
            "ca": {"port": ports["ca"]},
            "orderers": [{"name": name, "organisation": "Orderer", "port": ports[name]} for name in orderers],
            "peers": [
                {"name": f"peer{number}", "organisation": f"Org{number}", "port": ports[f"peer{number}"]}
                for number in (1, 2)
            ],
            "channels": {
                "grid": {
                    "peers": ["peer1", "peer2"],
                    "chaincodes": {"kv": {"path": "chaincode/kv", "policy": "OutOf(2, all)"}},
                }
            },
            **members,
        }
        self.config.write_text(yaml.safe_dump(description))

    def processes(self, *words: str) -> list[int]:
        """Ids of the running processes whose command line names this folder and all of ``words``."""
        return running(str(self.folder), *words)

    async def empty(self) -> None:
        async def gone() -> bool:
            return not self.processes()

        await eventually(gone, within_s=20, what="no process is left")

    async def call(self, organisation: str, peer: str, chaincode: str, function: str, *arguments: Any) -> Any:
        profile = load_connection(self.folder)
        admin = SigningIdentity.load(profile.user(organisation, "admin"))
        roots = profile.roots.read_text()
        async with Gateway.connect(profile.peers[peer].url, admin, roots=roots) as gateway:
            contract = gateway.get_network("grid").get_contract(chaincode)
            if function == "get":
                return await contract.evaluate_transaction(function, *arguments)
            return await contract.submit_transaction(function, *arguments)


@pytest.fixture
def place(tmp_path: Path) -> Iterator[Place]:
    """Nothing is left running behind it."""
    made = Place(tmp_path)
    yield made
    for pid in made.processes():
        with suppress(ProcessLookupError):
            os.kill(pid, signal.SIGKILL)


@pytest.fixture
def up(place: Place) -> Iterator[Callable[..., Up]]:
    """Starts ``gridledger up``."""
    started: list[Up] = []

    def start(*arguments: str) -> Up:
        started.append(Up(place, *arguments))
        return started[-1]

    yield start
    for item in started:
        item.process.kill()
        item.process.wait(10)


async def test_a_network_from_up_to_down_and_up_again(place: Place, up: Callable[..., Up]) -> None:
    first = up()
    await first.says("two-peers is ready after")
    assert "peer1    | " in first.output
    state = run("status", "--dir", place.folder)
    assert state.returncode == 0, state.stdout
    assert state.stdout.count("peers agree") == 1
    assert "leader orderer" in state.stdout

    again = run("up", place.config, "--dir", place.folder)
    assert (again.returncode, again.stderr.count("\n")) == (1, 1)
    assert "is running already" in again.stderr

    await place.call("Org1", "peer1", "kv", "put", "colour", "green")
    assert await place.call("Org2", "peer2", "kv", "get", "colour") == "green"
    first.process.send_signal(signal.SIGINT)
    assert await first.ended() == 0, first.errors
    assert first.output.endswith("two-peers is stopped\n")
    assert first.errors == ""
    assert place.processes() == []

    detached = run("up", place.config, "--dir", place.folder, "--detach")
    assert (detached.returncode, detached.stderr) == (0, "")
    assert detached.stdout.startswith("two-peers is ready after")
    assert await place.call("Org2", "peer2", "kv", "get", "colour") == "green"
    assert run("status", "--dir", place.folder).returncode == 0
    down = run("down", "--dir", place.folder)
    assert (down.returncode, down.stdout) == (0, f"the network in {place.folder} is stopped\n")
    # Its nodes have ended; the supervisor itself has given its lock back and is about to.
    assert place.processes("--config") == []
    await place.empty()
    assert run("down", "--dir", place.folder).stdout == f"the network in {place.folder} was not running\n"
    lost = run("status", "--dir", place.folder)
    assert (lost.returncode, lost.stdout.count("down: ")) == (1, 6)

    place.describe(name="another")
    changed = run("up", place.config, "--dir", place.folder)
    assert changed.returncode == 1
    assert "holds a network of another description" in changed.stderr
    assert "choose another with --dir" in changed.stderr


async def test_chaincodes_and_users_come_to_a_running_network(
    place: Place, up: Callable[..., Up], tmp_path: Path
) -> None:
    await up("--quiet").says("is ready after")
    code = tmp_path / "greeter"
    code.mkdir()
    (code / "contract.py").write_text(
        "from gridledger.contract import Context, Contract, transaction\n\n\n"
        "class Greeter(Contract):\n"
        "    @transaction\n"
        "    def get(self, ctx: Context, name: str) -> str:\n"
        "        return f'hello {name}'\n"
    )
    packed = run("chaincode", "pack", code, "--output", tmp_path / "greeter.tar.gz")
    assert packed.returncode == 0, packed.stderr
    deployed = run("chaincode", "deploy", code, "--channel", "grid", "--dir", place.folder)
    assert deployed.returncode == 0, deployed.stderr
    assert deployed.stdout == (
        f"greeter is on grid: sequence 1, policy MAJORITY(all), package {packed.stdout.strip()[:12]}\n"
    )
    for organisation, peer in (("Org1", "peer1"), ("Org2", "peer2")):
        assert await place.call(organisation, peer, "greeter", "get", "you") == "hello you"

    (code / "contract.py").write_text((code / "contract.py").read_text().replace("hello", "goodbye"))
    deploy = ("chaincode", "deploy", code, "--channel", "grid", "--dir", place.folder)
    upgraded = run(*deploy, "--policy", "OutOf(2, all)", "--label", "2.0")
    assert upgraded.returncode == 0, upgraded.stderr
    assert "sequence 2, policy OutOf(2, all)" in upgraded.stdout
    assert await place.call("Org2", "peer2", "greeter", "get", "you") == "goodbye you"

    for refused, says in (
        (
            run("chaincode", "deploy", code, "--channel", "nowhere", "--dir", place.folder),
            "there is no channel 'nowhere'",
        ),
        (run(*deploy, "--policy", "OutOf(3, all)"), "3 of 2 can never be met"),
        (run("chaincode", "deploy", tmp_path / "void", "--channel", "grid", "--dir", place.folder), "void"),
        (run("enroll", "Org9", "alice", "--dir", place.folder), "there is no organisation 'Org9'"),
    ):
        assert (refused.returncode, refused.stderr.count("\n")) == (1, 1), refused.stderr
        assert refused.stderr.startswith("error: ")
        assert says in refused.stderr

    enrolled = run("enroll", "Org1", "alice", "--attribute", "grid.role=aggregator", "--dir", place.folder)
    alice = SigningIdentity.load(enrolled.stdout.strip())
    assert (alice.name, alice.mspid, dict(alice.certificate.attributes)["grid.role"]) == (
        "alice",
        "Org1MSP",
        "aggregator",
    )


async def test_a_process_that_dies_is_one_clear_line_and_the_end(place: Place, up: Callable[..., Up]) -> None:
    supervisor = up()
    await supervisor.says("is ready after")
    (peer,) = place.processes("-m", "services.peer", "--config", "peer2")
    os.kill(peer, signal.SIGKILL)
    assert await supervisor.ended() == 1
    assert supervisor.errors.count("\n") == 1
    assert supervisor.errors.startswith("error: peer2 ended with signal SIGKILL; the network is being stopped (")
    assert str(place.folder / "logs" / "peer2.log") in supervisor.errors
    await place.empty()


async def test_a_supervisor_killed_leaves_nothing_behind(place: Place, up: Callable[..., Up]) -> None:
    supervisor = up()
    await supervisor.says("is ready after")
    assert len(place.processes("services.")) >= 6
    supervisor.process.kill()
    await place.empty()


async def test_stopping_while_it_starts(place: Place, up: Callable[..., Up]) -> None:
    supervisor = up()
    await supervisor.says("ca       | ")
    supervisor.process.terminate()
    assert await supervisor.ended() == 0
    assert supervisor.errors == ""
    assert place.processes() == []


def test_a_taken_port_is_told_in_advance(place: Place) -> None:
    with socket.create_server(("127.0.0.1", place.ports["orderer2"])):
        refused = run("up", place.config, "--dir", place.folder)
    assert refused.returncode == 98
    assert refused.stderr == (
        f"error: taken on 127.0.0.1: port {place.ports['orderer2']} (orderer2); stop who has it, or move all ports by "
        "--port-offset\n"
    )
    assert not (place.folder / "network.json").exists()


async def test_a_failed_start_says_why_and_the_next_begins_anew(place: Place, up: Callable[..., Up]) -> None:
    place.describe(ca={"port": place.ports["ca"], "settings": {"nonsense": 1}})
    refused = run("up", place.config, "--dir", place.folder, "--detach")
    assert refused.returncode == 1
    assert refused.stderr.count("\n") == 1
    assert refused.stderr.startswith("error: ca ended with exit code ")
    assert "nonsense" in refused.stderr
    assert place.processes() == []

    place.describe()
    (place.folder / "nodes" / "peer1").mkdir(parents=True)
    await up().says("is ready after")
    profile = jsontext.loads((place.folder / "connection.json").read_bytes())
    assert profile["channels"] == {"grid": {"peers": ["peer1", "peer2"]}}
