"""The pages on security and testing name tests that there are."""

from __future__ import annotations

import ast
import re
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[3]
_TEST = re.compile(r"`(tests/[\w/]+\.py)::(\w+)`")


@pytest.mark.parametrize("page", ["security.md", "testing.md"])
def test_each_test_that_is_named_is_there(page: str) -> None:
    named = _TEST.findall((ROOT / "docs" / page).read_text())
    assert len(named) > 10
    missing = [f"{file}::{name}" for file, name in named if name not in _tests_in(ROOT / file)]
    assert missing == []


def _tests_in(file: Path) -> set[str]:
    nodes = ast.walk(ast.parse(file.read_text())) if file.exists() else ()
    return {node.name for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)}
