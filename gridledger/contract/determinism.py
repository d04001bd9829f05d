"""A check of a chaincode's source for what makes peers' results differ: clocks, randomness, files, functions of libm.

It reads the source and runs nothing. It helps authors and guarantees nothing: what it does not see (a library that
reads the clock) shows when peers' results differ and the transaction is not endorsed.
"""

from __future__ import annotations

import ast
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Final, NamedTuple

_CLOCK: Final = "a contract's only clock is ctx.stub.get_tx_timestamp()"
_RANDOM: Final = "every peer would draw another number; take it from an argument or from the transaction's id"
_OUTSIDE: Final = "a contract sees its arguments and the world state, nothing of the machine that it runs on"
_PARALLEL: Final = "the order in which things happen would differ from peer to peer"
_LIBM: Final = "its last digit differs from one C library to the next; + - * / and math.sqrt are the same everywhere"
_PROCESSOR: Final = "its sums and functions differ from one processor and version to the next"
_SUM: Final = "it adds floats otherwise from Python 3.12 on; use math.fsum, or add in a loop (whole numbers are safe)"
_TABLES: Final = "its tables differ from one version to the next"
_MODULES: Final = {
    **dict.fromkeys(("time", "sched", "timeit"), _CLOCK),
    **dict.fromkeys(("random", "secrets", "uuid"), _RANDOM),
    **dict.fromkeys(
        ("ctypes", "ftplib", "getpass", "glob", "http", "locale", "multiprocessing", "os", "platform", "shutil",
         "signal", "smtplib", "socket", "ssl", "subprocess", "tempfile", "urllib"),
        _OUTSIDE,
    ),
    **dict.fromkeys(("_thread", "asyncio", "concurrent", "threading"), _PARALLEL),
    **dict.fromkeys(("jax", "numba", "numpy", "pandas", "scipy", "torch"), _PROCESSOR),
    **dict.fromkeys(("unicodedata", "zoneinfo"), _TABLES),
    "cmath": _LIBM,
}  # fmt: skip
_HARMLESS: Final = frozenset(("urllib.parse", "os.path"))
_BUILTINS: Final = {
    "id": "an object's address differs from process to process",
    "hash": "the hash of a string differs from process to process",
    "input": _OUTSIDE,
    "open": _OUTSIDE,
}
_NOW: Final = frozenset(("now", "utcnow", "today"))
_DATES: Final = frozenset(("datetime", "date"))
_TRANSCENDENTAL: Final = frozenset(
    ("acos", "acosh", "asin", "asinh", "atan", "atan2", "atanh", "cbrt", "cos", "cosh", "dist", "erf", "erfc", "exp",
     "exp2", "expm1", "gamma", "hypot", "lgamma", "log", "log10", "log1p", "log2", "pow", "sin", "sinh", "tan", "tanh")
)  # fmt: skip


class DeterminismWarning(NamedTuple):
    """One doubtful place: the file, relative to the folder; what stands there, and why it is doubtful."""

    file: str
    line: int
    what: str
    why: str

    def __str__(self) -> str:
        return f"{self.file}:{self.line}: {self.what}: {self.why}"


def check_package(folder: Path) -> list[DeterminismWarning]:
    """The doubtful places in the Python files of a chaincode's folder, hidden ones left out; by file and line."""
    found: list[DeterminismWarning] = []
    for path in sorted(folder.rglob("*.py")):
        inside = path.relative_to(folder)
        if any(part.startswith(".") for part in inside.parts):
            continue
        try:
            with warnings.catch_warnings(action="ignore"):
                tree = ast.parse(path.read_bytes())
        except (SyntaxError, ValueError, RecursionError, MemoryError):
            continue  # importing it says so with more to show
        found += [DeterminismWarning(inside.as_posix(), *doubt) for doubt in sorted(set(_doubts(tree)))]
    return found


_Doubt = tuple[int, str, str]


def _doubts(tree: ast.Module) -> Iterator[_Doubt]:
    defined = {node.name for node in ast.walk(tree) if isinstance(node, ast.FunctionDef)}
    math = _names_of_math(tree)
    for node in ast.walk(tree):
        match node:
            case ast.Import() | ast.ImportFrom():
                yield from _imports(node)
            case ast.Call(func=ast.Name(id=name)) if name not in defined:
                yield from _builtin(node, name)
            case ast.Call(func=ast.Attribute(attr=attr, value=owner)) if attr in _NOW and _name(owner) in _DATES:
                yield node.lineno, f"{_name(owner)}.{attr}()", _CLOCK
            case ast.Attribute(attr=attr, value=ast.Name(id=name)) if name in math:
                yield from _function_of_math(node.lineno, attr)
            case ast.BinOp(op=ast.Pow(), left=left, right=right) if _is_float(left) or _is_float(right):
                yield node.lineno, "** of a float", _LIBM
            case ast.For(iter=iterated) | ast.comprehension(iter=iterated) if _is_set(iterated):
                yield iterated.lineno, "iterates over a set", "its order may differ from peer to peer; use sorted()"


def _imports(node: ast.Import | ast.ImportFrom) -> Iterator[_Doubt]:
    match node:
        case ast.Import(names=names):
            for alias in names:
                yield from _import(node.lineno, alias.name)
        case ast.ImportFrom(module="math", level=0, names=names):
            for alias in names:
                yield from _function_of_math(node.lineno, alias.name)
        case ast.ImportFrom(module=str(module), level=0):
            yield from _import(node.lineno, module)


def _builtin(call: ast.Call, name: str) -> Iterator[_Doubt]:
    if name in _BUILTINS:
        yield call.lineno, f"{name}()", _BUILTINS[name]
    elif name == "sum" and call.args and not _counts(call.args[0]):
        yield call.lineno, "sum()", _SUM


def _import(line: int, module: str) -> Iterator[_Doubt]:
    reason = None if module in _HARMLESS else _MODULES.get(module.partition(".")[0])
    if reason is not None:
        yield line, f"imports {module}", reason


def _names_of_math(tree: ast.Module) -> set[str]:
    imports = [node for node in ast.walk(tree) if isinstance(node, ast.Import)]
    return {alias.asname or alias.name for node in imports for alias in node.names if alias.name == "math"}


def _function_of_math(line: int, name: str) -> Iterator[_Doubt]:
    if name in _TRANSCENDENTAL:
        yield line, f"math.{name}", _LIBM


def _name(node: ast.expr) -> str:
    return node.id if isinstance(node, ast.Name) else node.attr if isinstance(node, ast.Attribute) else ""


def _is_float(node: ast.expr) -> bool:
    if isinstance(node, ast.UnaryOp):
        node = node.operand
    return isinstance(node, ast.Constant) and isinstance(node.value, float)


def _counts(added: ast.expr) -> bool:
    """Whether whole numbers are added for certain: constants, or lengths."""
    item = added.elt if isinstance(added, ast.GeneratorExp | ast.ListComp) else None
    if isinstance(item, ast.Constant):
        return isinstance(item.value, int)
    return isinstance(item, ast.Call) and _name(item.func) == "len"


def _is_set(node: ast.expr) -> bool:
    if isinstance(node, ast.Set | ast.SetComp):
        return True
    return isinstance(node, ast.Call) and _name(node.func) in {"set", "frozenset"} and isinstance(node.func, ast.Name)
