"""On any system and with the base's packages alone: the client, the contract API, the simulator, most commands."""

from __future__ import annotations

import json
import tomllib
from importlib.metadata import packages_distributions
from pathlib import Path

import pytest
from packaging.requirements import Requirement

from gridledger.extras import MODULES
from tests.support.bare_install import Ran, bare_command, bare_commands, plain, run_bare
from tests.support.processes import REPOSITORY

METER = """
from gridledger.contract import Context, Contract, transaction


class Meter(Contract):
    @transaction
    def record(self, ctx: Context, meter: str, kwh: float) -> float:
        ctx.stub.put_state(meter, kwh)
        return kwh
"""
NETWORK = REPOSITORY / "network-config" / "three-shards.yaml"


@pytest.fixture
def meter(tmp_path: Path) -> Path:
    """The folder of a chaincode."""
    folder = tmp_path / "meter"
    folder.mkdir()
    (folder / "contract.py").write_text(METER)
    return folder


@pytest.mark.parametrize(
    "module",
    [
        "gridledger.client",
        "gridledger.client.blocking",
        "gridledger.client.ca",
        "gridledger.contract",
        "gridledger.contract.simulator.simulator",
        "gridledger.cli",
    ],
)
def test_client_and_contract_api_are_importable(module: str, tmp_path: Path) -> None:
    done = run_bare(f"import {module}", cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")


def test_simulate_runs_and_keeps_its_state(meter: Path, tmp_path: Path) -> None:
    arguments = ("simulate", meter, "--state", "state.json", "record", '"m1"', "2.5")
    for _ in range(2):  # a new file, and one that is replaced
        done = bare_command(*arguments, cwd=tmp_path)
        assert (done.returncode, done.stderr) == (0, "")
        assert json.loads(done.stdout)["payload"] == 2.5
    assert "m1" in (tmp_path / "state.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["--help"], "chaincode"),
        (["--version"], "gridledger"),
        (["chaincode", "pack", "meter", "--output", "meter.tar.gz"], ""),
        (["chaincode", "check", "meter"], "record"),
        (["compose", str(NETWORK)], "services:"),
        (["simulate", "--help"], "usage"),
        (["relay", "--help"], "usage"),
    ],
)
@pytest.mark.usefixtures("meter")
def test_commands_without_a_network_work(arguments: list[str], says: str, tmp_path: Path) -> None:
    done = bare_command(*arguments, cwd=tmp_path)
    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout


CLIENTS = {
    " ".join(arguments): arguments
    for arguments in (
        ["status"],
        ["enroll", "Org1", "alice"],
        ["identity", "list"],
        ["chaincode", "deploy", "meter", "--channel", "shard1"],
        ["chaincode", "list", "shard1"],
        ["invoke", "shard1", "meter", "record", "m1", "2.5"],
        ["query", "shard1", "meter", "read", "m1"],
        ["events", "shard1"],
        ["block", "shard1", "1"],
        ["tx", "shard1", "ab" * 32],
        ["history", "shard1", "meter", "m1"],
        ["compare", "shard1", "peer1", "peer2"],
    )
}
ON_NO_NETWORK = {
    " ".join(arguments): arguments
    for arguments in (["stop", "peer1"], ["start", "peer1"], ["reset", "--yes"], ["down"])
}


@pytest.fixture(scope="module")
def done_in_one(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Ran]:
    """What came of commands that need a network, where there is none, without what only POSIX systems have."""
    commands = CLIENTS | ON_NO_NETWORK
    found = bare_commands(commands.values(), cwd=tmp_path_factory.mktemp("nowhere"))
    return dict(zip(commands, found, strict=True))


@pytest.mark.parametrize("command", CLIENTS)
def test_commands_of_clients_need_no_extra(command: str, done_in_one: dict[str, Ran]) -> None:
    done = done_in_one[command]
    assert done.returncode == 1
    assert done.stderr.startswith("error: there is no connection profile")


@pytest.mark.parametrize("arguments", [["up", str(NETWORK)], ["bootstrap", str(NETWORK)], ["feeder", "demo"]])
def test_commands_of_nodes_name_the_extra_server(arguments: list[str], tmp_path: Path) -> None:
    done = bare_command(*arguments, cwd=tmp_path, posix=True)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: gridledger {arguments[0]} needs fastapi, which is not installed")
    assert "pip install 'gridledger[server]'" in done.stderr
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("arguments", [["up", str(NETWORK)], ["feeder", "demo"]])
def test_commands_of_nodes_name_the_system(arguments: list[str], tmp_path: Path) -> None:
    done = bare_command(*arguments, cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith(f"error: gridledger {arguments[0]} needs a POSIX system such as Linux; this is ")
    assert done.stderr.count("\n") == 1


@pytest.mark.parametrize("command", ON_NO_NETWORK)
def test_commands_on_no_network_need_no_extra(command: str, done_in_one: dict[str, Ran]) -> None:
    done = done_in_one[command]
    assert "Traceback" not in done.stderr
    assert (done.stdout + done.stderr).count("\n") == 1


def test_verify_names_the_extra_server(tmp_path: Path) -> None:
    (tmp_path / "ledger").mkdir()
    done = bare_command("verify", "ledger", cwd=tmp_path)
    assert done.returncode == 1
    assert done.stderr.startswith("error: ")
    assert "pip install 'gridledger[server]'" in done.stderr
    assert done.stderr.count("\n") == 1


def test_the_ledger_names_the_extra_server(tmp_path: Path) -> None:
    program = """
from gridledger.errors import GridLedgerError
try:
    import gridledger.ledger.verify
except GridLedgerError as error:
    print(error.code, error.message)
"""
    done = run_bare(program, cwd=tmp_path)
    assert done.stdout.startswith("MISSING_EXTRA gridledger.ledger needs lmdb, which is not installed"), done.stderr
    assert "pip install 'gridledger[server]'" in done.stdout


@pytest.mark.parametrize("extra", list(MODULES))
def test_an_extra_is_known_by_the_modules_it_brings(extra: str) -> None:
    project = tomllib.loads((REPOSITORY / "pyproject.toml").read_text())["project"]
    wanted = {Requirement(line).name for line in project["optional-dependencies"][extra]} - {"gridledger", "uvloop"}
    brings = packages_distributions()
    assert {plain(name) for module in MODULES[extra] for name in brings[module]} == wanted
