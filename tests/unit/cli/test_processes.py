"""The commands on single processes, and ``reset``: what they ask, refuse and leave."""

from __future__ import annotations

import io
import json
from pathlib import Path

import pytest

from gridledger import cli
from gridledger.network.bootstrap import prepare
from gridledger.network.folder import NetworkFolder
from gridledger.network.schema import load_network_config
from tests.support.processes import REPOSITORY


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    root = tmp_path / "network"
    prepare(load_network_config(REPOSITORY / "network-config" / "no-shard.yaml"), NetworkFolder(root))
    return root


@pytest.mark.parametrize(("answer", "code", "stays"), [("n\n", 130, True), ("", 130, True), ("y\n", 0, False)])
def test_reset_asks_first(folder: Path, monkeypatch: pytest.MonkeyPatch, answer: str, code: int, stays: bool) -> None:
    monkeypatch.setattr("sys.stdin", io.StringIO(answer))
    assert cli.main(["reset", "--dir", str(folder)]) == code
    assert folder.exists() == stays


def test_reset_tells_what_it_left(folder: Path, capsys: pytest.CaptureFixture[str]) -> None:
    (folder / "notes.txt").write_text("mine")
    assert cli.main(["reset", "--yes", "--json", "--dir", str(folder)]) == 0
    assert json.loads(capsys.readouterr().out) == {"folder": str(folder), "left": [str(folder / "notes.txt")]}


@pytest.mark.parametrize("command", [["stop", "peer1"], ["start", "peer1"], ["reset", "--yes"]])
def test_where_no_network_is_one_line_says_so(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], command: list[str]
) -> None:
    assert cli.main([*command, "--dir", str(tmp_path)]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: ")
    assert said.count("\n") == 1
