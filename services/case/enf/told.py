"""The grid's frequency as a device told it to the ledger: in events, and in the rows of batches."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, Final

from services.case.rows import Row
from services.case.rules.finding import of_kinds, told_us

_S: Final = 1_000_000


def told_frequencies(rows: Sequence[Row], device: str) -> dict[int, float]:
    """Hz by the microseconds since 1970 that the device's events of the kind ``frequency`` tell; NaN where an event has
    no number."""
    told = (row for row in of_kinds(rows, "frequency") if row.device == device)
    return {told_us(row): _number(_body(row).get("frequency_hz")) for row in told}


def batch_frequencies(columns: Mapping[str, Sequence[Any]]) -> dict[int, float]:
    """The same of the rows of a device's batches, columns ``time_us`` and ``frequency``."""
    pairs = zip(columns.get("time_us", ()), columns.get("frequency", ()), strict=False)
    return {int(at): _number(value) for at, value in pairs}


def in_seconds(frequencies: Mapping[int, float]) -> list[tuple[float, float]]:
    """Seconds since 1970 and Hz, by time."""
    return [(at / _S, frequencies[at]) for at in sorted(frequencies)]


def _body(row: Row) -> Mapping[str, Any]:
    body = row.details.get("body")
    return body if isinstance(body, dict) else {}


def _number(value: Any) -> float:
    return float(value) if isinstance(value, int | float) and not isinstance(value, bool) else math.nan
