"""``gridledger anchor``: its subcommands, and what it says of wrong usage."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.client.anchors import Anchor, AnchorStatus
from gridledger.protocol.headers import HeadersPage
from gridledger.protocol.statements import Head
from services.anchor.__main__ import SUBCOMMANDS, main
from services.anchor.commands.status import rewritten_told
from tests.support.anchored_peer import headers


def test_help_lists_the_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told for name in SUBCOMMANDS)
    assert main([]) == 2


def test_an_unknown_subcommand_is_wrong_usage(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["stauts"]) == 2
    assert capsys.readouterr().err == "error: there is no subcommand 'stauts'. See gridledger anchor --help\n"


@pytest.mark.parametrize("arguments", [["status"], ["verify", "shard1"], ["forks", "shard1"]])
def test_without_a_network_one_line_says_so(
    arguments: list[str], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([*arguments, "--dir", str(tmp_path / "none")]) == 1
    said = capsys.readouterr().err
    assert said.startswith("error: there is no connection profile")
    assert said.count("\n") == 1


@pytest.mark.parametrize("arguments", [["status", "--interval", "x"], ["forks"], ["verify", "--nothing"]])
def test_wrong_options_are_wrong_usage(arguments: list[str], capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as caught:
        main(arguments)
    assert caught.value.code == 2
    assert f"See gridledger anchor {arguments[0]} --help" in capsys.readouterr().err


def test_a_chain_that_is_not_the_anchored_one_is_told() -> None:
    items = headers(6)
    last = items[4]
    head = Head("0" * 64, last.header.hash, last.commit_hash)
    status = AnchorStatus("shard1", final=Anchor("shard1", 5, head, ("Org1MSP",), None, 0))
    others = headers(6, other_from=2, before=items[:2])
    assert rewritten_told(status, HeadersPage(tuple(items[4:6]), 6)) is None
    told = rewritten_told(status, HeadersPage(tuple(others[4:6]), 6))
    assert told is not None
    assert "block 4 is not the one that was anchored: gridledger anchor verify shard1" in told
    assert rewritten_told(status, HeadersPage((), 4)) is None
    assert rewritten_told(AnchorStatus("shard1"), HeadersPage(tuple(others[:1]), 6)) is None
