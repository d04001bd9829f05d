"""Closing hours: each server looks in its turn which hours are complete, and has the ledger write their synopses."""

from __future__ import annotations

import logging
from collections.abc import Callable
from typing import Any, Final, Protocol

from gridledger.errors import GridLedgerError
from services.relay.server.recording import is_conflict, is_refusal
from services.relay.server.records import Records
from services.relay.server.voices import turn_of

HOURS_BACK: Final = 168
"""How far back complete hours are looked for: what comes later than a week is closed when it has expired."""
_EXPIRED_BACK: Final = 24
_SPARE_S: Final = 120
_PATIENCE_S: Final = 3600
"""So long after its end the contract closes an hour of which minutes are not recorded."""
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

    def __init__(self, server: str, records: Records, ledger: HoursLedger, now_us: Callable[[], int]) -> None:
        self._server = server
        self._records = records
        self._ledger = ledger
        self._now_us = now_us
        self._looks: dict[int, int] = {}

    async def look(self, newest_minute: int | None) -> None:
        """Close what is complete and ours by turn. ``newest_minute`` is the newest that was captured."""
        record = self._records.present
        relay = record["relay"]
        now_s = self._now_us() // 1_000_000
        expired = (now_s - record["max_age_s"] - _SPARE_S) // 3600
        registered = -(-(await self._records.of(1))["time_us"] // 3_600_000_000)
        found = await self._open_hours(relay, expired - _EXPIRED_BACK, expired)
        found = {hour for hour in found if hour >= registered}  # before it there is nothing to close
        if newest_minute is not None:
            end = newest_minute // 60
            hours = await self._open_hours(relay, end - HOURS_BACK, end)
            complete, empty = await self._complete_and_empty(relay, hours)
            given_up = {hour for hour in hours if now_s > (hour + 1) * 3600 + _PATIENCE_S + _SPARE_S}
            found |= complete | given_up - {hour for hour in empty if hour < registered}
        self._looks = {hour: self._looks.get(hour, -1) + 1 for hour in found}
        servers = [item["id"] for item in record["servers"]]
        for hour in sorted(found):
            if self._server in servers and self._looks[hour] >= turn_of(servers, self._server, hour):
                await self._close(relay, hour)

    async def _open_hours(self, relay: str, first: int, end: int) -> set[int]:
        statistics = await self._ledger.get_statistics(relay, max(0, first), max(1, end))
        return set(statistics["open_hours"])

    async def _complete_and_empty(self, relay: str, hours: set[int]) -> tuple[set[int], set[int]]:
        """Those hours of which every minute is recorded, and those of which none is."""
        if not hours:
            return set(), set()
        complete, empty, bookmark = set(hours), set(), None
        for _ in range(_MAX_PAGES):
            page = await self._ledger.get_gaps(relay, min(hours) * 60, (max(hours) + 1) * 60, bookmark=bookmark)
            for first, end in page["gaps"]:
                complete.difference_update(range(first // 60, (end - 1) // 60 + 1))
                empty |= hours & set(range(-(-first // 60), end // 60))
            bookmark = page["bookmark"]
            if not bookmark:
                return complete, empty
        return set(), hours

    async def _close(self, relay: str, hour: int) -> None:
        try:
            await self._ledger.close_hour(relay, hour)
        except GridLedgerError as error:
            if not (is_refusal(error) or is_conflict(error)):
                raise
            _log.debug("an hour is not closed", extra={"relay": relay, "hour": hour, "why": error.message})
            return
        _log.info("hour closed", extra={"relay": relay, "hour": hour})
