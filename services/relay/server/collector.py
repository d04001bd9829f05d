"""One server at one relay: reads each capture, brings it to the ledger, and keeps it until the ledger has it.

What is to happen is decided by the parts (:mod:`.recording`, :mod:`.conclusions`, :mod:`.silence`, :mod:`.hours`,
:mod:`.catching_up`); here they are joined and run. Time comes from the event loop and from ``now_us``.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Coroutine, Mapping
from dataclasses import dataclass
from random import Random
from typing import Any, Final, Protocol

from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError
from gridledger.field.capture import CaptureError
from services.relay import metrics
from services.relay.readers import Delivered, Reader, in_brief
from services.relay.server.catching_up import CatchUp, CatchUpLedger, Order
from services.relay.server.conclusions import ConcludingLedger, Conclusions
from services.relay.server.hours import Hours, HoursLedger
from services.relay.server.progress import Progress
from services.relay.server.recording import Attest, CaptureRefused, Recorder, RecordingLedger, Result
from services.relay.server.records import Records, RecordsLedger
from services.relay.server.silence import Silence, SilenceLedger
from services.relay.server.spool import Spool, Waiting
from services.relay.server.spool_queue import SpoolQueue, until
from services.relay.server.taken import MinuteUnknown, Taken, take
from services.relay.server.voices import turn_of

LONGEST_WAIT_S: Final = 30.0
"""How long one question to a relay for its next capture waits."""
AT_ONCE: Final = 16
"""Captures of one relay that are under way to the ledger at once; what comes beyond goes to the spool."""
LEAST_INTERVAL_S: Final = 0.1
"""A relay that delivers faster than this is not asked sooner."""
SPOOL_AFTER_S: Final = 1.0
"""A capture that is not on the ledger after so long is written to the spool, whatever becomes of it."""
_LONGEST_WORK_S: Final = 120.0
"""By then a capture that is under way has come to an end."""
_OPEN_BACK: Final = 1440
_MAX_PAGES: Final = 20
_RETRY_S: Final = (0.5, 15.0)

_log = logging.getLogger(__name__)


class CollectorLedger(
    RecordingLedger, ConcludingLedger, RecordsLedger, SilenceLedger, HoursLedger, CatchUpLedger, Protocol
):
    """What a collector asks of the ledger."""


@dataclass(frozen=True, slots=True)
class CollectorOptions:
    """How a server works. ``stagger_s`` is waited for each place in a minute's turns before a capture is submitted;
    ``pace_s`` the time of a turn for verdicts; ``minute_s`` how long a relay's minute lasts by our clock, which is 60
    but for a simulated relay whose clock runs faster."""

    attest: Attest = "all"
    catch_up: Order = "oldest"
    stagger_s: float = 0.0
    pace_s: float = 1.0
    minute_s: float = 60.0


class Collector:
    """One relay, read by one server. ``record`` is the relay's as registered; another one wants another collector."""

    def __init__(
        self,
        server: str,
        record: Mapping[str, Any],
        reader: Reader,
        ledger: CollectorLedger,
        *,
        spool: Spool,
        progress: Progress,
        options: CollectorOptions,
        now_us: Callable[[], int],
        random: Random,
    ) -> None:
        self.server = server
        self.record = record
        self.relay: str = record["relay"]
        self.options = options
        self._reader = reader
        self._ledger = ledger
        self._progress = progress
        self._now_us = now_us
        self._random = random
        clock = asyncio.get_running_loop().time
        self._period_s = record["period_s"] * options.minute_s / 60
        pace_s = min(options.pace_s, self._period_s / 4)
        self._records = Records(server, record, ledger)
        self._recorder = Recorder(self.relay, server, ledger, self._records, attest=options.attest)
        self._conclusions = Conclusions(server, self._records, ledger, now_us, pace_s)
        self._silence = Silence(
            server, lambda: self.record, ledger, clock, now_us, period_s=self._period_s, pace_s=pace_s
        )
        self._hours = Hours(server, self._records, ledger, now_us)
        self._catch_up = CatchUp(self.relay, reader, ledger, progress, self._records.take, order=options.catch_up)
        self._behind = asyncio.Event()
        self._queue = SpoolQueue(self.relay, spool, self._period_s)
        self._ledger_is_away = False
        self._relay_is_away: str | None = None
        self._last_live: int | None = None
        self._live: set[asyncio.Task[None]] = set()
        self._silence.known(progress.minute)

    @property
    def spooled(self) -> int:
        """How many captures wait in the spool."""
        return len(self._queue.spool)

    @property
    def newest(self) -> int | None:
        """The newest minute that was dealt with here."""
        return self._progress.minute

    @property
    def fault(self) -> str | None:
        """Why the relay is not read now, None while it is."""
        return self._relay_is_away

    async def run(self) -> None:
        """Work until it is cancelled."""
        self._behind.set()
        try:
            async with asyncio.TaskGroup() as group:
                for work in (
                    self._read(),
                    self._replay_spool(),
                    self._catch_up_when_behind(),
                    self._conclusions.run(),
                    self._watch_silence(),
                    self._look_after(),
                ):
                    group.create_task(work)
        finally:
            for task in self._live:
                task.cancel()
            await asyncio.gather(*self._live, return_exceptions=True)

    # the relay

    async def _read(self) -> None:
        after: str | None = None
        waited = False  # for the capture that comes next, which the relay has completed just now then
        backoff = Backoff(_RETRY_S[0], max(_RETRY_S[0], min(_RETRY_S[1], self._period_s / 2)), self._random)
        while True:
            try:
                delivered = await self._reader.latest(after, min(LONGEST_WAIT_S, self._period_s))
            except GridLedgerError as error:
                self._relay_failed(error)
                waited = False
                await asyncio.sleep(backoff.failed())
                continue
            self._relay_answered()
            backoff.succeeded()
            if delivered is not None:
                after = delivered.sha256
                news = self._deliver(delivered, is_fresh=waited)
                await asyncio.sleep(LEAST_INTERVAL_S if news else max(LEAST_INTERVAL_S, self._period_s / 10))
            waited = True

    def _relay_failed(self, error: GridLedgerError) -> None:
        self._silence.reason = in_brief(error)
        metrics.READS.labels(self.relay).set(0)
        if self._relay_is_away is None:
            _log.warning("the relay cannot be read", extra={"relay": self.relay, "why": error.message})
        self._relay_is_away = in_brief(error)

    def _relay_answered(self) -> None:
        metrics.READS.labels(self.relay).set(1)
        if self._relay_is_away is not None:
            _log.info("the relay is read again", extra={"relay": self.relay})
            self._relay_is_away = None
            self._behind.set()

    def _deliver(self, delivered: Delivered, *, is_fresh: bool) -> bool:
        """Take the relay's last capture; it goes its way by itself. Whether it is one, of a minute that is new.

        What fits an earlier revision of the record, or needs the relay's list to tell its minute, is left to catching
        up. ``is_fresh``: the relay has completed it while we waited.
        """
        try:
            taken = take(delivered, self.record, now_us=self._now_us() if is_fresh else None)
        except MinuteUnknown:
            self._behind.set()
            return False
        except CaptureError as error:
            if self.record["revision"] > 1:
                self._behind.set()
            metrics.BAD.labels(self.relay).inc()
            self._silence.reason = in_brief(error)
            _log.warning(
                "the relay delivered no capture",
                extra={"relay": self.relay, "capture": delivered.name, "why": error.message},
            )
            return False
        if delivered.completed_us is not None:
            metrics.LATENCY_SECONDS.labels(self.relay).observe(max(0, self._now_us() - delivered.completed_us) / 1e6)
        self._silence.heard(taken.minute)
        if self._is_known(taken):
            return False
        minutes = self.record["period_s"] // 60
        if self._last_live is not None and taken.minute != self._last_live + minutes:
            self._behind.set()
        self._last_live = taken.minute
        task = asyncio.get_running_loop().create_task(self._bring(taken))
        self._live.add(task)
        task.add_done_callback(self._was_brought)
        return True

    def _was_brought(self, task: asyncio.Task[None]) -> None:
        self._live.discard(task)
        if not task.cancelled() and (error := task.exception()) is not None:
            _log.error("bringing a capture to the ledger failed", exc_info=error, extra={"relay": self.relay})
            self._behind.set()

    def _is_known(self, taken: Taken) -> bool:
        """Whether this minute was dealt with, be it with another text: that is told once, and a matter of record."""
        known = self._progress.text_of(taken.minute)
        if known is not None and known != taken.sha256:
            _log.warning(
                "the relay delivered another text of a minute",
                extra={"relay": self.relay, "minute": taken.minute, "sha256": taken.sha256, "first": known},
            )
        return known is not None

    # the ledger

    async def _bring(self, taken: Taken) -> None:
        """Bring a capture that has just come to the ledger; to the spool if that takes long, or cannot be now."""
        if self._ledger_is_away or len(self._live) > AT_ONCE:
            self._keep(taken)
            return
        work = asyncio.get_running_loop().create_task(self._in_turn(taken))
        number = None
        try:
            done, _ = await asyncio.wait((work,), timeout=SPOOL_AFTER_S + self._stagger_s(taken.minute))
            if not done:
                number = self._keep(taken, retry_in_s=_LONGEST_WORK_S)
            await self._settled(taken, work)
        except CaptureRefused as refused:
            self._refused(taken, refused, number)
        except GridLedgerError as error:
            self._ledger_failed(error)
            if number is None:
                self._keep(taken)
            else:
                self._queue.retry_now(number)
        except asyncio.CancelledError:  # the record has changed, or this process ends
            if number is None:
                self._keep(taken)
            raise
        else:
            if number is not None:
                self._queue.let_go(number)
        finally:
            work.cancel()

    async def _in_turn(self, taken: Taken) -> Result:
        """Record in our turn: with a stagger, the one who is first in a minute has most likely done it by then."""
        stagger_s = self._stagger_s(taken.minute)
        if stagger_s:
            await asyncio.sleep(stagger_s)
            said = await self._recorder.attest_recorded(taken)
            if said is not None:
                return said
        return await self._recorder.record(taken)

    def _stagger_s(self, minute: int) -> float:
        servers = [item["id"] for item in self.record["servers"]]
        return self.options.stagger_s * turn_of(servers, self.server, minute * 60 // self.record["period_s"])

    async def _settled(self, taken: Taken, work: Coroutine[Any, Any, Result] | asyncio.Task[Result]) -> None:
        """Wait for the outcome of a capture, and see to what follows from it."""
        result = await work
        self._ledger_answered()
        self._progress.finish(taken.sha256, taken.minute)
        self._conclusions.expect(taken.minute)
        if result is Result.WON:
            try:
                await self._silence.end(taken.minute)
            except GridLedgerError as error:
                # The next capture that this server or another one wins ends it.
                _log.warning("the silence is not ended", extra={"relay": self.relay, "why": error.message})

    def _refused(self, taken: Taken, refused: CaptureRefused, number: int | None) -> None:
        """The ledger has no capture of that minute and will not take this one: perhaps later."""
        _log.error(
            "the ledger refuses a capture",
            extra={"relay": self.relay, "minute": taken.minute, "why": refused.error.message},
        )
        number = self._keep(taken, retry_in_s=self._period_s) if number is None else number
        if number is not None:
            self._put_off(number, taken, refused)

    def _put_off(self, number: int, taken: Taken, refused: CaptureRefused) -> None:
        if self._queue.put_off(number, taken, refused):
            self._progress.finish(taken.sha256, None)

    def _ledger_failed(self, error: GridLedgerError) -> None:
        if not self._ledger_is_away:
            _log.warning(
                "the ledger takes nothing now: captures are kept in the spool",
                extra={"relay": self.relay, "code": error.code, "why": error.message},
            )
        self._ledger_is_away = True

    def _ledger_answered(self) -> None:
        if self._ledger_is_away:
            _log.info("the ledger answers", extra={"relay": self.relay, "spool": self.spooled})
            self._ledger_is_away = False
            self._behind.set()

    # the spool

    def _keep(self, taken: Taken, *, retry_in_s: float = 0.0) -> int | None:
        """Write a capture to the spool; its number, None where it is there or cannot be kept."""
        try:
            return self._queue.keep(taken, retry_in_s=retry_in_s)
        except GridLedgerError:
            self._behind.set()
            return None

    async def _replay_spool(self) -> None:
        """Bring what the spool has to the ledger, in order; while the ledger is away, one try after a pause."""
        backoff = Backoff(_RETRY_S[0], max(_RETRY_S[0], min(_RETRY_S[1], self._period_s / 2)), self._random)
        while True:
            waiting = await self._queue.next()
            try:
                await self._replay_one(waiting)
                backoff.succeeded()
            except GridLedgerError as error:
                self._ledger_failed(error)
                await asyncio.sleep(backoff.failed())

    async def _replay_one(self, waiting: Waiting) -> None:
        taken = waiting.taken
        try:
            taken = await self._records.renewed(taken)
            await self._settled(taken, self._recorder.record(taken))
        except CaptureRefused as refused:
            self._ledger_answered()
            _log.error(
                "the ledger refuses a capture",
                extra={"relay": self.relay, "minute": taken.minute, "why": refused.error.message},
            )
            self._put_off(waiting.number, taken, refused)
        else:
            self._queue.let_go(waiting.number)

    # what was missed, and what time brings

    async def _catch_up_when_behind(self) -> None:
        """Catch up when there is reason to, and every ten periods without."""
        backoff = Backoff(_RETRY_S[0], max(_RETRY_S[0], min(_RETRY_S[1], self._period_s / 2)), self._random)
        while True:
            self._behind.clear()
            try:
                await self._find_open()
                await self._take_missed()
                backoff.succeeded()
            except GridLedgerError as error:
                if not backoff.failures:
                    _log.warning("cannot catch up now", extra={"relay": self.relay, "why": error.message})
                await asyncio.sleep(backoff.failed())
                continue
            await until(self._behind, 10 * self._period_s)

    async def _take_missed(self) -> None:
        async for taken, unrecorded in self._catch_up.missed():
            if self._queue.spool.holds(taken.minute, taken.sha256):
                continue
            try:
                await self._settled(taken, self._missed(taken, unrecorded=unrecorded))
            except CaptureRefused as refused:
                self._refused(taken, refused, None)

    async def _missed(self, taken: Taken, *, unrecorded: bool) -> Result:
        said = None if unrecorded else await self._recorder.attest_recorded(taken)
        return said or await self._recorder.record(taken)

    async def _find_open(self) -> None:
        """Expect a verdict for what is recorded and not concluded."""
        newest = self._now_us() // 60_000_000 if self._progress.minute is None else self._progress.minute
        bookmark = None
        for _ in range(_MAX_PAGES):
            page = await self._ledger.list_captures(
                self.relay, max(0, newest - _OPEN_BACK), newest + _OPEN_BACK, limit=500, bookmark=bookmark
            )
            for item in page["items"]:
                if item["status"] == "open":
                    self._conclusions.expect(item["minute"])
            bookmark = page["bookmark"]
            if not bookmark:
                return

    async def _watch_silence(self) -> None:
        while True:
            await asyncio.sleep(self._period_s / 4)
            try:
                await self._silence.look()
            except GridLedgerError as error:
                _log.debug("a silence cannot be reported now", extra={"relay": self.relay, "why": error.message})

    async def _look_after(self) -> None:
        while True:
            await asyncio.sleep(10 * self._period_s)
            try:
                await self._hours.look(self._progress.minute)
            except GridLedgerError as error:
                _log.debug("hours cannot be closed now", extra={"relay": self.relay, "why": error.message})
