"""Makes ``verify.pyz``: the command ``case verify`` in one file, which runs on Python with cryptography alone.

It has the very sources that run here, and those that they import; in orjson's place stands
:mod:`gridledger.evidence.plain_json`. The same sources always make the same bytes. In ``verify.pyz`` itself it is that
file.
"""

from __future__ import annotations

import ast
import sys
from collections.abc import Iterator
from functools import cache
from importlib.util import find_spec
from pathlib import Path
from typing import Final
from zipimport import zipimporter

from gridledger.errors import SettingsError
from gridledger.evidence import canonical_zip

COMMAND: Final = "services.case.commands.verify"
STAND_INS: Final = {"orjson": "gridledger.evidence.plain_json"}
LIBRARIES: Final = frozenset({"cryptography", *STAND_INS})
OPTIONAL: Final = frozenset({"rfc3161_client"})
"""What is imported only when it is needed, for a time stamp; where it is missing, the command says so."""
_OURS: Final = ("gridledger", "services")
_MAIN: Final = f"""\
import sys

from {COMMAND} import main

sys.exit(main(sys.argv[1:]))
"""


@cache
def verifier() -> bytes:
    """The archive. Raises :class:`SettingsError` where a source imports what the verifier cannot have."""
    loader = None if __spec__ is None else __spec__.loader
    if isinstance(loader, zipimporter):
        return Path(loader.archive).read_bytes()
    sources = dict(sorted(_sources().items()))
    stand_ins = {f"{name}.py": _source(module)[1] for name, module in STAND_INS.items()}
    return canonical_zip.pack({"__main__.py": _MAIN.encode(), **stand_ins, **sources})


def _sources() -> dict[str, bytes]:
    """The sources of the command and of all that it imports, by their names in the archive."""
    found: dict[str, bytes] = {}
    seen: set[str] = set()
    waiting = [COMMAND]
    while waiting:
        module = waiting.pop()
        if module in seen:
            continue
        seen.add(module)
        name, source = _source(module)
        found[name] = source
        waiting += _packages_of(module)
        for imported in _imported(ast.parse(source)):
            if imported.partition(".")[0] in _OURS:
                waiting += _packages_of(imported)
                if _is_module(imported):
                    waiting.append(imported)
            else:
                _check_foreign(imported, module)
    return found


def _imported(tree: ast.AST) -> Iterator[str]:
    """Names that a source imports, at the top or inside functions; ``from a import b`` gives a and a.b."""
    for node in ast.iter_child_nodes(tree):
        if isinstance(node, ast.If) and isinstance(node.test, ast.Name) and node.test.id == "TYPE_CHECKING":
            continue
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module is not None:
            yield node.module
            yield from (f"{node.module}.{alias.name}" for alias in node.names)
        yield from _imported(node)


def _packages_of(module: str) -> list[str]:
    parts = module.split(".")
    return [".".join(parts[:count]) for count in range(1, len(parts))]


@cache
def _is_module(name: str) -> bool:
    try:
        return find_spec(name) is not None
    except ModuleNotFoundError:  # a name in a module that is no package
        return False


def _source(module: str) -> tuple[str, bytes]:
    """A module's name in the archive, and its source."""
    spec = find_spec(module)
    if spec is None or spec.origin is None:
        raise SettingsError(f"the source of {module} is not here; make packages in a checkout of GridLedger")
    path = module.replace(".", "/")
    name = f"{path}/__init__.py" if spec.submodule_search_locations is not None else f"{path}.py"
    return name, Path(spec.origin).read_bytes()


def _check_foreign(imported: str, module: str) -> None:
    library = imported.partition(".")[0]
    if library not in sys.stdlib_module_names and library not in LIBRARIES | OPTIONAL:
        raise SettingsError(f"{module} imports {library}, which a verifier with cryptography alone does not have")
