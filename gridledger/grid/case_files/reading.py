"""A case's file, read by what its name ends in."""

from __future__ import annotations

import gzip
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

from gridledger import jsontext
from gridledger.errors import MalformedJSON
from gridledger.extras import MissingExtra
from gridledger.grid.case_files.built_in import tables_of_form
from gridledger.grid.case_files.child import CaseFileChild
from gridledger.grid.case_files.tables import CaseFileError, CaseTables

MAX_BYTES = 64 * 1024 * 1024
_MAX_JSON_DEPTH = 40


def read_tables(path: Path) -> CaseTables:
    """The tables of a file .m, .mat, .xlsx or .json (a pandapower net, or the built-in form), each also with .gz.

    Raises CaseFileError.
    """
    kind = path.with_suffix("") if path.suffix == ".gz" else path
    reader = _READERS.get(kind.suffix)
    if reader is None:
        raise CaseFileError(f"{path.name} is no case file: its name ends in {', '.join(_READERS)}")
    return reader(kind.stem, _content(path))


def _content(path: Path) -> bytes:
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read(MAX_BYTES + 1)
    except FileNotFoundError:
        raise CaseFileError(f"there is no file {path}") from None
    except (OSError, EOFError, ValueError, zlib.error) as error:  # ValueError: a name with a zero byte
        raise CaseFileError(f"{path} cannot be read: {error}") from None
    if len(data) > MAX_BYTES:
        raise CaseFileError(f"{path} has more than {MAX_BYTES // 2**20} MiB")
    return data


def _of_text(name: str, data: bytes) -> CaseTables:
    try:
        from gridledger.grid.case_files.matpower_text import tables_of_text  # noqa: PLC0415 -- takes half a second
    except ImportError as error:
        raise MissingExtra("a case file .m", "matpowercaseframes", "feeder") from error
    return tables_of_text(name, data.decode("utf-8", errors="replace"))


def _in_child(kind: str) -> Callable[[str, bytes], CaseTables]:
    def read(name: str, data: bytes) -> CaseTables:
        with CaseFileChild() as child:
            return child.tables(kind, name, data)

    return read


def _of_json(name: str, data: bytes) -> CaseTables:
    try:
        value = jsontext.loads(data, _MAX_JSON_DEPTH)
    except MalformedJSON as error:
        raise CaseFileError(f"{name}: {error}") from None
    if not isinstance(value, Mapping):
        raise CaseFileError(f"{name}: neither a pandapower net nor a case in the built-in form")
    if "_object" not in value:
        return tables_of_form(name, value)
    if value.get("_class") != "pandapowerNet":
        raise CaseFileError(f"{name}: a pandapower object, but no net")
    return _in_child(".json")(name, data)  # pandapower makes arrays as long as the numbers that a net names


_READERS: Mapping[str, Callable[[str, bytes], CaseTables]] = {
    ".m": _of_text,
    ".mat": _in_child(".mat"),
    ".xlsx": _in_child(".xlsx"),
    ".json": _of_json,
}
