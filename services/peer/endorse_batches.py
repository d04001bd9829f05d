"""Proposals on their way from one peer to another: one at a time when there are few, in batches when there are many.

At most ``max_in_flight`` requests to a peer are under way; while they are, further proposals gather and go together.
The answers of a batch come as a stream, each as soon as it is there, so that no proposal waits for a slower one.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import AsyncIterator, Awaitable, Callable, Iterable, Sequence
from dataclasses import dataclass
from struct import Struct
from typing import Protocol

from gridledger import framing, jsontext
from gridledger.client.http import HEARTBEAT_S, ConnectionFailed
from gridledger.errors import BusyError, GridLedgerError, MalformedFrames, from_wire

MAX_BATCH = 32
MAX_BATCH_BYTES = 2 * 1024 * 1024
MAX_WAITING = 1000
_HEIGHT = Struct(">Q")
_ANSWER = Struct(">HH")
_SUCCESS = 200


class Wire(Protocol):
    """One peer's HTTP API, as far as endorsing needs it."""

    async def one(self, body: bytes, min_height: int) -> bytes:
        """POST /endorse."""

    def many(self, body: bytes) -> AsyncIterator[bytes]:
        """POST /endorse/batch: the answer's frames as they come."""


@dataclass(eq=False, slots=True)
class _Item:
    body: bytes
    min_height: int
    answered: asyncio.Future[bytes]


class EndorseQueue:
    """The way to one peer."""

    def __init__(self, wire: Wire, *, max_in_flight: int) -> None:
        self._wire = wire
        self._max_in_flight = max_in_flight
        self._queue: deque[_Item] = deque()
        self._senders: set[asyncio.Task[None]] = set()
        self._direct = 0

    async def ask(self, body: bytes, min_height: int) -> bytes:
        """The body of the peer's answer to a signed proposal, or its error. Cancel it to give up."""
        if len(self._queue) >= MAX_WAITING:
            raise BusyError(f"{len(self._queue)} proposals wait for this peer already", retry_after_s=0.5)
        if not self._queue and len(self._senders) + self._direct < self._max_in_flight:
            return await self._ask_directly(body, min_height)
        item = _Item(body, min_height, asyncio.get_running_loop().create_future())
        self._queue.append(item)
        self._start_sender()
        try:
            return await item.answered
        finally:
            item.answered.cancel()

    async def _ask_directly(self, body: bytes, min_height: int) -> bytes:
        """By a request of its own, without a task between: what an idle network does."""
        self._direct += 1
        try:
            return await self._wire.one(body, min_height)
        finally:
            self._direct -= 1
            if self._queue:
                self._start_sender()

    def _start_sender(self) -> None:
        if len(self._senders) + self._direct < self._max_in_flight:
            task = asyncio.get_running_loop().create_task(self._run())
            self._senders.add(task)
            task.add_done_callback(self._senders.discard)

    async def close(self) -> None:
        """Give up whatever is queued or under way in batches; a caller gives up its own request."""
        senders = list(self._senders)
        for task in senders:
            task.cancel()
        await asyncio.gather(*senders, return_exceptions=True)
        _fail(self._queue, ConnectionFailed("the connection to this peer was closed"))
        self._queue.clear()

    async def _run(self) -> None:
        while batch := self._take():
            sending = asyncio.ensure_future(self._send_one(batch[0]) if len(batch) == 1 else self._send_many(batch))
            waiting = asyncio.gather(*(item.answered for item in batch), return_exceptions=True)
            try:
                # Over when all are answered, or when nobody waits for an answer any more.
                await asyncio.wait((sending, waiting), return_when=asyncio.FIRST_COMPLETED)
                if sending.done():
                    sending.result()
            finally:
                if not sending.done():
                    sending.cancel()
                    await asyncio.gather(sending, return_exceptions=True)
                _fail(batch, ConnectionFailed("the peer's answer ended before it was complete"))

    def _take(self) -> list[_Item]:
        batch: list[_Item] = []
        size = 0
        while self._queue and len(batch) < MAX_BATCH:
            length = len(self._queue[0].body)
            if batch and size + length > MAX_BATCH_BYTES:
                break
            item = self._queue.popleft()
            if not item.answered.done():
                batch.append(item)
                size += length
        return batch

    async def _send_one(self, item: _Item) -> None:
        try:
            answer = await self._wire.one(item.body, item.min_height)
        except GridLedgerError as error:
            _fail([item], error)
        else:
            if not item.answered.done():
                item.answered.set_result(answer)

    async def _send_many(self, batch: Sequence[_Item]) -> None:
        try:
            async for frame in self._wire.many(write_batch((item.min_height, item.body) for item in batch)):
                position, status, payload = _read_answer(frame)
                if position >= len(batch):
                    raise MalformedFrames(f"an answer to proposal {position} of {len(batch)}")
                item = batch[position]
                if status != _SUCCESS:
                    _fail([item], from_wire(status, jsontext.loads(payload)))
                elif not item.answered.done():
                    item.answered.set_result(payload)
        except GridLedgerError as error:
            _fail(batch, error)


def write_batch(items: Iterable[tuple[int, bytes]]) -> bytes:
    """The body of POST /endorse/batch: frames of a height (64 bits) and a signed proposal's body."""
    return framing.pack([_HEIGHT.pack(height) + body for height, body in items])


def read_batch(body: bytes) -> list[tuple[int, bytes]]:
    """What :func:`write_batch` wrote."""
    items = framing.unpack(body, max_frames=MAX_BATCH)
    if not items or any(len(item) < _HEIGHT.size for item in items):
        raise MalformedFrames("a batch has proposals, each behind a height of 64 bits")
    return [(_HEIGHT.unpack_from(item)[0], item[_HEIGHT.size :]) for item in items]


async def answers(
    batch: Sequence[tuple[int, bytes]], endorse: Callable[[int, bytes], Awaitable[bytes]]
) -> AsyncIterator[bytes]:
    """The frames that answer a batch, in the order in which they are done; an empty frame as heartbeat.

    Each holds the proposal's position (16 bits), the HTTP status (16 bits), and the answer's body or the error.
    """
    tasks = {asyncio.ensure_future(_answer(position, *item, endorse)) for position, item in enumerate(batch)}
    try:
        while tasks:
            done, tasks = await asyncio.wait(tasks, timeout=HEARTBEAT_S, return_when=asyncio.FIRST_COMPLETED)
            yield framing.pack([task.result() for task in done] or [b""])
    finally:
        for task in tasks:
            task.cancel()
        if tasks:
            await asyncio.gather(*tasks, return_exceptions=True)


async def _answer(
    position: int, min_height: int, body: bytes, endorse: Callable[[int, bytes], Awaitable[bytes]]
) -> bytes:
    try:
        return _ANSWER.pack(position, _SUCCESS) + await endorse(min_height, body)
    except GridLedgerError as error:
        return _ANSWER.pack(position, error.status) + jsontext.dumps(error.to_dict())


def _read_answer(frame: bytes) -> tuple[int, int, bytes]:
    if len(frame) < _ANSWER.size:
        raise MalformedFrames("an answer in a batch is cut short")
    position, status = _ANSWER.unpack_from(frame)
    return position, status, frame[_ANSWER.size :]


def _fail(items: Iterable[_Item], error: GridLedgerError) -> None:
    for item in items:
        if not item.answered.done():
            # Each its own copy: one exception raised in many tasks would grow their tracebacks.
            item.answered.set_exception(from_wire(error.status, error.to_dict()))
