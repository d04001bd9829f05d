"""Docstrings mark code in one way: two backticks, or a role such as ``:class:``."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.processes import REPOSITORY

ROOMS = ("gridledger", "services", "chaincode", "benchmarks", "docs", "docker", "tests")
SINGLE_BACKTICKS = re.compile(r"(?<![`:\w.)\]])`(?!`)[^`\n]+`(?!`)")
ONE_BACKTICK = re.compile(r"((?<![`:\w.)\]])|\\\w)`(?!`)")
"""Without it in the file, also behind a ``\\n``, no docstring has what is looked for, and nothing need be parsed."""


def docstrings(path: Path) -> Iterator[tuple[int, str]]:
    source = path.read_text()
    if not ONE_BACKTICK.search(source):
        return
    for node in ast.walk(ast.parse(source)):
        match node:
            case ast.Expr(value=ast.Constant(value=str(text))):
                yield node.lineno, text


@pytest.mark.parametrize("room", ROOMS)
def test_code_in_docstrings_stands_in_two_backticks(room: str) -> None:
    wrong = [
        f"{path.relative_to(REPOSITORY)}:{line}: {found[0]}"
        for path in sorted((REPOSITORY / room).rglob("*.py"))
        for line, text in docstrings(path)
        for found in SINGLE_BACKTICKS.finditer(text)
    ]
    assert wrong == []
