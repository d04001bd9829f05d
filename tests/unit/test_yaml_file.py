"""YAML files whose values no reader can make are refused in one line."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.errors import InputError
from gridledger.yaml_file import parse_yaml, read_text
from services.feeder.scenario_file.reading import read_scenario


@pytest.mark.parametrize(
    "text", ["a: !!bool maybe", "a: !!int ''", "a: !!float ''", "a: !!timestamp then", "a: " + "1:" * 200 + "1.0"]
)
def test_a_value_that_cannot_be_made_is_refused(text: str) -> None:
    with pytest.raises(InputError, match="no form: "):
        parse_yaml(text, what="a form", members="a")


def test_a_number_that_no_message_can_hold_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "one.yaml"
    path.write_text(f"name: 0x{'f' * 6000}")
    with pytest.raises(InputError, match="name, line 1: must be a text"):
        read_scenario(path)


def test_a_name_with_a_zero_byte_is_refused() -> None:
    with pytest.raises(InputError, match="null byte"):
        read_text(Path("one\0.yaml"), what="a form", most=10)
