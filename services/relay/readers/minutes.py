"""Which minute of UTC a capture is of, where a relay tells its local time and when the capture was complete."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from gridledger.field.clock import minutes_of

_NAME = re.compile(r"(\d{2}) (\d{2}) (\d{4}) (\d{2}) (\d{2})(?: \(\d{1,3}\))?\.txt", re.ASCII)
_MINUTE_US = 60_000_000


def minute_of(time: datetime, completed_us: int | None, record: Mapping[str, Any]) -> int | None:
    """The UTC epoch minute of a local time; None where that may be one of two and nothing tells which.

    In the hour that a change of the clock repeats, and next to it, it is the minute whose end is nearest to the time of
    completion. ``completed_us`` is UTC by the relay's clock, ``record`` the relay's, with its offsets and period.
    """
    candidates = minutes_of(time, record["utc_offsets"])
    if len(candidates) == 1:
        return candidates[0]
    if not candidates or completed_us is None:
        return None
    completed_minute = completed_us / _MINUTE_US - record["period_s"] / 60
    return min(candidates, key=lambda minute: abs(minute - completed_minute))


def time_in_name(name: str) -> datetime | None:
    """The local time in a file's name of the article's form, ``DD MM YYYY HH MM.txt``; None for another name."""
    match = _NAME.fullmatch(name)
    if match is None:
        return None
    day, month, year, hour, minute = map(int, match.groups())
    try:
        return datetime(year, month, day, hour, minute)  # noqa: DTZ001 - a relay's clock has no zone
    except ValueError:
        return None
