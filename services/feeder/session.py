"""One profile on one case, scenario after scenario, and what each left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field

from gridledger.grid.case import FloatArray
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, GridState, PowerFlow
from gridledger.grid.records import Planner
from services.feeder.control_room import MAX_ROUNDS, ControlRoom
from services.feeder.ledger import Callers, Clock, Layout
from services.feeder.loop import INJECTED, STALE, Answer
from services.feeder.merging import Merge
from services.feeder.planning import RecordOffice
from services.feeder.retry import persistently
from services.feeder.scenarios import Scenario

BEFORE_ROUNDS = 3
AFTER_ROUNDS = 4


@dataclass(frozen=True, slots=True)
class Moment:
    """One round: seconds since the scenario's begin, voltages (p.u., case order), VSI by bus."""

    at_s: float
    vm: FloatArray = field(repr=False)
    vsi: dict[int, float] = field(repr=False)


@dataclass(frozen=True, slots=True)
class Injection:
    """Reactive power that the ledger ordered."""

    at_s: float
    group: str
    bus: int
    q_mvar: float
    tx_id: str


@dataclass(frozen=True, slots=True)
class Mark:
    """Something to show on the time axis: kind ``load``, ``merged``, ``extended``, ``returned`` or ``stale``."""

    at_s: float
    kind: str
    text: str


@dataclass(slots=True)
class Run:
    """One scenario in one profile. Voltages p.u.; VVC sums p.u. over all groups, before and after."""

    scenario: Scenario
    planner: Planner
    moments: list[Moment] = field(default_factory=list)
    injections: list[Injection] = field(default_factory=list)
    marks: list[Mark] = field(default_factory=list)
    latencies_s: list[float] = field(default_factory=list)
    faults: list[str] = field(default_factory=list)
    merges: list[str] = field(default_factory=list)
    frames: int = 0
    settled: bool = False
    cured: bool = False
    weak_bus: int = 0
    threshold: float = 0.0
    first_alarm: int = 0
    vvc_before: float = 0.0
    vvc_after: float = 0.0
    injected_pu: float = 0.0

    @property
    def steps(self) -> int:
        """How many injections it took."""
        return len(self.injections)

    @property
    def before(self) -> Moment:
        """The round of the first alarm; where none came, the last round."""
        return self.moments[self.first_alarm]

    @property
    def after(self) -> Moment:
        """The last round."""
        return self.moments[-1]

    def voltage(self, moment: Moment) -> float:
        """Voltage of the weak bus, p.u."""
        return float(moment.vm[self.planner.case.position[self.weak_bus]])


class Session:
    """Runs scenarios with one planner. ``pace_s`` is the pause between rounds."""

    def __init__(
        self,
        planner: Planner,
        power_flow: PowerFlow,
        *,
        layout: Layout,
        callers: Callers,
        clock: Clock,
        pace_s: float = 0.0,
    ) -> None:
        self.planner = planner
        self.plant = Plant(Grid(power_flow), planner.area)
        self.office = RecordOffice(planner, layout, callers, clock)
        self.base: GridState = self.plant.state()
        self._layout = layout
        self._callers = callers
        self._clock = clock
        self._pace_s = pace_s
        self._run: Run | None = None
        self._begun_us = 0

    async def prepare(self) -> tuple[int, int]:
        """Finish merges that others left, submit all records: how many merges, how many records."""
        # Records first: giving back takes them as they are, and those of the other profile serve as well.
        records = await self.office.submit_all(self.base)
        return await self._room().recover(), records

    async def run(self, scenario: Scenario) -> Run:
        """From the base case with fresh lists: some quiet rounds, the disturbance, the loop, some quiet rounds."""
        run, room = await self.begin(scenario)
        for _ in range(BEFORE_ROUNDS):
            self.note(run, await self._paced(room))
        if scenario.loads:
            self.disturb(run)
        for _ in range(MAX_ROUNDS):
            answers = await self._paced(room)
            self.note(run, answers)
            if room.settled(answers):
                run.settled = True
                break
        for _ in range(AFTER_ROUNDS):
            answers = await self._paced(room)
            self.note(run, answers)
        run.cured = run.settled and not any(a.result is None or a.result["alarm"] for a in answers)
        if not run.weak_bus:
            self._take_smallest_margin(run, answers)
        run.vvc_after = await self._left()
        return run

    async def begin(self, scenario: Scenario) -> tuple[Run, ControlRoom]:
        """The base case, records that hold for it, fresh lists, and a control room; the scenario's loads come later."""
        self._run, run = None, Run(scenario, self.planner)
        self.plant.reset()
        await self.office.match(self.plant.state())
        room = self._room()
        await room.recover()
        await self._supply(run)
        self._run = run
        self._begun_us = self._clock.now_us()
        return run, room

    def disturb(self, run: Run) -> None:
        """The scenario's loads, now."""
        self.plant.set_loads(run.scenario.loads)
        run.marks.append(Mark(self._elapsed_s(), "load", run.scenario.title))

    def _room(self) -> ControlRoom:
        return ControlRoom(
            self.planner.grouping,
            plant=self.plant,
            office=self.office,
            layout=self._layout,
            callers=self._callers,
            clock=self._clock,
            watch=self._watch,
        )

    async def _paced(self, room: ControlRoom) -> list[Answer]:
        """A round, and a pause."""
        answers = await room.round()
        await self._clock.sleep(self._pace_s)
        return answers

    async def _supply(self, run: Run) -> None:
        async def supply(group: str, vvc: dict[str, float]) -> None:
            ledger, channel = self._callers.aggregator(group), self._layout.channel_of(group)
            argument = {"group": group, "vvc": vvc}
            receipt = await persistently(self._clock, lambda: ledger.submit(channel, "UpdateResources", argument))
            self.plant.start_counting(group, receipt.payload["actions"])
            run.vvc_before += sum(vvc.values())

        async with asyncio.TaskGroup() as tasks:
            for group, vvc in run.scenario.resources(self.planner).items():
                tasks.create_task(supply(group, vvc))

    async def _left(self) -> float:
        async def left(group: str) -> float:
            ledger, channel = self._callers.aggregator(group), self._layout.channel_of(group)
            answer = await persistently(self._clock, lambda: ledger.evaluate(channel, "GetResources", {"group": group}))
            return float(sum(answer["vvc"].values()))

        return sum(await asyncio.gather(*(left(group) for group in self.planner.grouping)))

    def note(self, run: Run, answers: Sequence[Answer]) -> None:
        """Take the answers of one round into the run."""
        at_s = (answers[0].time_us - self._begun_us) / 1e6
        indices: dict[int, float] = {}
        for answer in answers:
            indices |= answer.vsi
        run.moments.append(Moment(at_s, answers[0].state.vm, indices))
        for answer in answers:
            self._note_one(run, answer)

    def _note_one(self, run: Run, answer: Answer) -> None:
        run.frames += 1
        if answer.result is None:
            run.faults.append(answer.fault)
            return
        run.latencies_s.append(answer.latency_s)
        if answer.outcome == STALE:
            run.marks.append(Mark(self._elapsed_s(), "stale", f"group {answer.group}: new record"))
        elif answer.result["alarm"] and not run.weak_bus:
            run.weak_bus, run.threshold = answer.result["weak_bus"], answer.result["threshold"]
            run.first_alarm = len(run.moments) - 1
        if answer.outcome == INJECTED:
            self.note_injection(run, answer)

    def note_injection(self, run: Run, answer: Answer) -> None:
        """Take an answer's injection into the run."""
        control = answer.control
        if control is not None:
            at_s = (answer.time_us - self._begun_us) / 1e6 + answer.latency_s
            run.injections.append(Injection(at_s, answer.group, control["source_bus"], control["q_mvar"], answer.tx_id))
            run.injected_pu += control["q_pu"]

    def _watch(self, what: str, merge: Merge) -> None:
        if self._run is not None:
            self._run.marks.append(Mark(self._elapsed_s(), what, merge.group))
            self._run.merges.append(f"{what} {merge.group}")

    def _take_smallest_margin(self, run: Run, answers: Sequence[Answer]) -> None:
        weakest = min(
            (a.result for a in answers if a.result is not None and a.result["vsi"]),
            key=lambda result: result["vsi"][0]["vsi"] - result["threshold"],
        )
        run.weak_bus, run.threshold = weakest["weak_bus"], weakest["threshold"]
        run.first_alarm = BEFORE_ROUNDS if len(run.moments) > BEFORE_ROUNDS else 0

    def _elapsed_s(self) -> float:
        return (self._clock.now_us() - self._begun_us) / 1e6
