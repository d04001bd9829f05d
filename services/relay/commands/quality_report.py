"""The operator's power-quality report: a CSV file of statistics, row by row. Reading it needs no ledger."""

from __future__ import annotations

import csv
import io
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger.errors import GridLedgerError, InputError, LimitError
from gridledger.field.capture import MEASURES, UNITS
from gridledger.field.minutes import minute_of
from services.relay.commands.files import read_bytes
from services.relay.statistics import SHARE_OUTSIDE, STATISTICS

COLUMNS: Final = ("from", "to", "measure", "statistic", "value", "unit")
WINDOWS: Final = {10: "10 minutes", 60: "an hour", 10_080: "a week"}
"""The lengths of windows, in minutes."""
MAX_BYTES: Final = 16 * 2**20
MAX_ROWS: Final = 100_000

_PERCENT: Final = 100.0


@dataclass(frozen=True, slots=True)
class ReportRow:
    """A line of the report. ``begin`` and ``end`` are epoch minutes, the end is not in the window; a ``share_outside``
    is a share of 1, whatever its unit was."""

    line: int
    begin: int
    end: int
    measure: str
    statistic: str
    value: float
    unit: str = ""
    """As the report has it: of a ``share_outside`` ``%``, or ``1`` or nothing."""

    @property
    def window(self) -> tuple[int, int]:
        """Begin and end."""
        return self.begin, self.end


@dataclass(frozen=True, slots=True)
class BadRow:
    """A line that cannot be used: its column, and why."""

    line: int
    field: str
    why: str

    def __str__(self) -> str:
        """One line for people."""
        return f"line {self.line}: {self.field}: {self.why}"


class _BadField(Exception):
    def __init__(self, field: str, why: str) -> None:
        super().__init__(why)
        self.bad = (field, why)


def read_report(path: Path) -> tuple[list[ReportRow], list[BadRow]]:
    """The rows of a report, and those that cannot be used.

    Raises :class:`InputError` where the file is no report at all, :class:`LimitError` beyond 16 MiB or 100,000 rows.
    """
    data = read_bytes(path, MAX_BYTES)
    if len(data) > MAX_BYTES:
        raise LimitError(f"{path}: a report has at most {MAX_BYTES} bytes")
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise InputError(f"{path}: bytes: not UTF-8 at byte {error.start}") from None
    return parse_report(text)


def parse_report(text: str) -> tuple[list[ReportRow], list[BadRow]]:
    """As :func:`read_report`, of a text. The first line names the columns, in any order; empty lines are left out."""
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    rows: list[ReportRow] = []
    bad: list[BadRow] = []
    order: dict[str, int] | None = None
    try:
        for cells in reader:
            if not any(map(str.strip, cells)):
                continue
            if order is None:
                order = _columns(cells)
                continue
            if len(rows) + len(bad) >= MAX_ROWS:
                raise LimitError(f"line {reader.line_num}: a report has at most {MAX_ROWS} rows")
            try:
                rows.append(_row(reader.line_num, cells, order))
            except _BadField as fault:
                bad.append(BadRow(reader.line_num, *fault.bad))
    except csv.Error as error:
        raise InputError(f"line {reader.line_num}: the report is no CSV: {error}") from None
    if order is None:
        raise InputError(f"line 1: the report is empty; its first line is {','.join(COLUMNS)}")
    return rows, bad


def _columns(cells: list[str]) -> dict[str, int]:
    names = [cell.strip() for cell in cells]
    if sorted(names) != sorted(COLUMNS):
        raise InputError(f"line 1: the report's columns are {','.join(COLUMNS)}, not {','.join(names)[:80]}")
    return {name: index for index, name in enumerate(names)}


def _row(line: int, cells: list[str], order: dict[str, int]) -> ReportRow:
    if len(cells) != len(COLUMNS):
        raise _BadField("row", f"{len(cells)} fields in place of {len(COLUMNS)}")
    field = {name: cells[index].strip() for name, index in order.items()}
    begin, end = _minute(field, "from"), _minute(field, "to")
    if end - begin not in WINDOWS:
        raise _BadField("to", f"a window has {', '.join(WINDOWS.values())}, not {end - begin} minutes")
    measure = _one_of(field, "measure", MEASURES)
    statistic = _one_of(field, "statistic", (*STATISTICS, SHARE_OUTSIDE))
    return ReportRow(line, begin, end, measure, statistic, _value(field, measure, statistic), field["unit"])


def _minute(field: dict[str, str], name: str) -> int:
    try:
        return minute_of(field[name], name)
    except GridLedgerError as error:
        raise _BadField(name, error.message.removeprefix(f"{name}: ")) from None


def _one_of(field: dict[str, str], name: str, known: tuple[str, ...]) -> str:
    if field[name] not in known:
        raise _BadField(name, f"{field[name][:40]!r} is none of {', '.join(known)}")
    return field[name]


def _value(field: dict[str, str], measure: str, statistic: str) -> float:
    try:
        value = float(field["value"])
    except ValueError:
        value = math.nan
    if not math.isfinite(value):
        raise _BadField("value", f"{field['value'][:40]!r} is no number")
    if statistic == SHARE_OUTSIDE:
        if field["unit"] not in {"", "1", "%"}:
            raise _BadField("unit", f"{field['unit'][:20]!r} is none of 1, %")
        value = value / _PERCENT if field["unit"] == "%" else value
        if not 0.0 <= value <= 1.0:
            raise _BadField("value", "a share lies between 0 and 1 (0 and 100 %)")
    elif field["unit"] != UNITS[measure] and not (UNITS[measure] == "" and field["unit"] == "1"):
        raise _BadField("unit", f"{measure} is in {UNITS[measure] or '1'}, not {field['unit'][:20]!r}")
    return value
