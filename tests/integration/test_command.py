"""``gridledger up``, ``down`` and ``status`` as a person and a script meet them: lines, exit codes, nothing left
behind."""

from __future__ import annotations

import asyncio
import os
import signal
import socket
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, suppress
from pathlib import Path

import pytest
import pytest_asyncio
import yaml

from gridledger import jsontext
from gridledger.client import Gateway, SigningIdentity
from gridledger.client.profile import load_profile
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import NetworkConfig, load_network_config
from tests.support.command import Up, gridledger
from tests.support.network_configs import CHANNEL, few_nodes
from tests.support.processes import alive, all_gone, children_of, family
from tests.support.waiting import eventually

pytestmark = pytest.mark.integration
NODES = ("ca", "orderer1", "peer1")


def write_config(path: Path) -> NetworkConfig:
    """A network-config file of a network that is small enough to be started many times."""
    config = few_nodes()
    path.write_text(yaml.safe_dump(config.model_dump(mode="json")))
    return config


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A network-config file and, beside it, the folder of its network, which has run once."""
    place = tmp_path_factory.mktemp("supervisor")
    write_config(place / "network.yaml")
    for arguments in (("up", place / "network.yaml", "--detach"), ("down",)):
        done = gridledger(*arguments, "--dir", place / "network")
        assert done.returncode == 0, done.stderr
    return place


@pytest.fixture
def config(place: Path) -> NetworkConfig:
    return load_network_config(place / "network.yaml")


Policy = Callable[[str], None]


@pytest.fixture
def policy(place: Path) -> Iterator[Policy]:
    """Changes what becomes of processes that end, which a description may from one start to the next."""
    path = place / "network.yaml"
    before = path.read_text()

    def change(name: str) -> None:
        path.write_text(yaml.safe_dump({**yaml.safe_load(before), "on_exit": name}))

    yield change
    path.write_text(before)


async def _told(up: Up, text: str) -> bool:
    """Whether the command has told this on standard error."""
    return text in up.stderr


def _without(pids: dict[str, int], name: str) -> dict[str, int]:
    return {other: pid for other, pid in pids.items() if other != name}


@asynccontextmanager
async def _command(place: Path) -> AsyncIterator[Up]:
    """The command on the network beside ``network.yaml``, not started yet. Whatever a test leaves is stopped."""
    up = Up(place / "network.yaml", place / "network")
    try:
        yield up
    finally:
        if up.begun:
            everything = up.everything()
            await up.end(signal.SIGTERM)
            for pid in everything[1:]:
                with suppress(ProcessLookupError):
                    os.kill(pid, signal.SIGKILL)


@pytest_asyncio.fixture
async def up(place: Path) -> AsyncIterator[Up]:
    """The command, on the network that all tests of this file share."""
    async with _command(place) as up:
        yield up


async def _put(folder: Path, value: int) -> list[object]:
    """Write a key; all values that it has had, the newest first."""
    profile = load_profile(folder)
    admin = SigningIdentity.load(profile.user("Org1", "admin"))
    async with Gateway.connect(profile.peers["peer1"].url, admin, roots=profile.roots) as gateway:
        network = gateway.get_network(CHANNEL)
        await network.get_contract("kv").submit_transaction("put", "k", value)
        return [item.value for item in await network.get_history("kv", "k")]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
async def test_a_signal_stops_everything_cleanly(up: Up, number: signal.Signals) -> None:
    await up.start()
    everything = up.everything()
    assert set(up.pids()) == set(NODES)
    assert len(everything) >= 1 + len(NODES) + 2  # with the peer's committer and chaincode hosts
    assert await up.end(number) == 0
    assert "peer1    | " in up.stdout
    assert up.stdout.splitlines()[-1] == "few-nodes is stopped"
    assert up.stderr == ""
    await all_gone(everything)
    for name in NODES:
        log = (up.folder / "logs" / f"{name}.log").read_text()
        assert "Traceback" not in log
        assert "stopped serving" in log


async def test_it_can_be_stopped_while_it_starts(up: Up) -> None:
    up.begin()

    async def begun() -> bool:
        return "orderer1" in up.pids()

    await eventually(begun, within_s=30, what="an orderer's process")
    everything = up.everything()
    assert await up.end(signal.SIGTERM) == 0
    assert "is ready" not in up.stdout
    assert up.stderr == ""
    await all_gone(everything)


async def test_a_taken_port_is_told_before_anything_is_made(tmp_path: Path) -> None:
    config = write_config(tmp_path / "network.yaml")
    port = config.peers[0].port
    async with _command(tmp_path) as up:
        with socket.create_server(("127.0.0.1", port)):
            up.begin()
            assert await up.ended() == 98
        assert up.stderr == (
            f"error: taken on 127.0.0.1: port {port} (peer1); stop who has it, or move all ports by --port-offset\n"
        )
        assert up.stdout == ""
        assert not (up.folder / "network.json").exists()


@pytest.mark.parametrize("name", NODES)
async def test_stop_all_ends_with_the_process_in_one_line(up: Up, name: str, policy: Policy) -> None:
    policy("stop-all")
    await up.start()
    everything = up.everything()
    os.kill(up.pids()[name], signal.SIGKILL)
    assert await up.ended() == 1
    assert len(up.stderr.splitlines()) == 1
    assert up.stderr.startswith(f"error: {name} ended with signal SIGKILL; the network is being stopped (")
    assert str(up.folder / "logs" / f"{name}.log") in up.stderr
    await all_gone(everything)


async def test_a_killed_node_leaves_the_others_running(up: Up) -> None:
    """The default policy. What was told can be done: the node is started again and goes on with the chain."""
    await up.start()
    before = await _put(up.folder, 5)
    pids = up.pids()
    os.kill(pids["peer1"], signal.SIGKILL)
    await all_gone([pids["peer1"]])
    ending = (
        f"peer1 ended with signal SIGKILL; the others go on. Start it again: gridledger start peer1 --dir {up.folder}"
    )
    await eventually(lambda: _told(up, ending), within_s=10, what="a line on the end of peer1")
    assert len(up.stderr.splitlines()) == 1
    assert {name: pid for name, pid in up.pids().items() if name != "peer1"} == _without(pids, "peer1")
    shown = await asyncio.to_thread(gridledger, "status", "--dir", up.folder)
    line = "peer1        ended with signal SIGKILL (gridledger start peer1)\n"
    assert (shown.returncode, line in shown.stdout) == (1, True), shown.stdout
    started = await asyncio.to_thread(gridledger, "start", "peer1", "--dir", up.folder)
    assert (started.returncode, started.stdout, started.stderr) == (0, "peer1 is up\n", "")
    assert await _put(up.folder, 6) == [6, *before]
    assert await up.end(signal.SIGTERM) == 0


async def test_with_restart_a_node_comes_back_by_itself(up: Up, policy: Policy) -> None:
    """Killed, and then kept from starting for a while."""
    policy("restart")
    await up.start()
    before = await _put(up.folder, 7)
    os.kill(up.pids()["peer1"], signal.SIGKILL)
    await eventually(lambda: _told(up, "peer1 is up again"), within_s=30, what="peer1 is started again")
    assert await _put(up.folder, 8) == [8, *before]
    settings = up.folder / "nodes" / "peer1" / "config.json"
    good = settings.read_bytes()
    settings.write_bytes(jsontext.dumps({**jsontext.loads(good), "nonsense": 1}))
    try:
        os.kill(up.pids()["peer1"], signal.SIGKILL)
        await eventually(
            lambda: _told(up, "peer1 ended with exit code 1: the settings of "), within_s=30, what="a line"
        )
    finally:
        settings.write_bytes(good)
    lines = up.stderr.splitlines()
    assert all(line.startswith("peer1 ") for line in lines)
    assert "; it is started again in 0." in lines[0]

    async def back_again() -> bool:
        return up.stderr.count("peer1 is up again") == 2

    await eventually(back_again, within_s=60, what="peer1 is started again")
    assert await _put(up.folder, 9) == [9, 8, *before]
    assert await up.end(signal.SIGTERM) == 0


async def test_single_nodes_are_stopped_and_started_by_command(up: Up) -> None:
    before = await asyncio.to_thread(gridledger, "stop", "peer1", "--dir", up.folder)
    assert (before.returncode, before.stdout, len(before.stderr.splitlines())) == (1, "", 1)
    assert "is not running; start it first" in before.stderr
    done = await asyncio.to_thread(gridledger, "up", up.config, "--dir", up.folder, "--detach")
    assert done.returncode == 0, done.stderr
    everything = family(int((up.folder / "supervisor.lock").read_text()))
    try:
        for command, code, said in (
            ("stop peer1", 0, "peer1 is stopped\n"),
            ("stop peer1", 0, "peer1 did not run; it stays stopped\n"),
            ("status", 1, "peer1        stopped (gridledger start peer1)\n"),
            ("start peer1", 0, "peer1 is up\n"),
            ("start peer1", 1, "peer1 runs already"),
            ("stop peer9", 1, "there is no process 'peer9' in this network; there are: ca, orderer1, peer1"),
            ("reset --yes", 1, "is running; stop it first (gridledger down)"),
            ("status", 0, "peer1        up"),
        ):
            done = await asyncio.to_thread(gridledger, *command.split(), "--dir", up.folder)
            assert (command, done.returncode) == (command, code), done.stderr
            assert said in done.stdout + done.stderr
            assert len(done.stderr.splitlines()) == (1 if code and command != "status" else 0)
        log = (up.folder / "logs" / "supervisor.log").read_text()
        assert "ended with" not in log, "a stop by command was told as an accident"
    finally:
        await asyncio.to_thread(gridledger, "down", "--dir", up.folder)
    await all_gone(everything)


async def test_a_committer_that_dies_is_told_by_its_peer(up: Up) -> None:
    """Two levels down: the peer says why it ends, and the supervisor says it once."""
    await up.start()
    os.kill(children_of(up.pids()["peer1"], "services.peer.committer")[0], signal.SIGKILL)
    ending = f"peer1 ended with exit code 1: the committer of {CHANNEL} "
    await eventually(lambda: _told(up, ending), within_s=20, what="a line on the end of peer1")
    assert len(up.stderr.splitlines()) == 1
    assert await up.end(signal.SIGTERM) == 0


@pytest.mark.parametrize(
    ("settings", "wrong", "error"),
    [
        ("nodes/peer1/config.json", {"channels": ["another"]}, ("peer1 ended with exit code 1: ", "another.genesis")),
        ("ca/config.json", {"nonsense": 1}, ("ca ended with exit code ", "nonsense")),
        ("ca/config.json", {"tls_root": "/nowhere/root.pem"}, ("ca ended with exit code 1: ", "/nowhere")),
    ],
)
async def test_a_process_that_cannot_start_says_why(
    up: Up, settings: str, wrong: dict[str, object], error: tuple[str, str]
) -> None:
    path = up.folder / settings
    good = path.read_bytes()
    path.write_bytes(jsontext.dumps({**jsontext.loads(good), **wrong}))
    try:
        up.begin()
        assert await up.ended() == 1
    finally:
        path.write_bytes(good)
    assert len(up.stderr.splitlines()) == 1
    assert up.stderr.startswith(f"error: {error[0]}")
    assert error[1] in up.stderr
    assert "(while starting)" in up.stderr


async def test_detached_too_it_says_why_it_cannot_start(up: Up) -> None:
    path = up.folder / "ca" / "config.json"
    good = path.read_bytes()
    path.write_bytes(jsontext.dumps({**jsontext.loads(good), "nonsense": 1}))
    try:
        done = await asyncio.to_thread(gridledger, "up", up.config, "--dir", up.folder, "--detach")
    finally:
        path.write_bytes(good)
    assert (done.returncode, done.stdout, len(done.stderr.splitlines())) == (1, "", 1)
    assert done.stderr.startswith("error: ca ended with exit code ")
    assert "nonsense" in done.stderr


async def test_a_killed_supervisor_leaves_no_orphans_and_no_damage(up: Up) -> None:
    await up.start()
    before = await _put(up.folder, 1)
    everything = up.everything()
    assert await up.end(signal.SIGKILL) == -signal.SIGKILL
    await all_gone(everything)
    await up.start()
    assert await _put(up.folder, 2) == [2, *before]


async def test_a_moved_folder_goes_on_with_its_chain(up: Up, place: Path) -> None:
    await up.start()
    before = await _put(up.folder, 3)
    assert await up.end(signal.SIGTERM) == 0
    moved = place / "restored" / "elsewhere"
    moved.parent.mkdir()
    up.folder.rename(moved)
    there = Up(up.config, moved)
    try:
        await there.start()
        assert await _put(moved, 4) == [4, *before]
        assert await there.end(signal.SIGTERM) == 0
        assert not up.folder.exists()
    finally:
        await there.end(signal.SIGKILL)
        moved.rename(up.folder)


async def test_a_changed_description_is_refused(up: Up, place: Path) -> None:
    changed = place / "changed.yaml"
    changed.write_text((place / "network.yaml").read_text().replace("max_message_count: 500", "max_message_count: 5"))
    before = {path: path.stat().st_mtime_ns for path in up.folder.rglob("*") if path.name != "supervisor.lock"}
    done = await asyncio.to_thread(gridledger, "up", changed, "--dir", up.folder)
    assert (done.returncode, done.stdout) == (1, "")
    assert len(done.stderr.splitlines()) == 1
    assert "holds a network of another description" in done.stderr
    assert "choose another with --dir" in done.stderr
    after = {path: path.stat().st_mtime_ns for path in up.folder.rglob("*") if path.name != "supervisor.lock"}
    assert {path for path in after if after[path] != before.get(path)} <= {up.folder}


async def test_a_half_made_folder_is_made_anew(tmp_path: Path) -> None:
    """The supervisor is killed in the midst of making identities; the next start begins again."""
    write_config(tmp_path / "network.yaml")
    async with _command(tmp_path) as up:
        secret = NetworkFolder(up.folder).registrar_secret("Org1")
        up.begin()

        async def enrolling() -> bool:
            return secret.exists() and "ca" in up.pids()

        await eventually(enrolling, within_s=30, what="the CA's process")
        everything = up.everything()
        await up.end(signal.SIGKILL)
        await all_gone(everything)
        assert not (up.folder / "connection.json").exists()
        leftover = up.folder / "nodes" / "peer9" / "msp"
        leftover.mkdir(parents=True)
        first = secret.read_text()
        await up.start()
        assert not leftover.exists()
        assert secret.read_text() != first
        assert await _put(up.folder, 1) == [1]
        assert await up.end(signal.SIGTERM) == 0


async def test_status_and_exit_codes(up: Up, place: Path, config: NetworkConfig) -> None:
    nowhere = await asyncio.to_thread(gridledger, "status", "--dir", place / "nowhere")
    assert (nowhere.returncode, nowhere.stdout, len(nowhere.stderr.splitlines())) == (1, "", 1)
    assert "start the network first" in nowhere.stderr

    await up.start("--quiet")
    assert "peer1    | " not in up.stdout
    well = await asyncio.to_thread(gridledger, "status", "--dir", up.folder)
    assert (well.returncode, well.stderr) == (0, "")
    assert f"{CHANNEL}: leader orderer1, peers agree" in well.stdout
    second = await asyncio.to_thread(gridledger, "up", place / "network.yaml", "--dir", up.folder)
    assert (second.returncode, second.stdout) in ((1, ""), (98, ""))
    assert len(second.stderr.splitlines()) == 1
    assert "running already" in second.stderr

    os.killpg(up.pids()["peer1"], signal.SIGSTOP)
    try:
        hanging = await asyncio.to_thread(gridledger, "status", "--dir", up.folder)
    finally:
        os.killpg(up.pids()["peer1"], signal.SIGCONT)
    assert hanging.returncode == 1
    assert "peer1        down: " in hanging.stdout
    assert up.process.poll() is None

    nodes = list(up.pids().values())
    done = await asyncio.to_thread(gridledger, "down", "--dir", up.folder)
    assert (done.returncode, done.stdout) == (0, f"the network in {up.folder} is stopped\n")
    assert not any(alive(pid) for pid in nodes)
    assert await up.ended() == 0
    down = await asyncio.to_thread(gridledger, "status", "--dir", up.folder)
    assert down.returncode == 1
    assert [f"{name:<12} down: " in down.stdout for name in ("orderer1", "peer1")] == [True, True]
    again = await asyncio.to_thread(gridledger, "down", "--dir", up.folder)
    assert (again.returncode, again.stderr) == (0, "")
    assert again.stdout == f"the network in {up.folder} was not running\n"


async def test_detached_it_runs_until_it_is_taken_down(place: Path, up: Up) -> None:
    done = await asyncio.to_thread(gridledger, "up", place / "network.yaml", "--dir", up.folder, "--detach")
    try:
        assert (done.returncode, done.stderr) == (0, "")
        assert done.stdout.startswith("few-nodes is ready after ")
        everything = family(int((up.folder / "supervisor.lock").read_text()))
        assert len(everything) >= 1 + len(NODES) + 2
    finally:
        stopped = await asyncio.to_thread(gridledger, "down", "--dir", up.folder)
    assert (stopped.returncode, stopped.stderr) == (0, "")
    await all_gone(everything)
