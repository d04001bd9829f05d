"""Bringing what was recorded to the ledger: all devices in turn, several at a time, within a rate.

A device that has events gets one transaction and goes to the end of the queue: one with a backlog of hours takes no
more turns than another with one event. Devices that have few go together: a transaction costs as much as ten events in
it. No more than ``SHARED_AT_ONCE`` such transactions of a section are under way, so the faster events come, the more of
them go in one. While a section cannot be reached its devices wait for a common pause, which
grows; so an outage costs a few requests, and its end is found within ``LONGEST_PAUSE_S``.
"""

from __future__ import annotations

import asyncio
import logging
import re
from collections.abc import Iterable, Mapping, Sequence
from random import Random
from typing import Any, Final

from gridledger.backoff import Backoff
from gridledger.client.errors import CommitError, EndorseError
from gridledger.errors import AuthenticationError, GridLedgerError, PermissionDeniedError
from services.lightnode.lane import (
    ACTIVE,
    ASKING,
    BEHIND,
    MAX_EVENTS,
    MAX_TEXT_BYTES,
    REFUSED,
    Blocked,
    Lane,
    Prepared,
)
from services.lightnode.sending import text_bytes

FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.25, 10.0
"""Between tries of a section that cannot be reached."""
BLOCKED_PAUSE_S: Final = (1.0, 30.0)
"""Between looks at a device whose events the ledger does not take as things are, growing."""
BEHIND_PAUSE_S: Final = 0.5
SHARED_AT_ONCE: Final = 4
"""Transactions of several devices of a section that are under way."""
MAX_SHARING: Final = 64
"""Devices of one transaction."""

_OF_DEVICE: Final = re.compile(r"devices\[([0-9]{1,3})\]\.")

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
        self._under_way = asyncio.Semaphore(at_once)
        self._queue: asyncio.Queue[Lane] = asyncio.Queue()
        self._sharing: dict[str, asyncio.Queue[Lane]] = {lane.channel: asyncio.Queue() for lane in self._lanes.values()}
        self._queued: set[str] = set()
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
                for channel in self._sharing:
                    for _ in range(SHARED_AT_ONCE):
                        group.create_task(self._share(channel))
        finally:
            for timer in self._timers.values():
                timer.cancel()

    async def _work(self) -> None:
        while True:
            lane = await self._queue.get()
            async with self._under_way:
                pause_s = self._reach[lane.channel].pause_s()
                if not pause_s:
                    await self._pace.turn()
                    pause_s = await self._step(lane)
            self._go_on(lane, pause_s)

    async def _share(self, channel: str) -> None:
        queue = self._sharing[channel]
        while True:
            lanes = [await queue.get()]
            async with self._under_way:
                pause_s = self._reach[channel].pause_s()
                if not pause_s:
                    await self._pace.turn()
                while len(lanes) < MAX_SHARING and not queue.empty():
                    lanes.append(queue.get_nowait())
                if pause_s:
                    pauses = dict.fromkeys(lanes, pause_s)
                elif len(lanes) == 1:
                    pauses = {lanes[0]: await self._step(lanes[0])}
                else:
                    pauses = await self._step_together(lanes)
            for lane, wait_s in pauses.items():
                self._go_on(lane, wait_s)

    def _go_on(self, lane: Lane, pause_s: float) -> None:
        """Put a lane where it belongs behind its step."""
        self._queued.discard(lane.device)
        if pause_s and not (lane.gathering and lane.waiting > lane.gathering):
            self._put_later(lane, pause_s)
        elif lane.waiting:
            self._put(lane)

    async def _step_together(self, lanes: Sequence[Lane]) -> dict[Lane, float]:
        """Take a step of several lanes of a section, in one transaction; how long each waits for its next one."""
        pauses = dict.fromkeys(lanes, 0.0)
        reach = self._reach[lanes[0].channel]
        sent: dict[Lane, Prepared] = {}
        try:
            found = await asyncio.gather(*(lane.prepare() for lane in lanes))
            pauses |= {lane: one for lane, one in zip(lanes, found, strict=True) if not isinstance(one, Prepared)}
            sent = _fitting({lane: one for lane, one in zip(lanes, found, strict=True) if isinstance(one, Prepared)})
            if sent:
                logged = await lanes[0].section.log_devices({lane.device: one.events for lane, one in sent.items()})
                for lane, one in sent.items():
                    lane.settle(one, logged)
        except CommitError:
            # Another transaction wrote one of the devices' chains or records meanwhile.
            for lane in sent:
                lane.ask_again()
        except GridLedgerError as error:
            if not (isinstance(error, EndorseError) and _is_refusal(error)):
                for lane in lanes:
                    lane.ask_again()
                reach.failed(error)
                return dict.fromkeys(lanes, reach.pause_s() or FIRST_PAUSE_S)
            for lane in _refused(list(sent), error):
                lane.ask_again()
                lane.go_alone()
        except BaseException:
            for lane in lanes:
                lane.ask_again()
            raise
        if sent:
            reach.answered()
        return pauses

    async def _step(self, lane: Lane) -> float:
        """Take a lane's step; how long it waits for its next one."""
        try:
            if lane.asks:
                await lane.ask()
                pause_s = 0.0
            else:
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
        (self._sharing[lane.channel] if lane.shares else self._queue).put_nowait(lane)

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


def _fitting(prepared: Mapping[Lane, Prepared]) -> dict[Lane, Prepared]:
    """Those of the first lanes whose events one transaction takes."""
    count, size = 0, 0
    taken: dict[Lane, Prepared] = {}
    for lane, one in prepared.items():
        count += len(one.records)
        size += sum(map(text_bytes, one.records))
        if taken and (count > MAX_EVENTS or size > MAX_TEXT_BYTES):
            break
        taken[lane] = one
    return taken


def _is_refusal(error: EndorseError) -> bool:
    """Whether the contract refuses what is sent, or a peer the sender."""
    return error.code == REFUSED or isinstance(error.__cause__, PermissionDeniedError | AuthenticationError)


def _refused(lanes: Sequence[Lane], error: EndorseError) -> Sequence[Lane]:
    """The lanes that a refusal is about: the one that it names, or all."""
    named = _OF_DEVICE.match(error.message)
    number = int(named.group(1)) if named is not None else len(lanes)
    return lanes[number : number + 1] or lanes
