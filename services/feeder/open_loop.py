"""The open-loop stream: frames of every group at a fixed rate, the control loop closed while they stream.

Each frame is sent at its intended time, whatever became of those before, and its latency counts from there.
"""

from __future__ import annotations

import asyncio
import gc
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace

from gridledger.errors import GridLedgerError
from gridledger.grid.grouping import components
from services.feeder.coordinator import Coordinator
from services.feeder.frames_in_flight import FramesInFlight, Gaps
from services.feeder.grid_changes import GridChanges
from services.feeder.group_loop import FAILED, FrameAnswer
from services.feeder.group_move import GroupMover, Moved
from services.feeder.layout_follower import LayoutFollower
from services.feeder.ledger_port import REFUSED, is_conflict
from services.feeder.live_stream import LiveStream, Operator
from services.feeder.record_submitter import PEERS_FOLLOW_S
from services.feeder.results.recorder import NO_RECORDER, RunMeta, RunRecorder
from services.feeder.scenario import Scenario
from services.feeder.scenario_run import ScenarioRun
from services.feeder.scenario_runner import ScenarioRunner
from services.feeder.schedule import Change
from services.feeder.stream_clock import StreamClock
from services.feeder.superseded import SUPERSEDED, Changes

MAX_IN_FLIGHT = 4000
_DRAIN_S = 30.0
_LEAD_S = 0.3
_TOLD_LATER = ("merged", "extended", "returned", "stale", "limit")
"""Marks that are told of with the next report; changes of the grid are told of at once."""


@dataclass(slots=True)
class GroupTally:
    """The frames of one id. ``latencies_s``: of the valid ones, from intended time to durable commit.

    Every frame that was sent has one of ``outcomes``; ``faults`` are the codes of the failed ones.
    """

    sent: int = 0
    valid: int = 0
    latencies_s: list[float] = field(default_factory=list)
    outcomes: Counter[str] = field(default_factory=Counter)
    faults: Counter[str] = field(default_factory=Counter)

    def add(self, other: GroupTally) -> None:
        """Count the frames of another id as well."""
        self.sent += other.sent
        self.valid += other.valid
        self.latencies_s += other.latencies_s
        self.outcomes += other.outcomes
        self.faults += other.faults

    @property
    def superseded(self) -> int:
        """How many conflicted with a change that was made while they were on their way."""
        return self.outcomes[SUPERSEDED]


@dataclass(slots=True)
class StreamResult:
    """The tallies by id; injections and the state of the grid are in ``run``.

    ``skipped`` frames were not sent, because too many were in flight. ``moves`` are of groups to other channels.
    """

    run: ScenarioRun
    tallies: dict[str, GroupTally]
    skipped: int
    gaps: Gaps
    moves: list[Moved]

    @property
    def total(self) -> GroupTally:
        """Of all ids together."""
        total = GroupTally()
        for tally in self.tallies.values():
            total.add(tally)
        return total


@dataclass(frozen=True, slots=True)
class _Conflict:
    """A frame that conflicted or was refused, and when it was due, left and was answered.

    Whether it was superseded is judged at the end, when all changes are known.
    """

    tally: GroupTally
    answer: FrameAnswer
    intended_s: float
    begin_s: float
    end_s: float


class OpenLoopStream:
    """One stream of a scenario: its rate of frames of every group, for its duration.

    ``tell`` is given a line about every injection and merge, and one about the frames every few seconds. ``follower``
    moves groups to other channels meanwhile, ``operator`` changes the grid by hand. ``recorder`` is told of ``meta``,
    with the time of the first frame, and of all that follows but the end.
    """

    def __init__(
        self,
        runner: ScenarioRunner,
        scenario: Scenario,
        *,
        tell: Callable[[str], None],
        follower: LayoutFollower | None = None,
        recorder: RunRecorder = NO_RECORDER,
        meta: RunMeta | None = None,
        operator: Operator | None = None,
    ):
        self._runner = runner
        self._scenario = scenario
        self._rate = scenario.rate
        self._seconds = scenario.duration_s
        self._tell = tell
        self._tallies: dict[str, GroupTally] = {}
        self._follower = follower
        self._recorder, self._meta = recorder, meta
        self._operator = operator
        self._in_flight = FramesInFlight()
        self._gaps = Gaps()
        self._skipped = 0
        self._errors: list[GridLedgerError] = []
        self._changes = Changes()
        self._conflicts: list[_Conflict] = []
        self._clock = StreamClock()

    async def run(self) -> StreamResult:
        """Stream; raises the first error that is more than a passing failure of single frames."""
        run, coordinator = await self._runner.begin(self._scenario)
        # One frame each before the clock runs: connections open, chaincode hosts awake.
        run.add_round(await coordinator.round())
        is_frozen = gc.get_freeze_count() > 0  # whoever froze what was there before does so until the end
        gc.collect()
        gc.freeze()
        self._begin(run)
        apart_s = 1.0 / (self._rate * len(coordinator.groups))
        senders = [
            asyncio.create_task(self._send_frames(run, coordinator, group, rank * apart_s))
            for rank, group in enumerate(coordinator.groups)
        ]
        changes = self._runner.changes(coordinator, self._in_flight)
        others = [
            asyncio.create_task(self._change_grid(run, changes)),
            asyncio.create_task(self._report(run)),
        ]
        if self._operator is not None:
            others.append(asyncio.create_task(self._operate(self._operator, run, coordinator, changes)))
        mover = self._runner.mover(coordinator, self._in_flight, self._tell)
        if self._follower is not None:
            others.append(asyncio.create_task(self._follower.run(mover)))
        try:
            await asyncio.gather(*senders)
            if self._follower is not None:
                if not await self._follower.idle(_DRAIN_S):
                    self._tell("a move of a group is not done; the next start of the feeder finishes it")
                others[-1].cancel()
            if self._in_flight:
                await asyncio.wait(self._in_flight, timeout=_DRAIN_S)
        finally:
            if not is_frozen:
                gc.unfreeze()
            for task in (*senders, *others, *self._in_flight):
                task.cancel()
            await asyncio.gather(*senders, *others, *self._in_flight, return_exceptions=True)
        for task in others:
            if not task.cancelled() and (error := task.exception()) is not None:
                raise error
        if self._errors:
            raise self._errors[0]
        self._judge_conflicts(mover)
        run.add_round(await coordinator.round(round(self._seconds * self._rate)))
        run.vvc_after = await self._runner.left()
        return StreamResult(
            run, self._tallies, self._skipped, self._gaps, [] if self._follower is None else self._follower.moves
        )

    def _begin(self, run: ScenarioRun) -> None:
        """Start the clock, and the record of the run."""
        self._clock = StreamClock(_LEAD_S)
        if self._meta is not None:
            begun_us = run.clock.now_us() - round(self._clock.at_s * 1e6)
            self._recorder.begin(replace(self._meta, begun_us=begun_us))
            self._runner.recorder = self._recorder

    async def _send_frames(self, run: ScenarioRun, coordinator: Coordinator, group: str, first_s: float) -> None:
        """A group's frames, each at its intended time; the first at ``first_s``."""
        interval = 1.0 / self._rate
        for number in range(round(self._seconds * self._rate)):
            at_s = first_s + number * interval
            if not await self._clock.until(at_s):
                return
            name = _measured_as(coordinator, group)
            if coordinator.is_apart(group):
                self._gaps.missed[group] += 1
            if name is None:
                continue
            if len(self._in_flight) >= MAX_IN_FLIGHT:
                self._skipped += 1
                continue
            intended = self._clock.real(at_s)
            task = asyncio.create_task(self._send_frame(run, coordinator, name, number, intended))
            self._in_flight.add(name, task)

    async def _send_frame(
        self, run: ScenarioRun, coordinator: Coordinator, name: str, number: int, intended: float
    ) -> None:
        tally = self._tallies.setdefault(name, GroupTally())
        tally.sent += 1
        begin = time.perf_counter()
        try:
            answer = await coordinator.loop(name).measure(number)
            if answer.outcome == FAILED and (is_conflict(answer.fault) or answer.fault == REFUSED):
                self._conflicts.append(_Conflict(tally, answer, intended, begin, time.perf_counter()))
            else:
                self._count(run, tally, answer, begin - intended)
            await coordinator.follow(answer)
            self._changes.add(answer, begin, time.perf_counter())
        except GridLedgerError as error:
            tally.faults[error.code] += 1
            self._fail(error)

    def _count(self, run: ScenarioRun, tally: GroupTally, answer: FrameAnswer, late_s: float) -> None:
        tally.outcomes[answer.outcome] += 1
        self._recorder.frame(answer, answer.state, late_s=late_s)
        if answer.outcome == FAILED:
            tally.faults[answer.fault] += 1
            return
        tally.valid += 1
        self._gaps.committed(answer.group, time.perf_counter())
        tally.latencies_s.append(late_s + answer.latency_s)
        control = answer.control
        if control is not None:
            done_us = answer.time_us + round(answer.latency_s * 1e6)
            self._recorder.action(answer.group, control, done_us, answer.tx_id)
        if control is not None:
            self._tell(
                f"group {answer.group}: bus {control['weak_bus']} at VSI {answer.vsi[control['weak_bus']]:.4f}; "
                f"{control['q_mvar']:.3f} MVAr at bus {control['source_bus']} (transaction {answer.tx_id[:12]})"
            )
            run.add_injection(answer, control)

    def _judge_conflicts(self, mover: GroupMover) -> None:
        """Tell superseded frames from faults, now that all changes are known."""
        for held in mover.held:
            self._changes.add_any(*held)
        for topology in self._runner.records.topologies:
            self._changes.add_groups(topology.groups, topology.begin_s, topology.end_s + PEERS_FOLLOW_S)
        for met in self._conflicts:
            superseded = self._changes.met(met.answer.group, met.begin_s, met.end_s)
            met.tally.outcomes[SUPERSEDED if superseded else FAILED] += 1
            if not superseded:
                met.tally.faults[met.answer.fault] += 1
            outcome = SUPERSEDED if superseded else FAILED
            late_s = met.begin_s - met.intended_s
            self._recorder.frame(met.answer, met.answer.state, late_s=late_s, outcome=outcome)

    async def _change_grid(self, run: ScenarioRun, changes: GridChanges) -> None:
        """The scenario's changes, each at its time. One that the grid cannot do ends the stream."""
        for at_s, due in self._scenario.schedule.moments():
            if not await self._clock.until(at_s):
                return
            for change in due:
                try:
                    await self._carry_out(run, changes, change)
                except GridLedgerError as error:
                    self._fail(error)
                    return

    async def _carry_out(self, run: ScenarioRun, changes: GridChanges, change: Change) -> None:
        await self._runner.carry_out(run, changes, change)
        if change.title:
            self._tell(f"{self._clock.at_s:5.1f} s: {change.title}")

    def _fail(self, error: GridLedgerError) -> None:
        self._errors.append(error)
        self._clock.end()

    async def _operate(
        self, operator: Operator, run: ScenarioRun, coordinator: Coordinator, changes: GridChanges
    ) -> None:
        """Let whoever controls the stream work on it."""

        async def carry_out(change: Change) -> None:
            await self._runner.carry_out(run, changes, change)

        stream = LiveStream(
            run=run,
            planner=self._runner.planner,
            plant=self._runner.plant,
            coordinator=coordinator,
            clock=self._clock,
            carry_out=carry_out,
            note=lambda kind, text: self._runner.note(run, kind, text),
            counts=self._counts,
        )
        try:
            await operator(stream)
        except GridLedgerError as error:
            self._fail(error)

    async def _report(self, run: ScenarioRun) -> None:
        every_s = max(2.0, self._seconds / 12.0)
        told_marks = 0
        while True:
            await asyncio.sleep(every_s)
            for mark in run.marks[told_marks:]:
                if mark.kind in _TOLD_LATER:
                    self._tell(f"{mark.kind} {mark.text}")
            told_marks = len(run.marks)
            sent, valid = self._counts()
            self._tell(f"{self._clock.at_s:5.1f} s: {sent} frames sent, {valid} committed")

    def _counts(self) -> tuple[int, int]:
        """How many frames were sent, and how many committed."""
        tallies = self._tallies.values()
        return sum(tally.sent for tally in tallies), sum(tally.valid for tally in tallies)


def _measured_as(coordinator: Coordinator, group: str) -> str | None:
    """The id to measure on this group's beat: its own; in a merge, on the first component's beat, the merged one."""
    for name in coordinator.measured:
        parts = components(name)
        if group in parts:
            return name if parts[0] == group else None
    return None
