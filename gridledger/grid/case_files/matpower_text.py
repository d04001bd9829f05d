"""MATPOWER's case files as MATLAB text (.m), by matpowercaseframes' reader.

That reader takes the first ``mpc.TABLE = [...]`` that it finds and nothing else, so what would make a difference in
MATLAB is refused here: tables that are computed or set twice. So is version 1 of the format, with fewer columns of
generators and branches: MATPOWER turns it into version 2.
"""

from __future__ import annotations

import re

from matpowercaseframes.reader import parse_file

from gridledger.grid.case_files.tables import CaseFileError, CaseTables, table_of

_TEXT_OR_COMMENT = re.compile(r"'[^'\n]*'|%[^\n]*")
_CONTINUED = re.compile(r"\.\.\.[^\n]*(?:\n|\Z)")
_MAX_LINES = 2_000_000
_USED = re.compile(r"\bmpc\.(baseMVA|bus|gen|branch)\b(?P<plain>[ \t]*=(?!=))?")
_VERSION = re.compile(r"\bmpc\.version\s*=\s*['\"]?\s*(?P<number>[^'\";,\s]*)")
_VERSION_1 = re.compile(r"^[ \t]*function\s*\[\s*baseMVA\b|^[ \t]*(?:baseMVA|bus|gen|branch)[ \t]*=(?!=)", re.MULTILINE)
"""Version 1 has no struct: the function gives back its tables one by one."""
_TABLE = re.compile(r"\bmpc\.(?:bus|gen|branch)\s*=\s*\[(?P<rows>[^\]]*)\]")


def tables_of_text(name: str, text: str) -> CaseTables:
    """The tables of the text of a case file. Raises CaseFileError."""
    if text.count("\n") + text.count(";") > _MAX_LINES:
        raise CaseFileError(f"{name}: has more than {_MAX_LINES} lines or rows")
    text = _without_comments(text.replace("\r\n", "\n"))
    _check_version(name, text)
    _refuse_computation(name, text)
    text = _TABLE.sub(lambda table: table[0].replace(",", " ").replace(";", ";\n"), text)
    return CaseTables(
        name,
        _base_mva(name, text),
        *(table_of(name, table, _rows(name, text, table)) for table in ("bus", "gen", "branch")),
    )


def _without_comments(text: str) -> str:
    """Lines keep their numbers. Block comments nest; one that is not closed goes on to the end."""
    lines, depth = text.split("\n"), 0
    for at, line in enumerate(lines):
        bare = line.strip(" \t")
        depth += bare == "%{"
        if depth:
            lines[at] = ""
        depth -= bool(depth) and bare == "%}"
    return _TEXT_OR_COMMENT.sub(lambda part: part[0] if part[0].startswith("'") else "", "\n".join(lines))


def _check_version(name: str, text: str) -> None:
    found = _VERSION.search(text) or (None if _USED.search(text) else _VERSION_1.search(text))
    version = "2" if found is None else found.groupdict().get("number", "1")
    if found is None or version in ("2", "2.0"):
        return
    line = text.count("\n", 0, found.start() + len(found[0]) - len(found[0].lstrip())) + 1
    raise CaseFileError(
        f"{name}: line {line}: this is version {version} of MATPOWER's case format, and only version 2 is read; "
        f"in MATPOWER, savecase('{name}_2.m', loadcase('{name}.m')) writes it",
        line=line,
    )


def _refuse_computation(name: str, text: str) -> None:
    seen: dict[str, int] = {}
    for use in _USED.finditer(text):
        line = text.count("\n", 0, use.start()) + 1
        table = use[1]
        if use["plain"] is None or table in seen:
            what = f"sets mpc.{table} a second time" if table in seen and use["plain"] else f"computes with mpc.{table}"
            raise CaseFileError(
                f"{name}: line {line} {what}, which needs MATLAB: load the case there and write it with savecase",
                line=line,
            )
        seen[table] = line


def _from(table: str, text: str) -> str:
    """The text from where a table is set: the reader would also find it at the end of a longer name."""
    found = re.search(rf"\bmpc\.{table}\b", text)
    return "" if found is None else text[found.start() :]


def _base_mva(name: str, text: str) -> float:
    found = parse_file("baseMVA", _from("baseMVA", text))
    try:
        return float(found[0][0])
    except (TypeError, ValueError, IndexError):
        raise CaseFileError(f"{name}: there is no mpc.baseMVA = ...; with one number") from None


def _rows(name: str, text: str, table: str) -> list[list[object]]:
    rows: list[list[object]] | None = parse_file(table, _CONTINUED.sub(" ", _from(table, text)))
    if rows is None:
        raise CaseFileError(f"{name}: there is no mpc.{table} = [...]; is this a MATPOWER case of version 2?")
    return rows
