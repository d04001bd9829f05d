"""Recording for many callers at once: events that come together are flushed together, and answered for after that.

An event of a critical kind is flushed at once, with whatever waits; one of another kind waits for others, but not
longer than ``group_s``. While the disk flushes, what comes waits for the next flush.
"""

from __future__ import annotations

import asyncio
from collections import OrderedDict, defaultdict, deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import BusyError
from services.lightnode.recorder.bodies import Bodies, Body
from services.lightnode.recorder.recorder import Recorder
from services.lightnode.recorder.records import CRITICAL, Entry, Record

MAX_GROUP: Final = 256
"""Events of one flush."""
MAX_QUEUED: Final = 4096
_REMEMBERED: Final = 512
"""Events a device whose answer may have been lost on its way: the same event again is not recorded twice."""

InThread = Callable[..., Awaitable[Any]]
"""Calls what blocks, in a thread; a simulation calls it where it is."""


@dataclass(slots=True)
class _Asked:
    entry: Entry
    body: Body | None
    identity: bytes
    answer: asyncio.Future[Record]


class Journal:
    """The way into the recorder, in one event loop. ``told`` is called with each group that was recorded."""

    def __init__(
        self,
        recorder: Recorder,
        bodies: Bodies,
        now_us: Callable[[], int],
        told: Callable[[list[Record]], None],
        *,
        group_s: float = 0.05,
        in_thread: InThread = asyncio.to_thread,
    ) -> None:
        self._recorder = recorder
        self._bodies = bodies
        self._now_us = now_us
        self._told = told
        self._group_s = group_s
        self._in_thread = in_thread
        self._loop = asyncio.get_running_loop()
        self._asked: deque[_Asked] = deque()
        self._sent: defaultdict[str, OrderedDict[bytes, asyncio.Future[Record]]] = defaultdict(OrderedDict)
        self._any = asyncio.Event()
        self._urgent = asyncio.Event()

    async def record(self, entry: Entry, body: Body | None = None, identity: bytes | None = None) -> Record:
        """Record an event, with a body that stays off the ledger; the record, once it is on the disk.

        ``identity`` names the event as its sender sent it: the same again is answered with the record that there is.
        Raises :class:`RecorderFull`, :class:`RecorderOut`, and :class:`BusyError` where too many wait.
        """
        key = identity or event_identity(entry.device, entry.kind, entry.time_us, entry.body or entry.body_hash or "")
        sent = self._sent[entry.device]
        known = sent.get(key)
        if known is not None:
            return await asyncio.shield(known)
        if len(self._asked) >= MAX_QUEUED:
            raise BusyError("the recorder's disk does not keep up with the events that come", retry_after_s=1.0)
        answer: asyncio.Future[Record] = self._loop.create_future()
        self._keep(entry.device, key, answer)
        self._asked.append(_Asked(entry, body, key, answer))
        self._any.set()
        if entry.kind in CRITICAL or len(self._asked) >= MAX_GROUP:
            self._urgent.set()
        return await asyncio.shield(answer)

    def remember(self, record: Record, identity: bytes) -> None:
        """Know a record again that an earlier process has made."""
        answer: asyncio.Future[Record] = asyncio.Future(loop=self._loop)
        answer.set_result(record)
        self._keep(record.entry.device, identity, answer)

    async def run(self) -> None:
        """Record what comes until this is cancelled; what waits then is recorded still."""
        try:
            while True:
                await self._any.wait()
                with suppress(TimeoutError):
                    async with asyncio.timeout(self._group_s):
                        await self._urgent.wait()
                await self._flush()
        finally:
            while self._asked:
                await self._flush()

    def _keep(self, device: str, identity: bytes, answer: asyncio.Future[Record]) -> None:
        sent = self._sent[device]
        sent[identity] = answer
        if len(sent) > _REMEMBERED:
            sent.popitem(last=False)

    async def _flush(self) -> None:
        group = [self._asked.popleft() for _ in range(min(MAX_GROUP, len(self._asked)))]
        if not self._asked:
            self._any.clear()
            self._urgent.clear()
        outcomes = await asyncio.shield(self._in_thread(self._write, group))
        for asked, outcome in zip(group, outcomes, strict=True):
            if isinstance(outcome, Record):
                asked.answer.set_result(outcome)
                continue
            self._sent[asked.entry.device].pop(asked.identity, None)
            asked.answer.set_exception(outcome)
            asked.answer.exception()  # whoever asked may have left
        records = [asked.answer.result() for asked in group if asked.answer.exception() is None]
        if records:
            self._told(records)

    def _write(self, group: list[_Asked]) -> list[Record | BaseException]:
        """Record a group; where it is refused as a whole, one by one, for the fault may be that of one of them."""
        try:
            return list(self._write_together(group))
        except Exception as error:
            if len(group) == 1:
                return [error]
        return [outcome for asked in group for outcome in self._write([asked])]

    def _write_together(self, group: list[_Asked]) -> list[Record]:
        # Bodies come first: a record whose body is not there would be a hash of nothing.
        self._bodies.add([asked.body for asked in group if asked.body is not None], self._now_us())
        return self._recorder.append([asked.entry for asked in group])


def event_identity(device: str, kind: str, time_us: int, body: str) -> bytes:
    """What tells an event from others: who says what, and when by its own time."""
    return sha256(jsontext.dumps([device, kind, time_us, body])).digest()
