"""The command: quick to start, one line for each error."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gridledger import cli

SLOW_TO_IMPORT = ("asyncio", "aiohttp", "httpx", "pydantic", "cryptography", "yaml", "lmdb", "fastapi", "orjson")


def test_help_imports_nothing_that_is_slow() -> None:
    script = f"import sys, gridledger.cli; print([name for name in {SLOW_TO_IMPORT!r} if name in sys.modules])"
    done = subprocess.run([sys.executable, "-c", script], capture_output=True, text=True, check=True)
    assert done.stdout == "[]\n"


@pytest.mark.parametrize("command", ["up", "down", "status", "enroll", "chaincode", "simulate", "feeder"])
def test_help_names_every_command(command: str, capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit, match="0"):
        cli.main(["--help"])
    assert f"    {command}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "says"),
    [
        (["up", "nowhere.yaml"], "cannot read the network config nowhere.yaml"),
        (["status"], "there is no connection profile"),
        (["chaincode", "deploy", "x", "--channel", "c"], "there is no connection profile"),
        (["chaincode", "pack", "nowhere", "--output", "x.tar.gz"], "nowhere"),
        (["enroll", "Org1", "alice", "--attribute", "no-value"], "--attribute takes NAME=VALUE"),
    ],
)
def test_an_error_is_one_line(
    arguments: list[str],
    says: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert cli.main(arguments) == 1
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert error.count("\n") == 1
    assert says in error


def test_down_where_nothing_runs_is_no_error(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    assert cli.main(["down", "--dir", str(tmp_path)]) == 0
    assert capsys.readouterr().out == f"the network in {tmp_path} was not running\n"


def test_pack_writes_the_package_and_prints_its_id(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (tmp_path / "code").mkdir()
    (tmp_path / "code" / "contract.py").write_text("from gridledger.contract import Contract\n")
    packages = []
    for name in ("one.tar.gz", "two.tar.gz"):
        assert cli.main(["chaincode", "pack", str(tmp_path / "code"), "--output", str(tmp_path / name)]) == 0
        packages.append(((tmp_path / name).read_bytes(), capsys.readouterr().out))
    assert packages[0] == packages[1]
    assert len(packages[0][1].strip()) == 64
