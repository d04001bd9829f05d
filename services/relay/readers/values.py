"""From a relay's values to the article's text, for protocols that deliver no text."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

from gridledger.field.capture import Capture, CaptureError, Reading, parse_capture, render_capture
from gridledger.field.clock import offset_at

DECIMALS = 3
Row = tuple[int, Sequence[float]]
"""A reading: the UTC second since 1970, and its ten values."""


def text_of(record: Mapping[str, Any], minute: int, faults: float, rows: Sequence[Row]) -> str:
    """The article's text of a minute, with the name, the substation and the local time of the relay's record.

    Values are rounded to three decimals, so that a FLOAT32 gives the number from which it was made. Raises
    :class:`CaptureError` where the strict grammar refuses what the values say.
    """
    for second, values in rows:
        if not all(map(math.isfinite, values)):
            raise CaptureError(f"reading, second {second}: a value is no number", field="reading", line=1)
    if not math.isfinite(faults):
        raise CaptureError("faults, line 5: not a number", field="faults", line=5)
    readings = tuple(
        Reading(_local(record, second), tuple(round(value, DECIMALS) for value in values)) for second, values in rows
    )
    capture = Capture(_local(record, minute * 60), record["name"], record["substation"], faults, readings)
    text = render_capture(capture)
    parse_capture(text, period_s=record["period_s"])
    return text


def _local(record: Mapping[str, Any], second: int) -> datetime:
    offset = timedelta(minutes=offset_at(record["utc_offsets"], second // 60))
    try:
        return datetime.fromtimestamp(second, UTC).replace(tzinfo=None) + offset
    except (ValueError, OverflowError):
        raise CaptureError(f"time, line 1: the second {second} is beyond all years", field="time", line=1) from None
