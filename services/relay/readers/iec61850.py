"""Reads a relay over IEC 61850 (MMS), by the names of :mod:`services.relay.mms_names`.

MMS has the running values and no captures: a reader that is away misses what is measured meanwhile. So a minute counts
only where all its readings were seen, by their time stamps; another one is told as a gap, once, by RELAY_ANSWER_BAD.
The first minute is not told, which has mostly begun before the reader.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import Awaitable
from contextlib import suppress
from typing import Any, TypeVar

import iec61850

from gridledger.errors import GridLedgerError
from gridledger.field.capture import CaptureError
from services.relay import mms_names
from services.relay.readers.addresses import host_and_port, joined
from services.relay.readers.errors import ANSWERED_BADLY, GAP, LATE, RelayAnswerBad, RelayUnreachable
from services.relay.readers.minute_watch import MinuteWatch, Seen
from services.relay.readers.reader import ANSWER_S, Delivered, Held
from services.relay.readers.values import text_of

POLLS_IN_A_READING = 100
"""How often the time stamp is looked at between two readings of the relay."""
RETRY_S = 1.0
_LEAVE_S = 1.0
_T = TypeVar("_T")


class MmsReader:
    """The reader of a relay whose address is ``HOST:PORT``. It watches from the first call until it is closed."""

    def __init__(self, record: dict[str, Any], *, answer_s: float = ANSWER_S) -> None:
        self._record = record
        self._address = joined(*host_and_port(record))
        self._answer_s = answer_s
        self._watch = MinuteWatch(record["period_s"], record["reading_s"])
        self._task: asyncio.Task[None] | None = None
        self._last: Delivered | None = None
        self._trouble: GridLedgerError | None = None
        self._news = asyncio.Event()

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
        """Nothing: MMS has no captures of before."""
        return []

    async def fetch(self, name: str) -> Delivered:
        """Refused: MMS has no captures of before."""
        raise self._bad(f"over IEC 61850 it keeps no capture, so {name!r:.40} neither")

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

    async def _watch_once(self) -> None:
        timeout_ms = max(1, round(self._answer_s * 1000))
        connection = await self._asked(
            iec61850.IedConnection.connect(self._address, timeout_ms=timeout_ms, request_timeout_ms=timeout_ms)
        )
        try:
            device = await self._device(connection)
            while True:
                seen = await self._reading(connection, device)
                if seen is not None:
                    self._take(seen)
                await asyncio.sleep(self._record["reading_s"] / POLLS_IN_A_READING)
        finally:
            with suppress(Exception):  # it may be gone already
                async with asyncio.timeout(_LEAVE_S):
                    await connection.abort()

    async def _device(self, connection: iec61850.IedConnection) -> str:
        """The logical device's name as the relay has it: that of the device behind its own."""
        names = [name for name in await self._asked(connection.get_server_directory()) if isinstance(name, str)]
        found = [name for name in names if name.endswith(mms_names.DEVICE)]
        if len(found) != 1:
            raise self._bad(f"it has {len(found)} logical devices whose names end with {mms_names.DEVICE}, not one")
        return found[0]

    async def _reading(self, connection: iec61850.IedConnection, device: str) -> Seen | None:
        """The running reading, where it is another one than the last that was seen and did not change meanwhile."""

        async def stamp(name: str) -> int | None:
            return mms_names.second_of(await self._asked(connection.read(f"{device}/{name}", iec61850.FC.MX)))

        second = await stamp(mms_names.FIRST_TIME)
        if second is None or second == self._watch.last_second:
            return None
        numbers = [
            await self._asked(connection.read_float(f"{device}/{name}", iec61850.FC.MX))
            for name in (*mms_names.VALUES, mms_names.FAULTS)
        ]
        for name in reversed(mms_names.TIMES):
            if await stamp(name) != second:
                return None
        return Seen(second, tuple(numbers[:-1]), numbers[-1])

    def _take(self, seen: Seen) -> None:
        minute = self._watch.take(seen)
        if minute is None:
            return
        if minute.missing:
            self._tell(self._bad(f"gap: of the minute {minute.minute} {minute.missing} readings were not seen", GAP))
            return
        try:
            text = text_of(self._record, minute.minute, minute.faults, minute.rows)
        except CaptureError as error:
            self._tell(self._bad(f"the minute {minute.minute}: {error.message}"))
            return
        sha256 = hashlib.sha256(text.encode()).hexdigest()
        source = hashlib.sha256(repr(minute.rows).encode()).hexdigest()
        self._last = Delivered(f"{minute.minute}", text, sha256, source, minute.minute, None)
        self._news.set()

    async def _asked(self, answer: Awaitable[_T]) -> _T:
        try:
            async with asyncio.timeout(self._answer_s):
                return await answer
        except (TimeoutError, iec61850.IedTimeoutError):
            why = f"the relay at {self._address} gave no answer within {self._answer_s:g} s"
            raise RelayUnreachable(why, brief=LATE) from None
        except (iec61850.IedDataAccessError, ValueError, TypeError, OverflowError) as error:
            raise self._bad(f"{error!s:.200}") from None
        except iec61850.IedError as error:  # the connection is of no more use, whatever the device meant by it
            raise RelayUnreachable(f"the relay at {self._address} cannot be reached: {error!s:.200}") from None

    def _bad(self, why: str, brief: str = ANSWERED_BADLY) -> RelayAnswerBad:
        return RelayAnswerBad(f"the relay at {self._address}: {why}", brief=brief)
