"""Bringing what was recorded to the ledger: all devices in turn, several at a time, within a rate.

A device that has events gets one transaction and goes to the end of the queue: one with a backlog of hours takes no
more turns than another with one event. While a section cannot be reached its devices wait for a common pause, which
grows; so an outage costs a few requests, and its end is found within ``LONGEST_PAUSE_S``.
"""

from __future__ import annotations

import asyncio
import logging
from collections import deque
from collections.abc import Iterable, Mapping
from random import Random
from typing import Any, Final

from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError
from services.lightnode.lane import ACTIVE, ASKING, BEHIND, Blocked, Lane

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
"""Between tries of a section that cannot be reached."""
BLOCKED_PAUSE_S: Final = (1.0, 30.0)
"""Between looks at a device whose events the ledger does not take as things are, growing."""
BEHIND_PAUSE_S: Final = 0.5

_log = logging.getLogger(__name__)


class Pace:
    """At most so many transactions a second, evenly."""

    def __init__(self, rate: float) -> None:
        self._gap_s = 1 / rate
        self._next = 0.0

    async def turn(self) -> None:
        """Wait for the next one's time."""
        now = asyncio.get_running_loop().time()
        at = max(now, self._next)
        self._next = at + self._gap_s
        if at > now:
            await asyncio.sleep(at - now)


class _Reach:
    """Whether a section can be reached, and when it is tried next."""

    def __init__(self, channel: str, random: Random) -> None:
        self._channel = channel
        self._backoff = Backoff(FIRST_PAUSE_S, LONGEST_PAUSE_S, random)
        self._until = 0.0
        self.why: str | None = None

    def pause_s(self) -> float:
        """How long its devices wait."""
        return max(0.0, self._until - asyncio.get_running_loop().time())

    def failed(self, error: GridLedgerError) -> None:
        if self.pause_s():
            return  # a failure of the same moment
        self._until = asyncio.get_running_loop().time() + self._backoff.failed()
        if self.why is None:
            _log.warning(
                "the ledger takes nothing now: events wait in the recorder",
                extra={"channel": self._channel, "code": error.code, "why": error.message},
            )
        self.why = error.message

    def answered(self) -> None:
        if self.why is not None:
            _log.info("the ledger answers again", extra={"channel": self._channel})
        self._backoff.succeeded()
        self._until, self.why = 0.0, None


class Forwarder:
    """The lanes of all devices, in one event loop."""

    def __init__(self, lanes: Iterable[Lane], random: Random, *, rate: float = 100.0, at_once: int = 16) -> None:
        self._lanes = {lane.device: lane for lane in lanes}
        self._random = random
        self._pace = Pace(rate)
        self._at_once = at_once
        self._queue: deque[Lane] = deque()
        self._queued: set[str] = set()
        self._any = asyncio.Event()
        self._timers: dict[str, asyncio.TimerHandle] = {}
        self._reach = {lane.channel: _Reach(lane.channel, random) for lane in self._lanes.values()}
        self._blocked: dict[str, Backoff] = {}

    @property
    def lanes(self) -> Mapping[str, Lane]:
        """By device."""
        return self._lanes

    def away(self) -> dict[str, str]:
        """The sections that cannot be reached, and why."""
        return {channel: reach.why for channel, reach in self._reach.items() if reach.why is not None}

    def blocked(self) -> int:
        """How many devices' events the ledger does not take as things are."""
        return sum(lane.state not in (ACTIVE, ASKING, BEHIND) for lane in self._lanes.values())

    def has_news(self, devices: Iterable[str]) -> None:
        """Say that these devices have events. One that is in the queue, or waits for its time, stays where it is; one
        whose batches wait for others is looked at again."""
        for device in devices:
            lane = self._lanes.get(device)
            if lane is None or device in self._queued:
                continue
            if lane.gathering and device in self._timers:
                self._timers.pop(device).cancel()
            if device not in self._timers:
                self._put(lane)

    async def run(self) -> None:
        """Forward until this is cancelled."""
        for lane in self._lanes.values():
            self._put(lane)  # each is asked for once, so that what the ledger has is known
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(self._at_once):
                    group.create_task(self._work())
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _work(self) -> None:
        while True:
            while not self._queue:
                self._any.clear()
                await self._any.wait()
            lane = self._queue.popleft()
            pause_s = self._reach[lane.channel].pause_s()
            if not pause_s:
                await self._pace.turn()
                pause_s = await self._step(lane)
            self._queued.discard(lane.device)
            if pause_s and not (lane.gathering and lane.waiting > lane.gathering):
                self._put_later(lane, pause_s)
            elif lane.waiting:
                self._put(lane)

    async def _step(self, lane: Lane) -> float:
        """Take a lane's step; how long it waits for its next one."""
        try:
            pause_s = await lane.step()
        except Blocked:
            self._reach[lane.channel].answered()
            if lane.state == BEHIND:
                return BEHIND_PAUSE_S
            return self._blocked.setdefault(lane.device, Backoff(*BLOCKED_PAUSE_S, self._random)).failed()
        except GridLedgerError as error:
            reach = self._reach[lane.channel]
            reach.failed(error)
            return reach.pause_s() or FIRST_PAUSE_S
        self._blocked.pop(lane.device, None)
        self._reach[lane.channel].answered()
        return pause_s

    def _put(self, lane: Lane) -> None:
        self._queued.add(lane.device)
        self._queue.append(lane)
        self._any.set()

    def _put_later(self, lane: Lane, pause_s: float) -> None:
        def put() -> None:
            del self._timers[lane.device]
            self._put(lane)

        self._timers[lane.device] = asyncio.get_running_loop().call_later(pause_s, put)

    def describe(self, device: str) -> dict[str, Any]:
        """How a device's events get to the ledger."""
        lane = self._lanes[device]
        away = self._reach[lane.channel].why
        return {
            "state": "ledger away" if away is not None else lane.state,
            "why": away or lane.why,
            "foreign": lane.foreign,
            "set_aside": lane.set_aside,
        }
