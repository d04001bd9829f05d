"""What the ledger has of relays, by the contract's queries, each bounded."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from gridledger.errors import InputError
from services.console.applications import Place

MAX_RELAYS: Final = 100
MAX_SHOWN: Final = 500
"""Most disputes, silences, faults of one relay on a page."""
MAX_MINUTES: Final = 1440
"""A page shows a day at most: so many captures there may be."""
LATELY_MIN: Final = 60
_AHEAD_MIN: Final = 3
"""How far a relay's clock may be ahead of ours."""
_HOUR_MIN: Final = 60
_HOURS: Final = 24
_PAGE: Final = 500
_US_PER_MINUTE: Final = 60_000_000


@dataclass(frozen=True, slots=True)
class Overview:
    """A relay in the list of all: its record with ``silence``, its newest captures (oldest first), disputes, gaps."""

    record: dict[str, Any]
    captures: list[dict[str, Any]]
    disputes: list[dict[str, Any]]
    gaps: list[list[int]]


@dataclass(frozen=True, slots=True)
class RelayState:
    """Everything of one relay in a range of minutes, ``begin`` up to, but not with, ``end``."""

    record: dict[str, Any]
    begin: int
    end: int
    captures: list[dict[str, Any]]
    disputes: list[dict[str, Any]]
    gaps: list[list[int]]
    silences: list[dict[str, Any]]
    faults: list[dict[str, Any]]
    statistics: dict[str, Any]


def minute_at(us: int) -> int:
    """The epoch minute of a time (microseconds since 1970)."""
    return us // _US_PER_MINUTE


async def overviews(place: Place, now: int) -> list[Overview]:
    """All relays on a channel, as they were lately."""
    records, _ = await place.items("ListRelays", MAX_RELAYS)
    return list(await asyncio.gather(*(_overview(place, str(record["relay"]), now) for record in records)))


async def _overview(place: Place, relay: str, now: int) -> Overview:
    record = await place.ask("GetRelay", relay=relay)
    begin, end = max(0, now - LATELY_MIN), now + _AHEAD_MIN
    captures, disputes, gaps = await asyncio.gather(
        captures_of(place, relay, begin, end),
        place.items("GetDisputes", MAX_SHOWN, relay=relay),
        gaps_of(place, record, begin, now - 1),
    )
    return Overview(record, captures, disputes[0], gaps)


async def relay_state(place: Place, relay: str, begin: int | None, end: int | None, now: int) -> RelayState:
    """One relay. Without ``begin`` the hour up to ``end`` or, where that is not told either, its newest hour."""
    record = await place.ask("GetRelay", relay=relay)
    if end is None:
        end = now + _AHEAD_MIN if begin is None else min(now + _AHEAD_MIN, begin + MAX_MINUTES)
        if begin is None:
            latest = await latest_minute(place, relay, end)
            end = end if latest is None or latest >= now - LATELY_MIN else latest + 1
    begin = max(0, end - LATELY_MIN) if begin is None else begin
    if not begin <= end <= begin + MAX_MINUTES:
        raise InputError(f"'to' lies behind 'from', by {MAX_MINUTES} minutes at most")
    first_hour, last_hour = hours_around(begin, end)
    captures, disputes, gaps, silences, faults, statistics = await asyncio.gather(
        captures_of(place, relay, begin, end),
        place.items("GetDisputes", MAX_SHOWN, relay=relay),
        gaps_of(place, record, begin, min(end, now - 1)),
        place.items("GetSilences", MAX_SHOWN, relay=relay),
        place.items("GetFaults", MAX_SHOWN, relay=relay),
        place.ask("GetStatistics", relay=relay, from_hour=first_hour, to_hour=last_hour),
    )
    return RelayState(record, begin, end, captures, disputes[0], gaps, silences[0], faults[0], statistics)


def hours_around(begin: int, end: int) -> tuple[int, int]:
    """The hours that a range of minutes touches, a day up to its end at least."""
    last = -(-end // _HOUR_MIN)
    return max(0, min(begin // _HOUR_MIN, last - _HOURS)), last


async def captures_of(place: Place, relay: str, begin: int, end: int) -> list[dict[str, Any]]:
    """All captures of a range of at most :data:`MAX_MINUTES` minutes, oldest first."""
    found, _ = await place.items(
        "ListCaptures", MAX_MINUTES + _AHEAD_MIN, relay=relay, **{"from": begin, "to": end}, limit=_PAGE
    )
    return found


async def gaps_of(place: Place, record: dict[str, Any], begin: int, end: int) -> list[list[int]]:
    """The ranges of minutes without a capture since the relay was registered, oldest first."""
    first = record if record["revision"] == 1 else await place.ask("GetRelay", relay=record["relay"], revision=1)
    begin = max(begin, minute_at(int(first["time_us"]) - 1) + 1)
    if begin >= end:
        return []
    answer = await place.ask("GetGaps", relay=record["relay"], **{"from": begin, "to": end})
    gaps: Sequence[list[int]] = answer["gaps"]
    return list(gaps)


async def latest_minute(place: Place, relay: str, end: int) -> int | None:
    """The minute of the last capture before ``end``, found by bisection; None where there is none."""

    async def first_from(minute: int) -> int | None:
        page = await place.ask("ListCaptures", relay=relay, **{"from": minute, "to": end}, limit=1)
        return int(page["items"][0]["minute"]) if page["items"] else None

    reach = 1
    while (found := await first_from(max(0, end - reach))) is None:
        if reach >= end:
            return None
        reach *= 8
    low, high = found, end
    # A capture lies at low, none from high on.
    while high - low > 1:
        middle = (low + high) // 2
        later = await first_from(middle)
        low, high = (low, middle) if later is None else (later, high)
    return low
