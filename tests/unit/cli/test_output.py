"""What people read: whole in a pipe, without control characters."""

from __future__ import annotations

import pytest

from gridledger.cli.output import say_fields, say_table, time_text


def test_a_table_in_a_pipe_is_whole_and_without_colours(capsys: pytest.CaptureFixture[str]) -> None:
    long = "x" * 500
    say_table(("name", "value"), [("a", long), ("bcdef", 1)])
    assert capsys.readouterr().out == f"name   value\na      {long}\nbcdef  1\n"


def test_markup_and_control_characters_are_shown_as_text(capsys: pytest.CaptureFixture[str]) -> None:
    say_table(("name",), [("[red]a[/red]",), ("b\x1b[31m\nc",)])
    assert capsys.readouterr().out == "name\n[red]a[/red]\nb [31m c\n"


def test_fields_stand_in_a_column(capsys: pytest.CaptureFixture[str]) -> None:
    say_fields({"a": 1, "long name": "x\ny", "empty": ""})
    assert capsys.readouterr().out == "a          1\nlong name  x y\nempty\n"


def test_a_time_is_utc_and_any_number_has_a_text() -> None:
    assert time_text(1_795_958_913_262_308) == "2026-11-29 13:28:33.262"
    assert time_text(10**30) == str(10**30)
