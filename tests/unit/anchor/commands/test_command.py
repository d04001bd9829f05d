"""``gridledger anchor``: its subcommands, and what it says of wrong usage."""

from __future__ import annotations

from pathlib import Path

import pytest

from services.anchor.__main__ import SUBCOMMANDS, main


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
