"""docs/anchors.md names the functions and events of the contract, alarms and tests that there are, and no others."""

from __future__ import annotations

import re
from pathlib import Path

from services.anchor.alarms import KINDS
from tests.support.anchors_channel import ANCHORS, chaincode
from tests.unit.docs.test_security import _tests_in

ROOT = Path(__file__).parents[3]
PAGE = (ROOT / "docs" / "anchors.md").read_text()
CONTRACT = PAGE.partition("### The contract")[2].partition("\n### ")[0]


def names(text: str) -> list[str]:
    return re.findall(r"`([^`]+)`", text)


def rows(text: str) -> list[list[str]]:
    return [line.strip("|").split(" | ") for line in text.splitlines() if line.startswith("| `")]


def test_the_tables_have_every_function_and_event() -> None:
    functions = {name: function for name, (_, function) in chaincode().functions.items() if function is not None}
    told = [name.split(" ")[0] for row in rows(CONTRACT) for name in names(row[0])]
    assert set(told) == set(functions)
    queries = {name for name, function in functions.items() if function.readonly}
    assert {name.split(" ")[0] for row in rows(CONTRACT) if len(row) == 2 for name in names(row[0])} == queries
    source = "".join(path.read_text() for path in ANCHORS.glob("*.py"))
    events = {name for call in re.findall(r"set_event\((.*),", source) for name in re.findall(r'"(\w+)"', call)}
    assert {name for row in rows(CONTRACT) if len(row) > 2 for name in names(row[-1])} == events


def test_every_alarm_is_told() -> None:
    table = PAGE.partition("| alarm |")[2].partition("\n\n")[0]
    assert sorted(name for row in rows(table) for name in names(row[0])) == sorted(KINDS)


def test_each_test_that_is_named_is_there() -> None:
    named = re.findall(r"`(tests/[\w/]+\.py)::(\w+)`", PAGE)
    assert len(named) > 10
    assert [f"{file}::{name}" for file, name in named if name not in _tests_in(ROOT / file)] == []
