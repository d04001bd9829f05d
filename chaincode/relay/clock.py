"""A relay's clock: from its local time, which has no zone, to the minutes of UTC in which it may stand.

``utc_offsets`` of a relay's record: [{"from_minute", "offset_min"}], ascending, the first from 0. A minute is counted
from 1970 in UTC. An offset of -300 is five hours behind UTC. ``chaincode/relay/clock.py`` is this file, byte for byte.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Final

#: How late or early a relay may change its clock, minutes.
SLACK_MIN: Final = 60

_EPOCH: Final = datetime(1970, 1, 1)  # noqa: DTZ001 - local time, as if it were UTC
_MINUTE: Final = timedelta(minutes=1)

Offsets = Sequence[Mapping[str, int]]


def offset_at(utc_offsets: Offsets, minute: int) -> int:
    """The offset in a minute of UTC, minutes; the first one before all."""
    found = utc_offsets[0]["offset_min"]
    for change in utc_offsets:
        if change["from_minute"] > minute:
            break
        found = change["offset_min"]
    return found


def minutes_of(time: datetime, utc_offsets: Offsets) -> list[int]:
    """The minutes of UTC in which the relay's clock may show ``time``: those in which it should first, each ascending.

    None should show a time of the hour that a change skips; two those of the hour that a change repeats. Within an hour
    of a change a clock may be late or early, so the other offset's minute comes behind.
    """
    exact, near = exact_and_near(time, utc_offsets)
    return exact + near


def exact_and_near(time: datetime, utc_offsets: Offsets) -> tuple[list[int], list[int]]:
    """The minutes in which a clock should show ``time``; those in which it may, up to an hour late or early."""
    local = (time - _EPOCH) // _MINUTE
    exact: list[int] = []
    near: list[int] = []
    for offset in sorted({change["offset_min"] for change in utc_offsets}, reverse=True):
        minute = local - offset
        if minute < 0:
            continue
        if offset_at(utc_offsets, minute) == offset:
            exact.append(minute)
        elif _holds_near(utc_offsets, minute, offset):
            near.append(minute)
    return exact, near


def _holds_near(utc_offsets: Offsets, minute: int, offset: int) -> bool:
    """Whether ``offset`` holds in a minute not more than :data:`SLACK_MIN` away."""
    if offset_at(utc_offsets, minute - SLACK_MIN) == offset:
        return True
    return any(
        change["offset_min"] == offset and minute - SLACK_MIN <= change["from_minute"] <= minute + SLACK_MIN
        for change in utc_offsets
    )
