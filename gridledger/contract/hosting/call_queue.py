"""The queue of calls before a pool's hosts: bounded, and given out in batches.

A call waits here until a host without work takes it, with others behind it. A call that was in a batch with one that
killed its host, or is stuck, comes back before all others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from gridledger.contract.hosting import wire
from gridledger.contract.hosting.wire import Request
from gridledger.errors import BusyError, GridLedgerError

MAX_BATCH_BYTES: Final = 1024 * 1024
_LEAST_SHARED: Final = 8
"""Fewer calls than this are not divided among idle hosts."""


class ChaincodeBusy(BusyError):
    """As many proposals as may wait for this chaincode are waiting already, or this one has waited too long."""

    code = "CHAINCODE_BUSY"


@dataclass(eq=False, slots=True)
class Call:
    """One call. ``deadline`` (the loop's clock) is when it has waited long enough for a host; ``alone`` keeps others
    out of its batch, because it may have killed a host."""

    channel: str
    request: Request
    deadline: float
    result: asyncio.Future[str]
    attempts: int = 0
    alone: bool = False

    def settle(self, outcome: str | GridLedgerError) -> None:
        """Answer whoever waits; the first outcome counts."""
        if self.result.done():
            return
        if isinstance(outcome, str):
            self.result.set_result(outcome)
        else:
            self.result.set_exception(outcome)


class CallQueue:
    """The queue of one pool. At most ``waiting`` calls queue, beyond those that idle hosts can take.

    ``name`` is the chaincode's, ``wait_limit_s`` says how long a call may wait now, ``expired`` makes the error of one
    that has waited longer.
    """

    def __init__(
        self, name: str, waiting: int, wait_limit_s: Callable[[], float], expired: Callable[[], GridLedgerError]
    ) -> None:
        self._name = name
        self._most_waiting = waiting
        self._wait_limit_s = wait_limit_s
        self._expired = expired
        self._calls: deque[Call] = deque()
        self._idle: list[asyncio.Future[None]] = []
        self._waking = False
        self._expiry: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return len(self._calls)

    @property
    def idle(self) -> int:
        """How many hosts wait for calls."""
        return len(self._idle)

    def add(self, channel: str, request: Request) -> asyncio.Future[str]:
        """Queue a call; its result. Raises :class:`ChaincodeBusy`. Cancel the result to give up."""
        most = self._most_waiting + (len(self._idle) + self._waking) * wire.MAX_BATCH
        if len(self._calls) >= most:
            self._calls = deque(call for call in self._calls if not call.result.done())
        if len(self._calls) >= most:
            raise ChaincodeBusy(f"{len(self._calls)} proposals wait for chaincode {self._name}")
        loop = asyncio.get_running_loop()
        call = Call(channel, request, loop.time() + self._wait_limit_s(), loop.create_future())
        self._calls.append(call)
        self.wake()
        return call.result

    def add_again(self, calls: Sequence[Call]) -> None:
        """Queue calls once more, before all others."""
        deadline = asyncio.get_running_loop().time() + self._wait_limit_s()
        for call in reversed(calls):
            if not call.result.done():
                call.attempts += 1
                call.deadline = deadline
                self._calls.appendleft(call)
        self.wake()

    async def wait(self) -> None:
        """Wait, as an idle host, until there are calls to take."""
        woken: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._idle.append(woken)
        try:
            await woken
        finally:
            self._waking = False
            if woken in self._idle:
                self._idle.remove(woken)

    def take(self, most: int) -> list[Call]:
        """The next calls for a host: ``most`` or fewer, as idle hosts share them. Wakes another host for the rest."""
        calls: list[Call] = []
        most = min(most, max(_LEAST_SHARED, -(-len(self._calls) // (len(self._idle) + 1))))
        size = 0
        while self._calls and len(calls) < most:
            call = self._calls[0]
            if call.result.done():
                self._calls.popleft()
                continue
            if calls and (call.alone or calls[0].alone or size + call.request.size > MAX_BATCH_BYTES):
                break
            calls.append(self._calls.popleft())
            size += call.request.size
        self.wake()
        return calls

    def wake(self) -> None:
        """Have an idle host take calls when all that the loop has read by now is queued: more go in one batch."""
        if not self._calls:
            return
        if self._idle and not self._waking:
            self._waking = True
            self._idle.pop().set_result(None)
        if self._expiry is None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_at(min(call.deadline for call in self._calls), self._expire)

    def close(self, error: Callable[[], GridLedgerError]) -> None:
        """End all calls that wait with an error."""
        if self._expiry is not None:
            self._expiry.cancel()
        while self._calls:
            self._calls.popleft().settle(error())

    def _expire(self) -> None:
        """Answer those who have waited long enough."""
        self._expiry = None
        now = asyncio.get_running_loop().time()
        late = [call for call in self._calls if call.deadline <= now]
        self._calls = deque(call for call in self._calls if call.deadline > now)
        for call in late:
            call.settle(self._expired())
        self.wake()
