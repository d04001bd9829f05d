"""Plays a story: operators open sessions and command with their certificates, devices tell light nodes their events.

What one session does is done in its order. The times that devices tell are the story's, whatever the way to a light
node takes; those of sessions and commands are when they are submitted. An event that a light node did not record is
told again until it has, so that one that is down for a while gets what it missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any, Final, Protocol

from gridledger.errors import BusyError, GridLedgerError, TimeoutExceeded, UnavailableError
from services.case.replay.story import Denial, Happening, Login, Logout, Order, Said, Story

MAX_TOGETHER: Final = 64
"""Events of one request: a light node takes as many."""
MAX_WAITING: Final = 10_000
"""Events that wait for one light node."""
_AGAIN_S: Final = 0.5
_END_S: Final = 60.0
"""How long what is under way may take after the story's end."""
_AT_ONCE: Final = 16
"""Commands under way of one session."""

Event = dict[str, Any]


class Operator(Protocol):
    """An operator's certificate at the contract ``access``."""

    async def open_session(self, session: str, operator: str, terminal: str, section: str, reason: str) -> Any:
        """OpenSession."""
        ...

    async def close_session(self, session: str, reason: str | None = None) -> Any:
        """CloseSession."""
        ...

    async def command(self, session: str, device: str, command: str, value: str | None = None) -> Any:
        """Command."""
        ...

    async def deny(self, operator: str, terminal: str, why: str) -> Any:
        """Deny."""
        ...


class Clock(Protocol):
    """The time of the replay."""

    def now_us(self) -> int:
        """Microseconds since 1970."""
        ...

    async def sleep_until(self, time_us: int) -> None:
        """Return at that time, or at once where it has gone by."""
        ...


@dataclass(frozen=True, slots=True)
class Actors:
    """Who plays: operators by name; how events are told to the light node of each device, by its name; and who reports
    denials, by organisation."""

    operators: Mapping[str, Operator]
    nodes: Mapping[str, Callable[[Sequence[Event]], Awaitable[None]]]
    node_of: Mapping[str, str]
    reporters: Mapping[str, Operator]


@dataclass(slots=True)
class Played:
    """What was played: when it began, how many happenings and events, and what failed, in words."""

    begun_us: int
    happenings: int = 0
    events: int = 0
    failed: list[str] = field(default_factory=list)
    most_behind_s: float = 0.0
    """By how much the player was behind its story at most."""


async def play(story: Story, actors: Actors, clock: Clock) -> Played:
    """Play all of it; returns when everything is on its ledger, or has failed."""
    player = _Player(story, actors, clock)
    try:
        return await player.play()
    finally:
        await player.stop()


class _Player:
    def __init__(self, story: Story, actors: Actors, clock: Clock) -> None:
        self._story, self._actors, self._clock = story, actors, clock
        self._played = Played(clock.now_us())
        self._sessions: dict[str, _Session] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._nodes = {name: _Node(tell, self._played) for name, tell in actors.nodes.items()}

    async def play(self) -> Played:
        begun_us = self._played.begun_us
        for node in self._nodes.values():
            self._begin(node.run())
        for each in self._story.happenings:
            at_us = begun_us + round(self._story.pace.replay_s(each.at_s) * 1e6)
            await self._clock.sleep_until(at_us)
            self._played.most_behind_s = max(self._played.most_behind_s, (self._clock.now_us() - at_us) / 1e6)
            self._happen(each, at_us)
            self._played.happenings += 1
        await self._finish()
        return self._played

    async def stop(self) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    def _happen(self, each: Happening, at_us: int) -> None:
        match each:
            case Login():
                session = _Session(each, self._actors.operators[each.operator], self._tell_obeyed, self._played)
                self._sessions[each.session] = session
                self._begin(session.run())
            case Logout() | Order():
                self._sessions[each.session].steps.put_nowait(each)
            case Denial():
                self._begin(self._deny(each))
            case Said():
                self._say(each.device, each.kind, at_us + round(each.ahead_s * 1e6), each.body)

    async def _deny(self, each: Denial) -> None:
        reporter = self._actors.reporters[each.organisation]
        await _tried(
            self._played, f"a denial of {each.operator}", reporter.deny(each.operator, each.terminal, each.why)
        )

    def _tell_obeyed(self, order: Order) -> None:
        self._say(order.device, "command", self._clock.now_us(), {"command": order.command, "session": order.session})

    def _say(self, device: str, kind: str, time_us: int, body: Mapping[str, Any]) -> None:
        event = {"device": device, "kind": kind, "time_us": time_us, "body": dict(body)}
        self._nodes[self._actors.node_of[device]].put(event)

    def _begin(self, work: Any) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _finish(self) -> None:
        """Wait for sessions, then for the events that followed from their commands."""
        with suppress(TimeoutError):
            async with asyncio.timeout(_END_S):
                for session in self._sessions.values():
                    session.steps.put_nowait(None)
                await asyncio.gather(*(session.ended.wait() for session in self._sessions.values()))
                await asyncio.gather(*(node.emptied() for node in self._nodes.values()))
        self._played.failed += [
            f"session {name} did not come to its end"
            for name, each in self._sessions.items()
            if not each.ended.is_set()
        ]
        self._played.failed += [
            f"light node {name} did not take {node.waiting} events"
            for name, node in self._nodes.items()
            if node.waiting
        ]


class _Session:
    """One session: opened, then its commands side by side, closed when they are through."""

    def __init__(self, login: Login, operator: Operator, obeyed: Callable[[Order], None], played: Played) -> None:
        self.steps: asyncio.Queue[Order | Logout | None] = asyncio.Queue()
        self.ended = asyncio.Event()
        self._login, self._operator, self._obeyed, self._played = login, operator, obeyed, played

    async def run(self) -> None:
        login, operator = self._login, self._operator
        opening = operator.open_session(login.session, login.operator, login.terminal, login.section, login.reason)
        try:
            if await _tried(self._played, f"the opening of {login.session}", opening):
                await self._follow()
        finally:
            self.ended.set()

    async def _follow(self) -> None:
        limit = asyncio.Semaphore(_AT_ONCE)
        logout: Logout | None = None
        async with asyncio.TaskGroup() as orders:
            while (step := await self.steps.get()) is not None:
                if isinstance(step, Logout):
                    logout = step
                    break
                await limit.acquire()
                orders.create_task(self._order(step, limit))
        if logout is not None:
            closing = self._operator.close_session(logout.session, logout.reason)
            await _tried(self._played, f"the end of {logout.session}", closing)

    async def _order(self, order: Order, limit: asyncio.Semaphore) -> None:
        try:
            command = self._operator.command(order.session, order.device, order.command, order.value)
            if await _tried(self._played, f"{order.command} of {order.device}", command) and order.obeyed:
                self._obeyed(order)
        finally:
            limit.release()


class _Node:
    """Events on their way to one light node, in order, as many at a time as have come."""

    def __init__(self, tell: Callable[[Sequence[Event]], Awaitable[None]], played: Played) -> None:
        self._tell, self._played = tell, played
        self._events: list[Event] = []
        self._changed = asyncio.Event()

    @property
    def waiting(self) -> int:
        """Events that the node has not recorded yet."""
        return len(self._events)

    def put(self, event: Event) -> None:
        """Have an event told."""
        if len(self._events) == MAX_WAITING:
            self._played.failed.append(f"an event of {event['device']} found {MAX_WAITING} others waiting")
            return
        self._events.append(event)
        self._changed.set()

    async def emptied(self) -> None:
        """Return when all is recorded."""
        while self._events:
            self._changed.clear()
            await self._changed.wait()

    async def run(self) -> None:
        """Tell until this is cancelled."""
        while True:
            if not self._events:
                self._changed.clear()
                await self._changed.wait()
                continue
            some = self._events[:MAX_TOGETHER]
            try:
                await self._tell(some)
            except (UnavailableError, BusyError, TimeoutExceeded, OSError):
                await asyncio.sleep(_AGAIN_S)
                continue
            except GridLedgerError as error:
                self._played.failed.append(f"{len(some)} events from {some[0]['device']} on: {error.message}")
            else:
                self._played.events += len(some)
            del self._events[: len(some)]
            self._changed.set()


async def _tried(played: Played, what: str, work: Awaitable[Any]) -> bool:
    """Whether it was carried out; a failure is written down, and the story goes on."""
    try:
        await work
    except (GridLedgerError, OSError, TimeoutError) as error:
        told = error.message if isinstance(error, GridLedgerError) else str(error) or type(error).__name__
        played.failed.append(f"{what}: {told}")
        return False
    return True
