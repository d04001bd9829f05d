"""Commands that talk to no network: on the base install of any system, and what they say."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

import lmdb
import pytest

from gridledger import cli, jsontext
from gridledger.network.bootstrap import connection_profile
from gridledger.network.schema import load_network_config
from tests.support.bare_install import RUN_EACH, Ran, ran
from tests.support.paper import PaperNetwork, PaperPeer
from tests.support.paper.organisation import PaperOrganisation
from tests.support.processes import REPOSITORY

HIDDEN = ("fcntl", "resource", "uvloop", "lmdb", "fastapi", "starlette", "uvicorn")
"""What other systems, or the base install, do not have."""

CONTRACT = """
import math

from gridledger.contract import Context, Contract, transaction


class Meter(Contract):
    @transaction
    def record(self, ctx: Context, meter: str, kwh: float) -> float:
        return math.sin(kwh)
"""


@pytest.fixture
def code(tmp_path: Path) -> Path:
    """A chaincode's folder."""
    folder = tmp_path / "meter"
    folder.mkdir()
    (folder / "contract.py").write_text(CONTRACT)
    return folder


@pytest.fixture
def network(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A network's folder with two users, which the environment names."""
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    folder = tmp_path / "network"
    folder.mkdir()
    (folder / "connection.json").write_bytes(jsontext.dumps(connection_profile(config, {})))
    organisation = PaperOrganisation("Org1MSP")
    for name, role in (("admin", "admin"), ("alice", "client")):
        identity = organisation.issue(name, role, attributes={"grid.group": "1"})
        identity.save(folder / "organisations" / "Org1" / "users" / name)
    monkeypatch.setenv("GRIDLEDGER_PROFILE", str(folder))
    return folder


@pytest.fixture
def ledger(tmp_path: Path) -> Path:
    """A ledger's folder with three blocks."""
    paper = PaperNetwork("shard1")
    peer = PaperPeer(tmp_path / "ledger", paper)
    for number in range(2):
        peer.commit(paper.transaction({"a": number}))
    peer.ledger.close()
    return tmp_path / "ledger" / "shard1"


def run_elsewhere(*commands: Sequence[str | Path]) -> list[Ran]:
    """Run commands where the hidden modules cannot be imported."""
    script = f"import sys\nsys.modules.update(dict.fromkeys({HIDDEN!r}))\n{RUN_EACH}"
    arguments = json.dumps([[*map(str, command)] for command in commands])
    return ran(subprocess.run([sys.executable, "-c", script, arguments], capture_output=True, text=True, check=False))


def test_commands_without_network_run_on_any_system(code: Path, network: Path) -> None:
    commands = (
        ("--help",),
        ("chaincode", "check", code),
        ("chaincode", "pack", code, "--output", code.parent / "package"),
        ("identity", "list"),
        ("identity", "show", "Org1/alice", "--json"),
    )
    for command, done in zip(commands, run_elsewhere(*commands), strict=True):
        assert done.returncode == 0, (command, done.stderr)
        assert done.stdout


def test_an_update_is_made_and_signed_on_any_system(network: Path, tmp_path: Path) -> None:
    paper, files = PaperNetwork("shard1"), [tmp_path / name for name in ("old.json", "new.json", "update.json")]
    old, new, update = files
    old.write_text(json.dumps(paper.config.plain))
    new.write_text(old.read_text().replace('"proposal_window_s": 300', '"proposal_window_s": 301'))
    commands = (
        ("compute", "shard1", "--from", old, "--to", new, "--output", update),
        ("sign", update, "--user", "Org1/admin", "--dir", network),
        ("show", update, "--from", old),
    )
    found = run_elsewhere(*(("channel", "update", *command) for command in commands))
    for command, done in zip(commands, found, strict=True):
        assert done.returncode == 0, (command, done.stderr)


def test_verify_names_the_extra_that_is_missing(ledger: Path) -> None:
    (done,) = run_elsewhere(("verify", ledger))
    assert (done.returncode, done.stdout) == (1, "")
    assert done.stderr == (
        "error: gridledger.ledger needs lmdb, which is not installed: run pip install 'gridledger[server]' "
        "(in a checkout: pip install -e '.[server]')\n"
    )


def test_verify_tells_that_all_agrees(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["verify", str(ledger)]) == 0
    assert "channel shard1: 3 blocks, 3 transactions, 1 keys" in capsys.readouterr().out
    assert cli.main(["verify", str(ledger), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["ok"], told["blocks"], told["faults"]) == (True, 3, [])


def test_verify_tells_of_faults(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    _lose_history(ledger)
    assert cli.main(["verify", str(ledger), "--json"]) == 1
    assert "lacks transaction 0" in json.loads(capsys.readouterr().out)["faults"][0]["message"]
    assert cli.main(["verify", str(ledger)]) == 1
    assert "3 faults" in capsys.readouterr().out


def test_verify_says_that_a_damaged_file_ended_its_process(ledger: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """A page that the table of pages names, and the file has not, ends whoever reads it."""
    data = (ledger / "data.mdb").read_bytes()
    (ledger / "data.mdb").write_bytes(data[: -10 * 4096])
    assert cli.main(["verify", str(ledger)]) == 1
    said = capsys.readouterr().err
    assert said.startswith(f"error: reading the ledger in {ledger} ended the process that verified it (SIGBUS)")
    assert said.count("\n") == 1


def _lose_history(ledger: Path) -> None:
    with lmdb.open(str(ledger), max_dbs=6) as environment, environment.begin(write=True) as transaction:
        transaction.drop(environment.open_db(b"history", transaction), delete=False)


@pytest.mark.parametrize("place", ["nowhere", "ledger"])
def test_verify_takes_a_ledgers_folder(
    place: str, ledger: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(["verify", str(tmp_path / place)]) == 1
    assert "is no ledger's folder" in capsys.readouterr().err


def test_check_lists_functions_and_warns(
    code: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "dont_write_bytecode", False)
    assert cli.main(["chaincode", "check", str(code)]) == 0
    out, error = capsys.readouterr()
    assert "record    meter: string, kwh: number  number" in out
    assert error.startswith("warning: contract.py:10: math.sin")
    assert cli.main(["chaincode", "check", str(code), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert [item["name"] for item in told["metadata"]["contracts"]["Meter"]["transactions"]] == ["record"]
    assert told["warnings"][0]["line"] == 10
    assert not (code / "__pycache__").exists()


def test_check_refuses_what_cannot_be_imported(code: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (code / "contract.py").write_text("import nowhere\n")
    assert cli.main(["chaincode", "check", str(code)]) == 1
    assert capsys.readouterr().err == "error: contract.py, line 1: ModuleNotFoundError: No module named 'nowhere'\n"


def test_identities_are_listed_and_shown(network: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["identity", "list"]) == 0
    assert [line.split()[:3] for line in capsys.readouterr().out.splitlines()[1:]] == [
        ["Org1/admin", "Org1MSP", "admin"],
        ["Org1/alice", "Org1MSP", "client"],
    ]
    assert cli.main(["identity", "show"]) == 0
    assert "Org1/admin" in capsys.readouterr().out
    assert cli.main(["identity", "show", "Org1/alice", "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["name"], told["role"], told["attributes"]) == ("alice", "client", {"grid.group": "1"})
    assert cli.main(["identity", "show", "Org1/bob"]) == 1
    assert "there are: Org1/admin, Org1/alice" in capsys.readouterr().err


def completed(words: str, **environment: str) -> list[str]:
    """What bash is told when the last of these words is to be completed."""
    done = subprocess.run(
        [sys.executable, "-m", "gridledger.cli"],
        cwd=REPOSITORY,
        env={
            **environment,
            "_GRIDLEDGER_COMPLETE": "complete_bash",
            "COMP_WORDS": words,
            "COMP_CWORD": str(len(words.split()) - 1),
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.stderr == ""
    return done.stdout.split()


def test_the_shell_completes_channels_and_users(network: Path) -> None:
    assert completed("gridledger invoke sh", GRIDLEDGER_PROFILE=str(network)) == ["shard1", "shard2", "shard3"]
    assert completed(f"gridledger block --dir {network / 'connection.json'} m") == ["mainchain"]
    assert completed("gridledger block --user Org1/al", GRIDLEDGER_PROFILE=str(network)) == ["Org1/alice"]


def test_completion_is_silent_where_there_is_no_network(network: Path, tmp_path: Path) -> None:
    assert completed("gridledger invoke sh", GRIDLEDGER_PROFILE=str(tmp_path / "nowhere")) == []
    for text in ("", "[]", '{"channels": [5]}'):
        (network / "connection.json").write_text(text)
        assert completed("gridledger invoke sh", GRIDLEDGER_PROFILE=str(network)) == []


@pytest.mark.parametrize(("name", "says"), [("simulate", "--state"), ("feeder", "--case"), ("rest", "--config")])
@pytest.mark.parametrize("before", [(), ("--",)])
def test_commands_with_parsers_of_their_own_run_either_way(name: str, says: str, before: tuple[str, ...]) -> None:
    """Handed on before typer is imported, or by typer, behind a ``--``."""
    command = [sys.executable, "-m", "gridledger.cli", *before, name, "--help"]
    done = subprocess.run(command, cwd=REPOSITORY, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")
    assert says in done.stdout
