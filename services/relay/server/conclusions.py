"""Concluding captures: each server looks in its turn whether the voices have decided, and submits what is not told yet.

A voice that comes late is concluded by the server that gave it, since its own turn comes after its voice.
"""

from __future__ import annotations

import asyncio
import heapq
import logging
from collections.abc import Callable, Mapping
from typing import Any, Final, Protocol

from gridledger.errors import GridLedgerError
from services.relay import metrics
from services.relay.server.recording import is_conflict, is_refusal
from services.relay.server.records import Records
from services.relay.server.voices import DISPUTED, Outcome, is_stored, outcome_of, turn_of

MAX_PENDING: Final = 10_000
_MAX_LOOKS: Final = 100

_log = logging.getLogger(__name__)


class ConcludingLedger(Protocol):
    """What concluding asks of the ledger."""

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        """GetCapture."""

    async def conclude(self, relay: str, minute: int) -> dict[str, Any]:
        """Conclude."""


class Conclusions:
    """The minutes of one relay that are to be concluded, each at its time. ``pace_s`` is the time of a turn.

    A capture is judged by that one of ``records`` under which it was recorded. ``now_us`` is the time since 1970.
    """

    def __init__(
        self,
        server: str,
        records: Records,
        ledger: ConcludingLedger,
        now_us: Callable[[], int],
        pace_s: float = 1.0,
    ) -> None:
        self._server = server
        self._records = records
        self._ledger = ledger
        self._now_us = now_us
        self._pace_s = pace_s
        self._due: list[tuple[float, int]] = []
        self._looks: dict[int, int] = {}
        self._woken = asyncio.Event()

    def __len__(self) -> int:
        return len(self._looks)

    def expect(self, minute: int) -> None:
        """Look at a minute when our turn comes. Beyond the bound it is left to a later search."""
        if minute in self._looks or len(self._looks) >= MAX_PENDING:
            return
        self._looks[minute] = 0
        self._schedule(minute, self._pace_s * (1 + self._turn(minute)))

    async def run(self) -> None:
        """Look at each minute when it is due, for good."""
        loop = asyncio.get_running_loop()
        while True:
            self._woken.clear()
            if self._due and self._due[0][0] <= loop.time():
                _, minute = heapq.heappop(self._due)
                await self._look_at(minute)
                continue
            left_s = self._due[0][0] - loop.time() if self._due else None
            try:
                async with asyncio.timeout(left_s):
                    await self._woken.wait()
            except TimeoutError:
                continue

    async def _look_at(self, minute: int) -> None:
        try:
            known = await self._settle(minute)
        except GridLedgerError as error:
            if not (is_refusal(error) or is_conflict(error)):
                _log.debug("a capture could not be concluded now", extra={"minute": minute, "why": error.message})
            known = False
        self._looks[minute] += 1
        if known or self._looks[minute] >= _MAX_LOOKS:  # a later search finds what is open still
            del self._looks[minute]
            return
        self._schedule(minute, self._pace_s * min(2 ** self._looks[minute], 15) + self._pace_s * self._turn(minute))

    async def _settle(self, minute: int) -> bool:
        """Conclude a minute if it is time; whether nothing is left to do."""
        relay = self._records.present["relay"]
        try:
            capture = await self._ledger.get_capture(relay, minute)
        except GridLedgerError as error:
            if is_refusal(error):
                return self._looks[minute] > 0  # the peer may be a block behind
            raise
        record = await self._records.of(capture["revision"])
        if not self._records.names_us(record):
            return True
        servers = [item["id"] for item in record["servers"]]
        outcome = outcome_of(capture, servers, record["quorum"], record["period_s"], self._now_us())
        if outcome is None:
            return False
        if is_stored(outcome, capture["verdict"]):
            self._note(relay, minute, capture["verdict"], ours=False)
            return True
        if self._is_early(outcome, servers, minute):
            return False
        verdict = await self._ledger.conclude(relay, minute)
        self._note(relay, minute, verdict, ours=True)
        return True

    def _is_early(self, outcome: Outcome, servers: list[str], minute: int) -> bool:
        """Whether to wait once more, so that one verdict tells of all servers."""
        return len(outcome.said_for | outcome.said_against) < len(servers) and not self._looks[minute]

    def _note(self, relay: str, minute: int, verdict: Mapping[str, Any], *, ours: bool) -> None:
        if verdict["status"] == DISPUTED:
            metrics.DISPUTED.labels(relay).inc()
        if ours:
            metrics.CONCLUDED.labels(relay, verdict["status"]).inc()
        against = list(verdict["against"])
        level = logging.WARNING if against or verdict["status"] == DISPUTED else logging.INFO
        _log.log(level, verdict["status"], extra={"relay": relay, "minute": minute, "against": against})

    def _turn(self, minute: int) -> int:
        record = self._records.present
        servers = [item["id"] for item in record["servers"]]
        periods = minute * 60 // record["period_s"]
        return turn_of(servers, self._server, periods) if self._server in servers else len(servers)

    def _schedule(self, minute: int, in_s: float) -> None:
        heapq.heappush(self._due, (asyncio.get_running_loop().time() + in_s, minute))
        self._woken.set()
