"""Closing hours: each server looks in its turn which hours are complete, and has the ledger write their synopses."""

from __future__ import annotations

import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gridledger.errors import GridLedgerError
from services.relay.server.recording import is_conflict, is_refusal
from services.relay.server.voices import turn_of

HOURS_BACK: Final = 168
"""How far back complete hours are looked for: what comes later than a week is closed when it has expired."""
_EXPIRED_BACK: Final = 24
_SPARE_S: Final = 120
_MAX_PAGES: Final = 50

_log = logging.getLogger(__name__)


class HoursLedger(Protocol):
    """What closing asks of the ledger."""

    async def get_statistics(self, relay: str, from_hour: int, to_hour: int) -> dict[str, Any]:
        """GetStatistics."""

    async def get_gaps(self, relay: str, first: int, end: int, *, bookmark: str | None = None) -> dict[str, Any]:
        """GetGaps."""

    async def close_hour(self, relay: str, hour: int) -> dict[str, Any]:
        """CloseHour."""


class Hours:
    """The hours of one relay. ``now_us`` is the time since 1970."""

    def __init__(
        self, server: str, record: Callable[[], Mapping[str, Any]], ledger: HoursLedger, now_us: Callable[[], int]
    ) -> None:
        self._server = server
        self._record = record
        self._ledger = ledger
        self._now_us = now_us
        self._looks: dict[int, int] = {}

    async def look(self, newest_minute: int | None) -> None:
        """Close what is complete and ours by turn. ``newest_minute`` is the newest that was captured."""
        record = self._record()
        relay = record["relay"]
        expired = (self._now_us() // 1_000_000 - record["max_age_s"] - _SPARE_S) // 3600
        found = await self._open_hours(relay, expired - _EXPIRED_BACK, expired)
        if record["revision"] == 1:  # before it was registered there is nothing to close
            found = {hour for hour in found if (hour + 1) * 3600 > record["time_us"] // 1_000_000}
        if newest_minute is not None:
            end = newest_minute // 60
            hours = await self._open_hours(relay, end - HOURS_BACK, end)
            found |= await self._complete(relay, hours)
        self._looks = {hour: self._looks.get(hour, -1) + 1 for hour in found}
        servers = [item["id"] for item in record["servers"]]
        for hour in sorted(found):
            if self._server in servers and self._looks[hour] >= turn_of(servers, self._server, hour):
                await self._close(relay, hour)

    async def _open_hours(self, relay: str, first: int, end: int) -> set[int]:
        statistics = await self._ledger.get_statistics(relay, max(0, first), max(1, end))
        return set(statistics["open_hours"])

    async def _complete(self, relay: str, hours: set[int]) -> set[int]:
        """Those hours of which every minute is recorded."""
        if not hours:
            return set()
        gapless, bookmark = set(hours), None
        for _ in range(_MAX_PAGES):
            page = await self._ledger.get_gaps(relay, min(hours) * 60, (max(hours) + 1) * 60, bookmark=bookmark)
            for first, end in page["gaps"]:
                gapless.difference_update(range(first // 60, (end - 1) // 60 + 1))
            bookmark = page["bookmark"]
            if not bookmark:
                return gapless
        return set()

    async def _close(self, relay: str, hour: int) -> None:
        try:
            await self._ledger.close_hour(relay, hour)
        except GridLedgerError as error:
            if not (is_refusal(error) or is_conflict(error)):
                raise
            _log.debug("an hour is not closed", extra={"relay": relay, "hour": hour, "why": error.message})
            return
        _log.info("hour closed", extra={"relay": relay, "hour": hour})
