"""What readers share of protocols that tell running values and keep no captures.

A reader that is away misses what is measured meanwhile. So a minute counts only where all its readings were seen, by
their time stamps; another one is told as a gap, once, by RELAY_ANSWER_BAD. The first minute is not told, which has
mostly begun before the reader.
"""

from __future__ import annotations

import asyncio
import hashlib
from abc import ABC, abstractmethod
from contextlib import suppress
from typing import Any

from gridledger.errors import GridLedgerError
from gridledger.field.capture import CaptureError
from services.relay.readers.errors import ANSWERED_BADLY, GAP, RelayAnswerBad
from services.relay.readers.minute_watch import Minute, MinuteWatch, Seen
from services.relay.readers.reader import Delivered, Held
from services.relay.readers.values import text_of

RETRY_S = 1.0


class WatchingReader(ABC):
    """Watches a relay from the first call until it is closed. ``spoken`` names the protocol in errors."""

    spoken: str

    def __init__(self, record: dict[str, Any], address: str, *, answer_s: float) -> None:
        self._record = record
        self._address = address
        self._answer_s = answer_s
        self._watch = MinuteWatch(record["period_s"], record["reading_s"])
        self._task: asyncio.Task[None] | None = None
        self._last: Delivered | None = None
        self._trouble: GridLedgerError | None = None
        self._news = asyncio.Event()

    @abstractmethod
    async def _watch_once(self) -> None:
        """Watch over one connection, and take each reading; raises RelayUnreachable or RelayAnswerBad."""

    async def latest(self, after: str | None, wait_s: float) -> Delivered | None:
        """The last complete capture whose ``sha256`` is not ``after``; None when none came within ``wait_s``."""
        if self._task is None:
            self._task = asyncio.create_task(self._run())
        if self._task.done():
            self._task.result()  # a defect of ours
        with suppress(TimeoutError):
            async with asyncio.timeout(wait_s):
                while self._trouble is None and not self._has_news(after):
                    self._news.clear()
                    await self._news.wait()
        trouble, self._trouble = self._trouble, None
        if trouble is not None:
            raise trouble
        return self._last if self._has_news(after) else None

    async def held(self) -> list[Held]:
        """Nothing: the protocol has no captures of before."""
        return []

    async def fetch(self, name: str) -> Delivered:
        """Refused: the protocol has no captures of before."""
        raise self._bad(f"over {self.spoken} it keeps no capture, so {name!r:.40} neither")

    async def close(self) -> None:
        """Leave the relay."""
        if self._task is not None:
            self._task.cancel()
            with suppress(asyncio.CancelledError):
                await self._task

    def _has_news(self, after: str | None) -> bool:
        return self._last is not None and self._last.sha256 != after

    def _tell(self, trouble: GridLedgerError) -> None:
        self._trouble = trouble
        self._news.set()

    async def _run(self) -> None:
        """Watch the relay, connection after connection."""
        while True:
            try:
                await self._watch_once()
            except GridLedgerError as error:
                self._tell(error)
            await asyncio.sleep(RETRY_S)

    def _take(self, seen: Seen) -> None:
        minute = self._watch.take(seen)
        if minute is None:
            return
        if minute.missing:
            self._tell(self._bad(f"gap: of the minute {minute.minute} {minute.missing} readings were not seen", GAP))
            return
        try:
            text = text_of(self._record, minute.minute, self._faults_in(minute), minute.rows)
        except CaptureError as error:
            self._tell(self._bad(f"the minute {minute.minute}: {error.message}"))
            return
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        source = hashlib.sha256(repr(minute.rows).encode()).hexdigest()
        self._last = Delivered(f"{minute.minute}", text, sha256, source, minute.minute, None)
        self._news.set()

    def _faults_in(self, minute: Minute) -> float:
        """The faults of a period that is over."""
        return minute.faults

    def _bad(self, why: str, brief: str = ANSWERED_BADLY) -> RelayAnswerBad:
        return RelayAnswerBad(f"the relay at {self._address}: {why}", brief=brief)
