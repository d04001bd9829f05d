"""The table of ``gridledger relay``'s subcommands."""

from __future__ import annotations

import importlib

import pytest

from services.relay.__main__ import SUBCOMMANDS, main


@pytest.mark.parametrize("name", SUBCOMMANDS)
def test_each_subcommand_has_a_main(name: str) -> None:
    assert callable(importlib.import_module(SUBCOMMANDS[name].module).main)


def test_help_lists_the_subcommands(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--help"]) == 0
    told = capsys.readouterr().out
    assert all(f"  {name} " in told and entry.does in told for name, entry in SUBCOMMANDS.items())
    assert main([]) == 2


def test_an_unknown_subcommand_is_told_in_one_line(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["no-such"]) == 2
    assert capsys.readouterr().err == "error: there is no subcommand 'no-such'. See gridledger relay --help\n"
