"""Which minute of UTC a capture is of, where a relay tells its local time and when the capture was complete. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Final

from gridledger.field.clock import exact_and_near

COMPLETED_WITHIN_S: Final = 120
"""How far from a period's end the time of its completion may be and still tell which of two periods it is."""
_NAME = re.compile(r"(\d{2}) (\d{2}) (\d{4}) (\d{2}) (\d{2})(?: \(\d{1,3}\))?\.txt", re.ASCII)

Dated = tuple[datetime | None, int | None]
"""A capture in a list: its local time, and when it was complete (microseconds since 1970, UTC), where known."""


def minute_of(time: datetime, completed_us: int | None, record: Mapping[str, Any]) -> int | None:
    """The UTC epoch minute of a local time; None where that may be one of two and nothing tells which.

    It is the minute at whose end the capture was complete, else the only one in which the clock should show ``time``.
    A minute in which a clock that is changed late or early may show it is believed for the time of completion only.
    ``completed_us`` is UTC by the relay's clock, ``record`` the relay's, with its offsets and period.
    """
    exact, near = exact_and_near(time, record["utc_offsets"])
    if completed_us is not None:
        completed = nearest(exact + near, completed_us, record["period_s"])
        if completed is not None:
            return completed
    return exact[0] if len(exact) == 1 else None


def nearest(minutes: Sequence[int], time_us: int, period_s: int) -> int | None:
    """That of the minutes whose period ended nearest to a time, at most :data:`COMPLETED_WITHIN_S` from it."""

    def away_us(minute: int) -> int:
        return abs(time_us - (minute * 60 + period_s) * 1_000_000)

    found = min(minutes, key=away_us, default=None)
    return None if found is None or away_us(found) > COMPLETED_WITHIN_S * 1_000_000 else found


def minutes_in_order(listed: Sequence[Dated], record: Mapping[str, Any]) -> list[int | None]:
    """The minute of each capture of a list, the oldest first; None where nothing tells which it is.

    In the hour that a change of the clock repeats, a capture is that one of two minutes which fits between those before
    and after it: of two equal times the second is the later one. A list that is in no such order tells nothing by it.
    """
    known = [None if time is None else minute_of(time, completed_us, record) for time, completed_us in listed]
    possible: list[list[int]] = []
    for (time, _), minute in zip(listed, known, strict=True):
        if minute is not None:
            possible.append([minute])
        else:
            possible.append([] if time is None else exact_and_near(time, record["utc_offsets"])[0])
    ordered = _narrowed(_narrowed(possible, 1), -1)
    if any(before and not after for before, after in zip(possible, ordered, strict=True)):
        return known
    return [minutes[0] if len(minutes) == 1 else None for minutes in ordered]


def _narrowed(possible: Sequence[list[int]], step: int) -> list[list[int]]:
    """Leave out the minutes that are not later (``step`` 1) than the earliest possible one of any capture before."""
    bound: int | None = None
    found = []
    for minutes in possible[::step]:
        left = [minute for minute in minutes if bound is None or (minute - bound) * step > 0]
        if left:
            bound = min(left) if step > 0 else max(left)
        found.append(left)
    return found[::step]


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
