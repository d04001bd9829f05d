"""Reporting a relay that is silent, and its return. The first server whose turn it is reports; nobody repeats it."""

from __future__ import annotations

import logging
from collections import deque
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gridledger.command_line import one_line
from gridledger.errors import GridLedgerError
from services.relay.server.capture_queries import CaptureQueries
from services.relay.server.recording import is_conflict, is_refusal
from services.relay.server.voices import CONFIRMED, turn_of, voices_of

SILENT_AFTER: Final = 2.0
"""Periods without a capture."""
_MAX_REASON: Final = 200
_AHEAD: Final = 60 * 24 * 366
"""How far behind our own newest minute others' captures are looked for."""
_PAGE, _MAX_PAGES = 500, 20
_LOOKED_AT: Final = 5
"""So many of the newest captures that are not confirmed are looked at for their voices."""
_VOICES: Final = 2
"""One server alone, who may make captures up, is not believed to hear a relay."""

_log = logging.getLogger(__name__)


class SilenceLedger(CaptureQueries, Protocol):
    """What it asks of the ledger."""

    async def report_silence(self, relay: str, minute: int, reason: str) -> dict[str, Any]:
        """ReportSilence."""

    async def end_silence(self, relay: str, minute: int) -> dict[str, Any]:
        """EndSilence."""


class Silence:
    """Watches one relay. ``period_s`` is the relay's period in the time of ``clock`` (monotonic, seconds); ``pace_s``
    the time of a turn; ``now_us`` the time since 1970."""

    def __init__(
        self,
        server: str,
        record: Callable[[], Mapping[str, Any]],
        ledger: SilenceLedger,
        clock: Callable[[], float],
        now_us: Callable[[], int],
        *,
        period_s: float,
        pace_s: float,
    ) -> None:
        self._server = server
        self._record = record
        self._ledger = ledger
        self._clock = clock
        self._now_us = now_us
        self._period_s = period_s
        self._pace_s = pace_s
        self._heard_at = clock()
        self._newest: int | None = None
        self._told_at: float | None = None
        self.reason = "no capture came"
        """Why the relay is not heard, as the last failure said."""

    def heard(self, minute: int) -> None:
        """A good capture of a minute came."""
        self._heard_at = self._clock()
        self._newest = minute if self._newest is None else max(self._newest, minute)
        self._told_at = None
        self.reason = "no capture came"

    def known(self, minute: int | None) -> None:
        """The newest minute that an earlier life of this server dealt with."""
        if self._newest is None:
            self._newest = minute

    async def look(self) -> None:
        """Report the silence if it is one and our turn has come."""
        if self._clock() - self._heard_at < self._due_s():
            return
        relay = self._record()["relay"]
        if await self._is_told(relay):
            return
        heard = await self._heard_by_others(relay)
        if heard is not None:  # it is we who do not hear the relay
            self._newest, self._heard_at, self._told_at = heard, self._clock(), None
            _log.warning("other servers read the relay, this one does not", extra={"relay": relay, "why": self.reason})
            return
        since = self._first_missing() if self._told_at is None else self._running_minute()
        level, why = logging.WARNING, self.reason
        try:
            await self._ledger.report_silence(relay, since, one_line(self.reason)[:_MAX_REASON].strip())
        except GridLedgerError as error:
            if not (is_refusal(error) or is_conflict(error)):
                raise
            level, why = logging.INFO, error.message  # another server has reported it
        self._told_at = self._clock()
        _log.log(level, "the relay is silent", extra={"relay": relay, "minute": since, "why": why})

    async def _is_told(self, relay: str) -> bool:
        """Whether the silence has been reported, and stands. Where another server has ended it, and we go on hearing
        nothing, it does not after a while: what that server recorded would be confirmed by then."""
        if self._told_at is None:
            return False
        if (await self._ledger.get_relay(relay))["silence"] is not None:
            self._told_at = self._clock()
        return self._clock() - self._told_at < self._due_s()

    async def _heard_by_others(self, relay: str) -> int | None:
        """The newest minute that we miss and others have: confirmed, or told by two servers."""
        since = self._first_missing()
        heard, bookmark = None, None
        others: deque[int] = deque(maxlen=_LOOKED_AT)
        for _ in range(_MAX_PAGES):
            page = await self._ledger.list_captures(relay, since, since + _AHEAD, limit=_PAGE, bookmark=bookmark)
            for item in page["items"]:
                if item["status"] == CONFIRMED:
                    heard = item["minute"]
                    others.clear()
                else:
                    others.append(item["minute"])
            bookmark = page["bookmark"]
            if not bookmark:
                break
        for minute in reversed(others):
            if len(voices_of(await self._ledger.get_capture(relay, minute))) >= _VOICES:
                return minute
        return heard

    async def end(self, minute: int) -> None:
        """After a capture of ``minute`` was recorded: end the silence that is open, if one is."""
        record = await self._ledger.get_relay(self._record()["relay"])
        silence = record["silence"]
        if silence is None or minute < silence["from"]:
            return
        try:
            await self._ledger.end_silence(record["relay"], minute)
        except GridLedgerError as error:
            if not (is_refusal(error) or is_conflict(error)):
                raise
            return
        _log.info("the relay is back", extra={"relay": record["relay"], "minute": minute})

    def _due_s(self) -> float:
        record = self._record()
        servers = [item["id"] for item in record["servers"]]
        turn = turn_of(servers, self._server, self._first_missing()) if self._server in servers else 0
        return SILENT_AFTER * self._period_s + turn * self._pace_s

    def _running_minute(self) -> int:
        """The minute that the relay would be at, by the time since it was heard."""
        periods = int((self._clock() - self._heard_at) / self._period_s)
        minutes: int = self._record()["period_s"] // 60
        return self._first_missing() + periods * minutes

    def _first_missing(self) -> int:
        if self._newest is None:
            return self._now_us() // 60_000_000
        minutes: int = self._record()["period_s"] // 60
        return self._newest + minutes
