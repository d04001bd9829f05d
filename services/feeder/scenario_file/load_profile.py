"""Load profiles: CSV with the columns time, bus, P, Q (seconds, MW, MVAr). A load stands until its bus's next row."""

from __future__ import annotations

import csv
import math
from pathlib import Path
from typing import Final

from gridledger.errors import InputError
from gridledger.yaml_file import read_text

MAX_BYTES: Final = 16 * 1024 * 1024
MAX_ROWS: Final = 500_000
_HEADER: Final = ["time", "bus", "p", "q"]
_MAX_POWER: Final = 1e6

Row = tuple[float, int, float, float]


def read_load_profile(path: Path) -> list[list[Row]]:
    """The rows of a profile, those of one time together. :class:`InputError` names the file and the line."""
    text = read_text(path, what="a load profile", most=MAX_BYTES)
    rows = csv.reader(text.splitlines(), strict=True)
    try:
        header = [name.strip().lower() for name in next(rows, [])]
        if header != _HEADER:
            raise ValueError("the first line must be time,bus,P,Q")
        found: list[list[Row]] = []
        for fields in rows:
            if rows.line_num > MAX_ROWS:
                raise ValueError(f"a load profile has at most {MAX_ROWS} rows")
            row = _row(fields)
            if found and row[0] < found[-1][0][0]:
                raise ValueError("times must not go back")
            if found and row[0] == found[-1][0][0]:
                found[-1].append(row)
            else:
                found.append([row])
    except (ValueError, csv.Error) as error:
        raise InputError(f"{path}: line {max(1, rows.line_num)}: {error}") from None
    if not found:
        raise InputError(f"{path}: line 1: there is no row")
    return found


def _row(fields: list[str]) -> Row:
    if len(fields) != len(_HEADER):
        raise ValueError(f"a row has time, bus, P and Q, this one has {len(fields)} fields")
    time_s, p, q = float(fields[0]), float(fields[2]), float(fields[3])
    if not (math.isfinite(time_s) and time_s >= 0.0):
        raise ValueError("a time is at least 0")
    if not (abs(p) <= _MAX_POWER and abs(q) <= _MAX_POWER):
        raise ValueError(f"P and Q lie between -{_MAX_POWER:g} and {_MAX_POWER:g}")
    return time_s, int(fields[1]), p, q
