"""A check of a chaincode's source for what makes peers' results differ: clocks, randomness, addresses, files.

It reads the source and runs nothing. It helps authors and guarantees nothing: what it does not see (a library that
reads the clock) shows when peers' results differ and the transaction is not endorsed.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path
from typing import Final

_CLOCK: Final = "a contract's only clock is ctx.stub.get_tx_timestamp()"
_RANDOM: Final = "every peer would draw another number; take it from an argument or from the transaction's id"
_OUTSIDE: Final = "a contract sees its arguments and the world state, nothing of the machine that it runs on"
_PARALLEL: Final = "the order in which things happen would differ from peer to peer"
_MODULES: Final = {
    **dict.fromkeys(("time", "sched", "timeit"), _CLOCK),
    **dict.fromkeys(("random", "secrets", "uuid"), _RANDOM),
    **dict.fromkeys(
        ("ctypes", "ftplib", "getpass", "glob", "http", "multiprocessing", "os", "platform", "shutil", "signal",
         "smtplib", "socket", "ssl", "subprocess", "tempfile", "urllib"),
        _OUTSIDE,
    ),
    **dict.fromkeys(("_thread", "asyncio", "concurrent", "threading"), _PARALLEL),
}  # fmt: skip
_HARMLESS: Final = frozenset(("urllib.parse", "os.path"))
_BUILTINS: Final = {
    "id": "an object's address differs from process to process",
    "hash": "the hash of a string differs from process to process",
    "input": _OUTSIDE,
}
_NOW: Final = frozenset(("now", "utcnow", "today"))
_DATES: Final = frozenset(("datetime", "date"))


def findings(folder: Path) -> list[str]:
    """One line for each doubtful place: file, line number, what it is and what to do instead."""
    found: list[str] = []
    for path in sorted(folder.rglob("*.py")):
        try:
            tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError):
            continue  # importing it says so with more to show
        lines = sorted(set(_doubts(tree)))
        found += [f"{path.relative_to(folder)}:{line}: {text}" for line, text in lines]
    return found


def _doubts(tree: ast.Module) -> Iterator[tuple[int, str]]:
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    for node in ast.walk(tree):
        match node:
            case ast.Import(names=names):
                for alias in names:
                    yield from _import(node.lineno, alias.name)
            case ast.ImportFrom(module=str(module), level=0):
                yield from _import(node.lineno, module)
            case ast.Call(func=ast.Name(id=name)) if name in _BUILTINS and name not in defined:
                yield node.lineno, f"{name}(): {_BUILTINS[name]}"
            case ast.Call(func=ast.Attribute(attr=attr, value=owner)) if attr in _NOW and _name(owner) in _DATES:
                yield node.lineno, f"{_name(owner)}.{attr}(): {_CLOCK}"
            case ast.For(iter=iterated) | ast.comprehension(iter=iterated) if _is_set(iterated):
                yield iterated.lineno, "iterates over a set: its order may differ from peer to peer; use sorted()"


def _import(line: int, module: str) -> Iterator[tuple[int, str]]:
    reason = None if module in _HARMLESS else _MODULES.get(module.partition(".")[0])
    if reason is not None:
        yield line, f"imports {module}: {reason}"


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return isinstance(node, ast.Call) and _name(node.func) in {"set", "frozenset"} and isinstance(node.func, ast.Name)
