"""The runner of scenarios: one profile on one case, scenario after scenario."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from typing import Any

from gridledger.client.profile import ConnectionProfile
from gridledger.errors import GridLedgerError
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, GridState, PowerFlow
from gridledger.grid.records import Planner
from services.feeder.clock import Clock
from services.feeder.concurrently import concurrently
from services.feeder.coordinator import Coordinator
from services.feeder.dvs_client import DvsClient
from services.feeder.frames_in_flight import FramesInFlight
from services.feeder.grid_changes import GridChanges
from services.feeder.group_loop import FrameAnswer
from services.feeder.group_move import GroupMover, gather_lists
from services.feeder.merging import Merge
from services.feeder.meter import Meter
from services.feeder.pmu.measurement import GridPmus
from services.feeder.record_submitter import RecordSubmitter
from services.feeder.results.recorder import NO_RECORDER, RecordedChange, RunRecorder
from services.feeder.results.told import recorded_changes
from services.feeder.scenario import Scenario
from services.feeder.scenario_run import ScenarioRun
from services.feeder.schedule import Change

BEFORE_ROUNDS = 3
MAX_ROUNDS = 50
AFTER_ROUNDS = 4
MAX_ROUNDS_WITH_RELEASE = 600
_QUIET_HOLDS = 1.5


class ScenarioRunner:
    """Runs scenarios with one planner. ``pace_s`` is the pause between rounds."""

    def __init__(
        self, planner: Planner, power_flow: PowerFlow, *, dvs: DvsClient, clock: Clock, pace_s: float = 0.0
    ) -> None:
        self.planner = planner
        self.power_flow = power_flow
        self.plant = Plant(Grid(power_flow), planner.area, reference_rows=planner.check is not None)
        self.base: GridState = self.plant.state()
        self._records = RecordSubmitter(planner, dvs, clock, self._on_kinds)
        self._dvs = dvs
        self._clock = clock
        self._pace_s = pace_s
        self._run: ScenarioRun | None = None
        self.pmus: GridPmus | None = None
        """The PMUs that measure the grid; None where frames are read off its state."""
        self.recorder: RunRecorder = NO_RECORDER
        """Is told of changes and merges."""

    async def prepare(self) -> tuple[int, int]:
        """Finish merges that others left unfinished, submit all records: how many merges, how many records."""
        merges = 0
        # Under the records that lent, where that can be: the new ones may be of a case that lacks a bus of the list.
        with suppress(GridLedgerError):
            merges = await self._coordinator().recover()
        # Where it cannot, giving back takes the new records; those of the other profile serve as well.
        records = await self._records.submit_all(self.base)
        return merges + await self._coordinator().recover(), records

    @property
    def records(self) -> RecordSubmitter:
        """What submits the planner's records."""
        return self._records

    async def gather_lists(self, profile: ConnectionProfile) -> list[tuple[str, str]]:
        """End moves of groups that were cut short; each group and the channel on which it had VVC left."""
        groups = self.planner.grouping
        return await gather_lists(groups, self._dvs, profile, lambda group: self.planner.record(group, self.base))

    async def run(self, scenario: Scenario) -> ScenarioRun:
        """From the base case with fresh lists: some quiet rounds, what happens, the loop, some quiet rounds.

        Rounds follow one another, and the schedule's times say only what comes first: after the changes of each time
        there are rounds until nothing more is ordered.
        """
        run, coordinator = await self.begin(scenario)
        for _ in range(BEFORE_ROUNDS):
            await self._round(run, coordinator)
        changes = self.changes(coordinator, FramesInFlight())
        run.settled = True
        for _, due in tuple(scenario.schedule.moments()) or ((0.0, ()),):
            for change in due:
                await self.carry_out(run, changes, change)
            run.settled = await self._settle(run, coordinator) and run.settled
        for _ in range(AFTER_ROUNDS):
            answers = await self._round(run, coordinator)
        run.cured = run.settled and not any(a.result is None or a.result["alarm"] for a in answers)
        if not run.weak_bus:
            _take_smallest_margin(run, answers)
        run.vvc_after = await self.left()
        return run

    async def begin(self, scenario: Scenario) -> tuple[ScenarioRun, Coordinator]:
        """The base case, records that hold for it, fresh lists, and a coordinator; what happens comes later."""
        self._run = None
        self.plant.reset()
        self.plant.grid.sources = dict(scenario.sources)
        await self._records.match(self.plant)
        coordinator = self._coordinator(scenario.meter(self.planner.case))
        await coordinator.recover()
        vvc = await self._supply(scenario)
        self._run = run = ScenarioRun(scenario, self.planner, self._clock, self._clock.now_us(), vvc_before=vvc)
        return run, coordinator

    def mover(self, coordinator: Coordinator, frames: FramesInFlight, tell: Callable[[str], None]) -> GroupMover:
        """What moves a run's groups to other channels while its ``frames`` are sent."""
        return GroupMover(
            coordinator=coordinator,
            records=self._records,
            plant=self.plant,
            dvs=self._dvs,
            frames=frames,
            clock=self._clock,
            tell=tell,
        )

    def changes(self, coordinator: Coordinator, frames: FramesInFlight) -> GridChanges:
        """What carries out a run's changes while its ``frames`` are sent."""
        return GridChanges(self.planner, plant=self.plant, coordinator=coordinator, dvs=self._dvs, frames=frames)

    def note(self, run: ScenarioRun, kind: str, text: str) -> None:
        """Mark and record something that was done."""
        run.mark(kind, text)
        self.recorder.change(RecordedChange(self._clock.now_us(), kind, text))

    async def carry_out(self, run: ScenarioRun, changes: GridChanges, change: Change) -> None:
        """One change of the grid, and its mark in the run."""
        given = changes.vvc_given
        await changes.carry_out(change)
        run.vvc_given += changes.vvc_given - given
        for recorded in recorded_changes(change, self._clock.now_us()):
            self.recorder.change(recorded)
        if change.title:
            run.mark(change.kind, change.title)

    async def _settle(self, run: ScenarioRun, coordinator: Coordinator) -> bool:
        """Rounds until nothing more is ordered; False where that does not come.

        With ``release`` nothing is ordered for longer than an entry stands at least.
        """
        release = self.planner.release
        quiet_us = 0 if release is None else round(_QUIET_HOLDS * release.hold_s * 1e6)
        quiet_since: int | None = None
        for _ in range(MAX_ROUNDS if release is None else MAX_ROUNDS_WITH_RELEASE):
            answers = await self._round(run, coordinator)
            if not coordinator.settled(answers):
                quiet_since = None
                continue
            now = min(answer.time_us for answer in answers)
            quiet_since = now if quiet_since is None else quiet_since
            if now - quiet_since >= quiet_us:
                return True
        return False

    def _coordinator(self, meter: Meter | None = None) -> Coordinator:
        return Coordinator(
            self.planner.grouping,
            plant=self.plant,
            records=self._records,
            dvs=self._dvs,
            clock=self._clock,
            meter=meter,
            pmus=self.pmus,
            on_merge=self._on_merge,
        )

    def _on_kinds(self, buses: Mapping[int, bool]) -> None:
        for bus, is_load in buses.items():
            if self._run is not None:
                held = "reaches a limit, it counts as a load bus" if is_load else "holds its voltage again"
                text = f"the generator at bus {bus} {held}"
                self._run.mark("limit", text)
                self.recorder.change(RecordedChange(self._clock.now_us(), "limit", text, bus))

    def _on_merge(self, what: str, merge: Merge) -> None:
        if self._run is not None:
            self._run.add_merge(what, merge)
            self.recorder.merge(what, merge, self._clock.now_us())

    async def _round(self, run: ScenarioRun, coordinator: Coordinator) -> list[FrameAnswer]:
        """A round, and a pause."""
        answers = await coordinator.round(len(run.moments))
        await self._clock.sleep(self._pace_s)
        run.add_round(answers)
        return answers

    async def _supply(self, scenario: Scenario) -> float:
        """Give every group the scenario's VVC list; the sum of all, p.u."""

        # After a reset of the plant nothing stands; a ledger that did not know would release what is not there.
        stands: dict[str, Any] = {} if self.planner.release is None else {"standing": []}

        async def supply(group: str, vvc: dict[str, float]) -> float:
            resources, _ = await self._dvs.submit(group, "UpdateResources", vvc=vvc, **stands)
            self.plant.start_counting(group, resources["actions"])
            return sum(vvc.values())

        return sum(await concurrently(supply(*item) for item in scenario.resources(self.planner).items()))

    async def left(self) -> float:
        """The VVC that all groups have left, p.u."""
        answers = await concurrently(self._dvs.query(group, "GetResources") for group in self.planner.grouping)
        return float(sum(sum(answer["vvc"].values()) for answer in answers))


def _take_smallest_margin(run: ScenarioRun, answers: Sequence[FrameAnswer]) -> None:
    """Where nothing alarmed, the weak bus is the one nearest to its threshold."""
    weakest = min(
        (a.result for a in answers if a.result is not None and a.result["vsi"]),
        key=lambda result: result["vsi"][0]["vsi"] - result["threshold"],
    )
    run.weak_bus, run.threshold = weakest["weak_bus"], weakest["threshold"]
    run.first_alarm = BEFORE_ROUNDS if len(run.moments) > BEFORE_ROUNDS else 0
