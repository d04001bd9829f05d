"""docs/architecture.md names functions that are there, and defaults as the code has them."""

from __future__ import annotations

import ast
import re
from pathlib import Path
from typing import Any

from gridledger.protocol.limits import BatchLimits, TransactionLimits
from services.orderer.raft.interface import RaftSettings
from services.orderer.settings import OrdererSettings
from services.peer.settings import PeerSettings

ROOT = Path(__file__).parents[3]
TEXT = (ROOT / "docs/architecture.md").read_text()
TOUR = TEXT.partition("## One transaction")[2].partition("\n## ")[0]
BOUNDS = TEXT.partition("## Every bound")[2].partition("\n## ")[0]

CODE = re.compile(r"`([^`]+)`")
DEFAULT = re.compile(r"`([\w.]+)` = ([\d.,]*\d)(?: (KiB|MiB|GiB))?")
UNITS = {"": 1, "KiB": 2**10, "MiB": 2**20, "GiB": 2**30}


def rows(section: str) -> list[list[str]]:
    """The cells of a section's table rows, without heads and rulers."""
    found = [[cell.strip() for cell in line.strip("|").split("|")] for line in section.splitlines() if line[:1] == "|"]
    return [cells for cells in found if cells[0] not in ("file", "#", "") and not cells[0].startswith("---")]


def definitions(path: str) -> set[str]:
    """A module's functions, and its classes' methods with the class's name."""
    module = ast.parse((ROOT / path).read_text())
    names: set[str] = set()
    for node in module.body:
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            names.add(node.name)
        elif isinstance(node, ast.ClassDef):
            names |= {f"{node.name}.{item.name}" for item in node.body if hasattr(item, "name")}
    return names


def constants(path: str) -> dict[str, float]:
    """A module's constants, its classes' defaults and its arguments' defaults, as far as they are numbers."""
    found: dict[str, float] = {}
    for node in ast.walk(ast.parse((ROOT / path).read_text())):
        pairs: list[tuple[Any, ast.expr | None]] = []
        if isinstance(node, ast.Assign):
            pairs = [(target, node.value) for target in node.targets]
        elif isinstance(node, ast.AnnAssign):
            pairs = [(node.target, node.value)]
        elif isinstance(node, ast.arguments):
            pairs = [(ast.Name(item.arg), value) for item, value in zip(node.kwonlyargs, node.kw_defaults, strict=True)]
        for target, value in pairs:
            if isinstance(target, ast.Name) and value is not None and (number := as_number(value)) is not None:
                found[target.id] = number
    return found


def as_number(value: ast.expr) -> float | None:
    if isinstance(value, ast.Constant) and isinstance(value.value, int | float):
        return value.value
    if isinstance(value, ast.BinOp):
        left, right = as_number(value.left), as_number(value.right)
        if left is not None and right is not None:
            powers = {ast.Mult: lambda: left * right, ast.Pow: lambda: left**right, ast.LShift: lambda: left * 2**right}
            work = powers.get(type(value.op))
            return work() if work is not None else None
    return None


def setting(owner: str, name: str) -> float:
    """The default of a setting: ``owner`` is peer, orderer, channel or raft; ``name`` such as edge.max_streams."""
    if owner == "raft":
        return getattr(RaftSettings(), name)
    part, member = name.split(".")
    if owner == "channel":
        return getattr({"batch": BatchLimits(), "limits": TransactionLimits()}[part], member)
    service = PeerSettings if owner == "peer" else OrdererSettings
    return getattr(service.model_fields[part].default, member)


def test_the_tours_functions_are_in_their_files() -> None:
    gone: list[str] = []
    for files, functions, _ in rows(TOUR):
        there = set().union(*(definitions(path) for path in CODE.findall(files)))
        gone += [f"{files}: {name}" for name in CODE.findall(functions) if name not in there]
    assert gone == []


def test_the_defaults_of_bounds_are_the_codes() -> None:
    wrong: list[str] = []
    for number, _, files, default, reached, _ in rows(BOUNDS):
        here: dict[str, float] = {}
        for path in CODE.findall(files):
            here |= constants(path)
        for part in re.split(r"[;(]", f"{default}; {reached}"):
            owner = re.search(r"\b(peer|orderer|channel|raft) `", part)
            for name, shown, unit in DEFAULT.findall(part):
                value = setting(owner[1], name) if owner else here.get(name)
                if value != float(shown.replace(",", "")) * UNITS[unit]:
                    wrong.append(f"row {number}: {name} is {value}")
    assert wrong == []


def test_the_bounds_are_numbered_in_order() -> None:
    assert [cells[0] for cells in rows(BOUNDS)] == [str(number) for number in range(1, len(rows(BOUNDS)) + 1)]


def test_the_tour_and_the_bounds_are_found_on_the_page() -> None:
    assert len(rows(TOUR)) > 40
    assert sum(len(DEFAULT.findall(f"{cells[3]}; {cells[4]}")) for cells in rows(BOUNDS)) > 80
