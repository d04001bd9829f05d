"""The command: quick to start, one line for each error, help for every command."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from gridledger import cli
from gridledger.cli import options
from gridledger.cli.app import app
from gridledger.client import profile
from gridledger.command_line import one_line
from gridledger.errors import UnavailableError
from tests.support.processes import REPOSITORY

SLOW_TO_IMPORT = ("asyncio", "aiohttp", "httpx", "cryptography", "yaml", "lmdb", "fastapi", "orjson")
"""What no help may import; pydantic is typer's own."""
COMMANDS = {
    *("up", "down", "status", "start", "stop", "reset", "bootstrap", "compose", "feeder", "relay", "rest", "vault"),
    "anchor",
    "case",
    "console",
    *("chaincode check", "chaincode pack", "chaincode deploy", "chaincode list", "chaincode info", "simulate"),
    *("invoke", "query"),
    *(
        "orderer readmit",
        "orderer recover",
        "dvs move-group",
        "channel list",
        "channel info",
        "block",
        "tx",
        "history",
        "search",
        "events",
        "compare",
        "verify",
    ),
    *("channel fetch", "policy set", "acl set", "limits set", "crl publish"),
    *(f"org {verb}" for verb in ("add", "update", "remove")),
    *(f"orderer {verb}" for verb in ("add", "replace", "move", "remove")),
    *(f"peer {verb}" for verb in ("add", "move", "remove")),
    *(f"channel {verb}" for verb in ("create", "join", "leave")),
    *("enroll", "identity list", "identity show"),
}


OWN_PARSERS = {"simulate", "anchor", "case", "console", "feeder", "relay", "rest", "vault"}


def modules_after(arguments: list[str]) -> set[str]:
    """What a process that runs the command has imported at its end."""
    script = (
        f"import sys; from gridledger.cli import main\n"
        f"main({arguments!r})\n"
        f"print(*sys.modules, sep='\\n', file=sys.stderr)"
    )
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stderr.split())


@pytest.mark.parametrize(
    "arguments", [["--help"], ["up", "--help"], ["chaincode", "deploy", "--help"], ["--version"], ["nonsense"]]
)
def test_help_and_usage_import_nothing_that_is_slow(arguments: list[str]) -> None:
    assert modules_after(arguments).isdisjoint(SLOW_TO_IMPORT)


def test_simulate_and_the_feeder_import_no_typer() -> None:
    assert modules_after(["simulate", "--help"]).isdisjoint({"typer", "rich", *SLOW_TO_IMPORT} - {"orjson"})


def test_every_command_is_known() -> None:
    names = set()
    for command in app.registered_commands:
        assert command.callback is not None
        names.add(command.name or command.callback.__name__)
    for group in app.registered_groups:
        assert group.typer_instance is not None
        names |= {
            f"{group.typer_instance.info.name} {command.name or getattr(command.callback, '__name__', '')}"
            for command in group.typer_instance.registered_commands
        }
    assert names == COMMANDS


@pytest.mark.parametrize("command", sorted(COMMANDS))
def test_docs_tell_of_every_command(command: str) -> None:
    assert f"`gridledger {command}" in (REPOSITORY / "docs/command.md").read_text()


@pytest.mark.parametrize("command", sorted(COMMANDS - OWN_PARSERS - {"channel fetch"}))
def test_every_command_has_help_and_the_flag_json(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main([*command.split(), "--help"]) == 0
    out = capsys.readouterr().out
    assert f"gridledger {command}" in out
    assert "--json" in out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "nowhere.yaml"], "cannot read the network config nowhere.yaml"),
        (["status"], "there is no connection profile"),
        (["down", "--dir", "file"], "give it with --dir"),
        (["chaincode", "deploy", "x", "--channel", "c"], "there is no connection profile"),
        (["chaincode", "pack", "nowhere", "--output", "x.tar.gz"], "nowhere"),
        (["chaincode", "pack", "code", "--output", "nowhere/x.tar.gz"], "nowhere/x.tar.gz: No such file or directory"),
        (["enroll", "Org1", "alice", "--attribute", "no-value"], "--attribute takes NAME=VALUE"),
    ],
)
def test_an_error_is_one_line_and_exit_code_1(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    Path("file").touch()
    Path("code").mkdir()
    Path("code/contract.py").touch()
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert says in error


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["nonsense"], "No such command 'nonsense'. See gridledger --help"),
        (["qery"], "No such command 'qery'. Did you mean 'query', 'verify'? See gridledger --help"),
        (["chaincode", "nonsense"], "No such command 'nonsense'"),
        (["org", "add"], "Missing argument 'ORG'. See gridledger org add --help"),
        (["up", "x.yaml", "--port-offset", "many"], "'--port-offset'"),
        (["status", "--jsn"], "No such option: --jsn"),
        (["status", "--json=yes"], "--json"),
        (["enroll", "Org1", "alice", "--role", "boss"], "'boss' is not one of"),
        (["invoke", "c", "cc"], "Missing argument 'FUNCTION'"),
        (["invoke", "c", "cc", "f", "x", "--jsn"], "No such option: --jsn"),
        (["events", "c", "--name", "Put"], "Invalid value for --name: it needs --chaincode"),
        (["block", "c", "-1"], "-1"),
    ],
)
def test_wrong_usage_is_one_line_and_exit_code_2(
    arguments: list[str], says: str, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main(arguments) == 2
    out, error = capsys.readouterr()
    assert out == ""
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert says in error


@pytest.mark.parametrize("argument", ["-5", "-1e-3", "-", "-x"])
@pytest.mark.parametrize("command", ["invoke", "query"])
def test_a_functions_argument_is_no_option(
    command: str, argument: str, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert cli.main([command, "c", "cc", "f", argument, "--dir", str(tmp_path)]) == 1
    assert "there is no connection profile" in capsys.readouterr().err


@pytest.mark.parametrize("arguments", [[], ["chaincode"]])
def test_without_a_command_help_is_shown(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(arguments) == 2
    assert "Usage: gridledger" in capsys.readouterr().out


def test_ctrl_c_is_exit_code_130(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    def interrupt(_: object) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr("gridledger.network.lock.stop_detached", interrupt)
    assert cli.main(["down", "--dir", str(tmp_path)]) == 130


def test_a_reader_that_is_gone_is_no_traceback(tmp_path: Path) -> None:
    read, write = os.pipe()
    os.close(read)
    command = [sys.executable, "-m", "gridledger.cli", "down", "--dir", str(tmp_path)]
    done = subprocess.run(command, stdout=write, stderr=subprocess.PIPE, text=True, check=False)
    os.close(write)
    assert (done.returncode, done.stderr) == (1, "")


def test_a_message_of_several_lines_is_told_in_one(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(_: object) -> None:
        raise UnavailableError("one\ntwo \x1b[31mred")

    monkeypatch.setattr("gridledger.network.lock.stop_detached", fail)
    assert cli.main(["down", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "error: one two [31mred\n"


def test_a_group_of_errors_is_told_as_its_first(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], tmp_path: Path
) -> None:
    def fail(_: object) -> None:
        raise ExceptionGroup("", [ExceptionGroup("", [UnavailableError("one")]), OSError("two")])

    monkeypatch.setattr("gridledger.network.lock.stop_detached", fail)
    assert cli.main(["down", "--dir", str(tmp_path)]) == 1
    assert capsys.readouterr().err == "error: one\n"


def test_one_line_keeps_what_a_terminal_shows() -> None:
    assert one_line("ein Größenwert: 3 µs") == "ein Größenwert: 3 µs"


def test_the_environment_names_the_network(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("GRIDLEDGER_PROFILE", str(tmp_path))
    assert cli.main(["down"]) == 0
    assert str(tmp_path) in capsys.readouterr().out


def test_the_command_and_the_sdk_use_the_same_network() -> None:
    assert (options.PROFILE_VARIABLE, options.DEFAULT_DIR) == (profile.PROFILE_VARIABLE, profile.DEFAULT_PROFILE)


def test_down_where_nothing_runs_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["down", "--dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"the network in {tmp_path} was not running\n"
    assert cli.main(["down", "--dir", str(tmp_path), "--json"]) == 0
    assert capsys.readouterr().out == f'{{"folder":"{tmp_path}","stopped":false}}\n'


def test_pack_writes_the_package_and_prints_its_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "contract.py").write_text("from gridledger.contract import Contract\n")
    packages = []
    for name in ("one.tar.gz", "two.tar.gz"):
        assert cli.main(["chaincode", "pack", str(tmp_path / "code"), "--output", str(tmp_path / name)]) == 0
        packages.append(((tmp_path / name).read_bytes(), capsys.readouterr().out))
    assert packages[0] == packages[1]
    assert len(packages[0][1].strip()) == 64


def test_bash_completes_the_names_of_commands() -> None:
    environment = {
        **os.environ,
        "_GRIDLEDGER_COMPLETE": "complete_bash",
        "COMP_WORDS": "gridledger chain",
        "COMP_CWORD": "1",
    }
    done = subprocess.run(
        [sys.executable, "-m", "gridledger.cli"], env=environment, capture_output=True, text=True, check=False
    )
    assert done.stdout.split() == ["chaincode"]
