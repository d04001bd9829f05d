"""Frames of every group at a fixed rate, the loop closed while they stream.

Open loop: each frame is sent at its intended time, whatever became of those before, and its latency counts from there.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

from gridledger.errors import GridLedgerError
from gridledger.grid.grouping import components
from services.feeder.control_room import ControlRoom
from services.feeder.loop import FAILED, INJECTED, Answer
from services.feeder.scenarios import Scenario
from services.feeder.session import Run, Session

MAX_UNDER_WAY = 4000
_DRAIN_S = 30.0
_LEAD_S = 0.3
_DISTURBED_AFTER = 0.25
"""Share of the time after which the scenario's loads come."""


@dataclass(slots=True)
class GroupTally:
    """What became of one id's frames. ``latencies_s``: of the valid ones, from intended time to durable commit."""

    sent: int = 0
    valid: int = 0
    latencies_s: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)


@dataclass(slots=True)
class StreamResult:
    """By id, the tallies; injections and the state of the grid are in ``run``."""

    run: Run
    tallies: dict[str, GroupTally]
    seconds: float
    skipped: int

    @property
    def all_latencies_s(self) -> list[float]:
        """Of all ids together."""
        return [latency for tally in self.tallies.values() for latency in tally.latencies_s]

    @property
    def sent(self) -> int:
        """Frames sent."""
        return sum(tally.sent for tally in self.tallies.values())

    @property
    def valid(self) -> int:
        """Frames that were committed as valid."""
        return sum(tally.valid for tally in self.tallies.values())


class Stream:
    """One run: ``rate`` frames per second of every group for ``seconds``.

    ``tell`` is given a line about every injection and merge, and one about the frames every few seconds.
    """

    def __init__(
        self, session: Session, scenario: Scenario, *, rate: float, seconds: float, tell: Callable[[str], None]
    ):
        self._session = session
        self._scenario = scenario
        self._rate = rate
        self._seconds = seconds
        self._tell = tell
        self._tallies: dict[str, GroupTally] = {}
        self._under_way: set[asyncio.Task[None]] = set()
        self._skipped = 0
        self._errors: list[BaseException] = []

    async def run(self) -> StreamResult:
        """Stream; raises what went wrong beyond a passing failure of single frames."""
        run, room = await self._session.begin(self._scenario)
        # One frame each before the clock runs: connections open, chaincode hosts awake.
        self._session.note(run, await room.round())
        gc.collect()
        gc.freeze()
        begin = time.perf_counter() + _LEAD_S
        tickers = [
            asyncio.create_task(self._tick(run, room, group, begin + rank / (self._rate * len(room.groups))))
            for rank, group in enumerate(room.groups)
        ]
        extras = [asyncio.create_task(self._disturb(run, begin)), asyncio.create_task(self._report(run, begin))]
        try:
            await asyncio.gather(*tickers)
            if self._under_way:
                await asyncio.wait(self._under_way, timeout=_DRAIN_S)
        finally:
            gc.unfreeze()
            for task in (*tickers, *extras, *self._under_way):
                task.cancel()
            await asyncio.gather(*tickers, *extras, *self._under_way, return_exceptions=True)
        if self._errors:
            raise self._errors[0]
        self._session.note(run, await room.round())
        return StreamResult(run, self._tallies, self._seconds, self._skipped)

    async def _tick(self, run: Run, room: ControlRoom, group: str, first: float) -> None:
        interval = 1.0 / self._rate
        for number in range(round(self._seconds * self._rate)):
            intended = first + number * interval
            delay = intended - time.perf_counter()
            if delay > 0:
                await asyncio.sleep(delay)
            name = _measured_as(room, group)
            if name is None or self._errors:
                continue
            if len(self._under_way) >= MAX_UNDER_WAY:
                self._skipped += 1
                continue
            task = asyncio.create_task(self._one(run, room, name, intended))
            self._under_way.add(task)
            task.add_done_callback(self._under_way.discard)

    async def _one(self, run: Run, room: ControlRoom, name: str, intended: float) -> None:
        tally = self._tallies.setdefault(name, GroupTally())
        tally.sent += 1
        late_s = time.perf_counter() - intended
        try:
            answer = await room.loop(name).measure()
            self._count(run, tally, answer, late_s)
            await room.follow(answer)
        except GridLedgerError as error:
            tally.faults[error.code] += 1
            self._errors.append(error)

    def _count(self, run: Run, tally: GroupTally, answer: Answer, late_s: float) -> None:
        tally.outcomes[answer.outcome] += 1
        if answer.outcome == FAILED:
            tally.faults[answer.fault] += 1
            return
        tally.valid += 1
        tally.latencies_s.append(late_s + answer.latency_s)
        control = answer.control
        if answer.outcome == INJECTED and control is not None:
            self._tell(
                f"group {answer.group}: bus {control['weak_bus']} at VSI {answer.vsi[control['weak_bus']]:.4f}; "
                f"{control['q_mvar']:.3f} MVAr at bus {control['source_bus']} (transaction {answer.tx_id[:12]})"
            )
            self._session.note_injection(run, answer)

    async def _disturb(self, run: Run, begin: float) -> None:
        if self._scenario.loads:
            await asyncio.sleep(max(0.0, begin + _DISTURBED_AFTER * self._seconds - time.perf_counter()))
            self._session.disturb(run)
            self._tell(f"the load changes: {self._scenario.title}")

    async def _report(self, run: Run, begin: float) -> None:
        every_s = max(2.0, self._seconds / 12.0)
        told_marks = 0
        while True:
            await asyncio.sleep(every_s)
            for mark in run.marks[told_marks:]:
                if mark.kind != "load":
                    self._tell(f"{mark.kind} {mark.text}")
            told_marks = len(run.marks)
            sent = sum(tally.sent for tally in self._tallies.values())
            valid = sum(tally.valid for tally in self._tallies.values())
            self._tell(f"{time.perf_counter() - begin:5.1f} s: {sent} frames sent, {valid} committed")


def _measured_as(room: ControlRoom, group: str) -> str | None:
    """The id to measure on this group's beat: its own; in a merge, on the first component's beat, the merged one."""
    for name in room.measured:
        parts = components(name)
        if group in parts:
            return name if parts[0] == group else None
    return None
