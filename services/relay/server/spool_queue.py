"""A relay's spool as a queue: what is kept, and when each capture that waits is tried again.

What goes wrong with the spool itself is told in the log, loudly: the capture goes on being with the relay.
"""

from __future__ import annotations

import asyncio
import logging
from typing import Final

from gridledger.errors import GridLedgerError
from services.relay import metrics
from services.relay.server.recording import CaptureRefused
from services.relay.server.spool import Spool, Waiting
from services.relay.server.taken import Taken

MAX_REFUSALS: Final = 8
"""So often a capture that the ledger refuses is tried, with growing pauses, before it is set aside, loudly."""

_log = logging.getLogger(__name__)


class SpoolQueue:
    """The captures of ``relay`` that wait. ``period_s``: the first pause after a refusal, by the event loop's clock."""

    def __init__(self, relay: str, spool: Spool, period_s: float) -> None:
        self.spool = spool
        self._relay = relay
        self._period_s = period_s
        self._retry_at: dict[int, float] = {}
        self._changed = asyncio.Event()
        self._tell_depth()

    def keep(self, taken: Taken, *, retry_in_s: float = 0.0) -> int | None:
        """Write a capture to the spool; its number. None where it is there already, and :class:`GridLedgerError` where
        it cannot be kept, which is told here."""
        if self.spool.holds(taken.minute, taken.sha256):
            return None
        try:
            number = self.spool.add(taken)
        except GridLedgerError as error:
            metrics.NOT_SPOOLED.labels(self._relay).inc()
            _log.error(
                "a capture cannot be kept: the relay is asked for it again while it holds it",
                extra={"relay": self._relay, "minute": taken.minute, "why": error.message},
            )
            raise
        self._tell_depth()
        self._retry(number, retry_in_s)
        return number

    def retry_now(self, number: int) -> None:
        """Try a capture again as soon as it is its turn."""
        self._retry(number, 0.0)

    def let_go(self, number: int) -> None:
        """A capture is on the ledger."""
        self._retry_at.pop(number, None)
        try:
            self.spool.done(number)
        except GridLedgerError as error:
            # It is tried once more after the next start, and found on the ledger.
            _log.warning("the spool cannot be written", extra={"relay": self._relay, "why": error.message})
        self._tell_depth()

    def put_off(self, number: int, taken: Taken, refused: CaptureRefused) -> bool:
        """Try a refused capture again later; after :data:`MAX_REFUSALS` times it is set aside for people: True."""
        count = self.spool.refused(number)
        if count >= MAX_REFUSALS and self._set_aside(number, taken, refused.error.message):
            return True
        self._retry(number, self._period_s * 2 ** (min(count, MAX_REFUSALS) - 1))
        return False

    async def next(self) -> Waiting:
        """The oldest capture that may be tried now; waits for one."""
        loop = asyncio.get_running_loop()
        while True:
            self._changed.clear()
            waiting = next((item for item in self.spool if self._due(item) <= loop.time()), None)
            if waiting is not None:
                return waiting
            soonest = min((self._due(item) for item in self.spool), default=None)
            await until(self._changed, None if soonest is None else soonest - loop.time())

    def _due(self, item: Waiting) -> float:
        return self._retry_at.get(item.number, 0.0)

    def _set_aside(self, number: int, taken: Taken, why: str) -> bool:
        more = {"relay": self._relay, "minute": taken.minute, "sha256": taken.sha256, "why": why}
        try:
            file = self.spool.set_aside(number, why)
        except GridLedgerError as error:
            _log.error("a capture that the ledger refuses cannot be set aside", extra=more | {"disk": error.message})
            return False
        self._retry_at.pop(number, None)
        self._tell_depth()
        _log.error("a capture that the ledger refuses is set aside", extra=more | {"file": str(file)})
        return True

    def _retry(self, number: int, in_s: float) -> None:
        if in_s:
            self._retry_at[number] = asyncio.get_running_loop().time() + in_s
        else:
            self._retry_at.pop(number, None)
        self._changed.set()

    def _tell_depth(self) -> None:
        metrics.SPOOLED.labels(self._relay).set(len(self.spool))


async def until(event: asyncio.Event, timeout_s: float | None) -> None:
    """Wait for an event, or for so long."""
    try:
        async with asyncio.timeout(timeout_s):
            await event.wait()
    except TimeoutError:
        pass
