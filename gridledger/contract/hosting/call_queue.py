"""The queue of calls before a pool's hosts: bounded, shared by callers, and given out in batches.

A call waits here until a host without work takes it, with others behind it. Hosts take one call of each caller in turn,
so however many calls one caller has here, and however slow they are, another one's next call is soon run. Places beyond
the bound, a seventh as many, are for callers that have few calls waiting. A call that was in a batch with one that
killed its host, or is stuck, comes back before all others.
"""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Final

from gridledger.contract.hosting import wire
from gridledger.contract.hosting.wire import Request
from gridledger.errors import BusyError, GridLedgerError
from gridledger.shares import NOBODY, Caller

MAX_BATCH_BYTES: Final = 1024 * 1024
_KEPT_PART: Final = 7
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
    """The queue of one pool. At most ``waiting`` calls queue, beyond those that idle hosts can take, and a seventh as
    many again of callers that have less than their part of ``waiting``.

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
        self._again: deque[Call] = deque()
        """What comes before all others."""
        self._lanes: dict[Caller, deque[Call]] = {}
        """Each caller's calls; the caller whose turn it is comes first."""
        self._count = 0
        self._idle: list[asyncio.Future[None]] = []
        self._waking = False
        self._expiry: asyncio.TimerHandle | None = None

    def __len__(self) -> int:
        return self._count

    @property
    def idle(self) -> int:
        """How many hosts wait for calls."""
        return len(self._idle)

    def add(self, channel: str, request: Request, caller: Caller = NOBODY) -> asyncio.Future[str]:
        """Queue a call; its result. Raises :class:`ChaincodeBusy`. Cancel the result to give up."""
        if not self._has_room(caller):
            self._keep(lambda call: not call.result.done())
            if not self._has_room(caller):
                mine = len(self._lanes.get(caller, ()))
                raise ChaincodeBusy(f"{self._count} proposals wait for chaincode {self._name}, {mine} of them yours")
        loop = asyncio.get_running_loop()
        call = Call(channel, request, loop.time() + self._wait_limit_s(), loop.create_future())
        self._lanes.setdefault(caller, deque()).append(call)
        self._count += 1
        self.wake()
        return call.result

    def _has_room(self, caller: Caller) -> bool:
        most = self._most_waiting + (len(self._idle) + self._waking) * wire.MAX_BATCH
        if self._count < most:
            return True
        mine = len(self._lanes.get(caller, ()))
        return self._count < most + most // _KEPT_PART and mine < most / (len(self._lanes) + 1)

    def add_again(self, calls: Sequence[Call]) -> None:
        """Queue calls once more, before all others."""
        deadline = asyncio.get_running_loop().time() + self._wait_limit_s()
        for call in reversed(calls):
            if not call.result.done():
                call.attempts += 1
                call.deadline = deadline
                self._again.appendleft(call)
                self._count += 1
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

    def wake_all(self) -> None:
        """Have every idle host look about."""
        while self._idle:
            self._idle.pop().set_result(None)

    def take(self, most: int) -> list[Call]:
        """The next calls for a host: ``most`` or fewer, as idle hosts share them. Wakes another host for the rest."""
        calls: list[Call] = []
        most = min(most, max(_LEAST_SHARED, -(-self._count // (len(self._idle) + 1))))
        size = 0
        while self._count and len(calls) < most:
            caller = None if self._again else next(iter(self._lanes))
            lane = self._again if caller is None else self._lanes[caller]
            call, is_open = lane[0], not lane[0].result.done()
            if is_open and calls and (call.alone or calls[0].alone or size + call.request.size > MAX_BATCH_BYTES):
                break
            lane.popleft()
            self._count -= 1
            if caller is not None:
                del self._lanes[caller]
                if lane:
                    self._lanes[caller] = lane  # behind all others
            if is_open:
                calls.append(call)
                size += call.request.size
        self.wake()
        return calls

    def _all(self) -> Iterator[Call]:
        yield from self._again
        for lane in self._lanes.values():
            yield from lane

    def _keep(self, wanted: Callable[[Call], bool]) -> None:
        """Forget all calls but these."""
        self._again = deque(filter(wanted, self._again))
        lanes = {caller: deque(filter(wanted, lane)) for caller, lane in self._lanes.items()}
        self._lanes = {caller: lane for caller, lane in lanes.items() if lane}
        self._count = len(self._again) + sum(map(len, self._lanes.values()))

    def wake(self) -> None:
        """Have an idle host take calls when all that the loop has read by now is queued: more go in one batch."""
        if not self._count:
            return
        if self._idle and not self._waking:
            self._waking = True
            self._idle.pop().set_result(None)
        if self._expiry is None:
            loop = asyncio.get_running_loop()
            self._expiry = loop.call_at(min(call.deadline for call in self._all()), self._expire)

    def close(self, error: Callable[[], GridLedgerError]) -> None:
        """End all calls that wait with an error."""
        if self._expiry is not None:
            self._expiry.cancel()
        for call in self._all():
            call.settle(error())
        self._keep(lambda _: False)

    def _expire(self) -> None:
        """Answer those who have waited long enough."""
        self._expiry = None
        now = asyncio.get_running_loop().time()
        late = [call for call in self._all() if call.deadline <= now]
        self._keep(lambda call: call.deadline > now)
        for call in late:
            call.settle(self._expired())
        self.wake()
