"""The closed loop with ``release`` in one process: a case's plant, the real contract on channels, one aggregator.

One round is one frame of each measured id. Time passes evenly, ``interval_s`` from round to round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from random import Random
from typing import Any

import numpy as np

from gridledger.grid.case import load_case
from gridledger.grid.grouping import components, grouping_of
from gridledger.grid.layout import Layout
from gridledger.grid.planning import default_thresholds
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, PowerFlowDiverged
from gridledger.grid.records import Planner
from gridledger.grid.rules import Check, Release
from gridledger.grid.stability import vsi_of
from services.feeder.coordinator import Coordinator
from services.feeder.group_loop import FAILED, INJECTED, RELEASED, STALE, SUSPECT, FrameAnswer
from services.feeder.merging import Merge
from services.feeder.record_submitter import RecordSubmitter
from tests.support.dvs_channel import full_list
from tests.support.dvs_world import FakeClock, Life, World, dvs_client
from tests.support.solved_grid import base_state, power_flow

INTERVAL_S = 0.1
HOLD_S = 1.0
VVC_PU = 1.5
LOW_VM = 0.975
SINGLE = Layout("grid", ("grid",))


def release_planner(case: str, **rule: float) -> Planner:
    """The planner of a case with ``release`` and ``check``; v_max lies above the base case's load-bus voltages."""
    grid, base = load_case(case), base_state(case)
    groups = grouping_of(grid)
    highest = max(float(base.vm[grid.position[b]]) for b in grid.numbers if b not in grid.generator_buses)
    chosen = {"v_max": round(highest + 0.02, 3), "margin": 0.02, "hold_s": HOLD_S, "dv_max": 0.02} | rule
    thresholds = default_thresholds(grid, groups, "corrected", base)
    return Planner(grid, groups, "corrected", thresholds, release=Release(**chosen), check=Check(tolerance_mva=0.001))


@dataclass(frozen=True, slots=True)
class Action:
    """An injection or release: the round that ordered it, its id, and whether border power turned in that id then."""

    number: int
    group: str
    q_pu: float
    control: dict[str, Any] = field(repr=False)


class ReleaseWorld:
    """One run. ``actions``, ``alarms`` (round, id), ``stale`` (round, id) and ``merges`` tell what happened.

    ``changes``: the rounds after which loads changed. ``lowest_after_release``: the least VSI minus threshold that an
    id had in the frame after its release, where no load had changed and no border turned.
    """

    def __init__(self, planner: Planner, *, empty: tuple[str, ...] = (), without: tuple[int, ...] = ()) -> None:
        self.planner = planner
        self.groups = tuple(planner.grouping)
        self.world = World(SINGLE, self.groups)
        self.plant = Plant(Grid(power_flow(planner.case.name)), planner.area, reference_rows=True)
        self.clock = FakeClock()
        self.begun_us = self.clock.us
        self.round_number = 0
        self.actions: list[Action] = []
        self.alarms: list[tuple[int, str]] = []
        self.stale: list[tuple[int, str]] = []
        self.tolerant = False
        """Whether frames may fail."""
        self.changes: list[int] = []
        self.merges: list[str] = []
        self.lowest_after_release = float("inf")
        self.outcomes: Counter[str] = Counter()
        self.base = base_state(planner.case.name)
        self._empty, self._without = empty, without
        self.coordinator = self.new_coordinator()

    def new_coordinator(self, life: Life | None = None) -> Coordinator:
        """An aggregator's process that knows nothing yet."""
        dvs = dvs_client(self.world, life, self.clock)
        records = RecordSubmitter(self.planner, dvs, self.clock)
        return Coordinator(
            self.groups, plant=self.plant, records=records, dvs=dvs, clock=self.clock, on_merge=self._on_merge
        )

    async def start(self) -> ReleaseWorld:
        """Records and lists on the ledger."""
        await self.coordinator.records.submit_all(self.plant.state())
        dvs = dvs_client(self.world, None, self.clock)
        for group in self.groups:
            loads = self.planner.area(group).load_buses
            vvc = full_list(
                loads,
                0.0 if group in self._empty else VVC_PU,
                **{f"bus_{bus}": 0.0 for bus in self._without if bus in loads},
            )
            await dvs.submit(group, "UpdateResources", vvc=vvc, standing=[])
        self.given = self.world.owned()
        return self

    async def rounds(self, count: int) -> list[list[FrameAnswer]]:
        """So many rounds, and their answers."""
        return [await self.round() for _ in range(count)]

    async def round(self) -> list[FrameAnswer]:
        """One frame of each measured id."""
        self.round_number += 1
        due = self.begun_us + round(self.round_number * INTERVAL_S * 1e6)
        assert self.clock.us < due, "a round takes longer than the interval"
        self.clock.us = due
        answers = await self.coordinator.round()
        for answer in answers:
            self._note(answer)
        return answers

    async def resources(self, group: str) -> dict[str, Any]:
        """GetResources."""
        found: dict[str, Any] = await dvs_client(self.world, None, self.clock).query(group, "GetResources")
        return found

    async def until_quiet(self, seconds: float = 2.5, most: int = 3000) -> int:
        """Rounds until nothing is ordered for so long; how many. Fails the test where that does not come."""
        quiet = 0
        for count in range(most):
            answers = await self.round()
            quiet = quiet + 1 if all(a.control is None and a.outcome != STALE for a in answers) else 0
            if quiet * INTERVAL_S > seconds:
                return count + 1
        raise AssertionError(f"not quiet after {most} rounds")

    def set_loads(self, loads: Mapping[int, tuple[float, float]]) -> None:
        """Change demands (MW, MVAr)."""
        self.plant.set_loads(loads)
        self.changes.append(self.round_number)

    def restore_loads(self, buses: tuple[int, ...]) -> None:
        """The demands of the base case at some buses."""
        position = self.planner.case.position
        self.set_loads({bus: (float(self.base.pd[position[bus]]), float(self.base.qd[position[bus]])) for bus in buses})

    def standing(self) -> float:
        """What stands in the plant, p.u."""
        return sum(self.plant.standing.values()) / self.planner.case.base_mva

    @property
    def releases(self) -> list[Action]:
        """The releases."""
        return [action for action in self.actions if action.q_pu < 0.0]

    @property
    def injections(self) -> list[Action]:
        """The injections."""
        return [action for action in self.actions if action.q_pu > 0.0]

    def deviation(self) -> float:
        """Largest difference of a voltage from the base case, p.u."""
        return float(np.abs(self.plant.state().vm - self.base.vm).max())

    def alarms_after_releases(self, frames: int = 10) -> tuple[list[str], list[str]]:
        """Alarms within so many frames of a release, under unchanged load: in the same id, and in other ids.

        An alarm in the same id does not count where a border turned.
        """
        same, other = [], []
        for release in self.releases:
            for number, group in self.alarms:
                if not 0 < number - release.number <= frames:
                    continue
                if any(release.number <= when < number for when in self.changes):
                    continue
                turned = any(release.number <= when <= number for when, _ in self.stale)
                told = f"{group} in round {number} after {release.group} released in {release.number}"
                if group != release.group:
                    other.append(told)
                elif not turned:
                    same.append(told)
        return same, other

    def check_conserved(self) -> float:
        """Largest difference, p.u., of free and standing from what was given; the ledger's and the plant's agree."""
        stands = self.standing()
        assert abs(stands - sum(action.q_pu for action in self.actions)) <= 1e-9
        return abs(self.world.owned() + stands - self.given)

    def shortest_pause(self) -> float:
        """The least time between two releases of one id, seconds; infinite where there were not two."""
        last: dict[str, int] = {}
        shortest = float("inf")
        for release in self.releases:
            if release.group in last:
                shortest = min(shortest, (release.number - last[release.group]) * INTERVAL_S)
            last[release.group] = release.number
        return shortest

    def _note(self, answer: FrameAnswer) -> None:
        self.outcomes[answer.outcome] += 1
        if self.tolerant and answer.outcome == FAILED:
            return
        assert answer.outcome not in {FAILED, SUSPECT}, answer.result
        assert answer.result is not None
        self._note_margin(answer)
        if answer.result["alarm"]:
            self.alarms.append((self.round_number, answer.group))
        if answer.outcome == STALE:
            self.stale.append((self.round_number, answer.group))
        if answer.outcome in (INJECTED, RELEASED) and answer.control is not None:
            self.actions.append(Action(self.round_number, answer.group, answer.control["q_pu"], answer.control))

    def _note_margin(self, answer: FrameAnswer) -> None:
        before = [action for action in self.actions if action.group == answer.group][-1:]
        if not before or before[0].q_pu > 0.0 or before[0].number != self.round_number - 1:
            return
        if answer.outcome == STALE or self.round_number - 1 in self.changes:
            return
        thresholds = self.planner.thresholds
        for group in components(answer.group):
            for bus in self.planner.area(group).load_buses:
                self.lowest_after_release = min(self.lowest_after_release, answer.vsi[bus] - thresholds[group])

    def _on_merge(self, what: str, merge: Merge) -> None:
        self.merges.append(f"{what} {merge.group}")


def raised_until_alarm(planner: Planner, bus: int) -> tuple[float, float]:
    """The demand (MW, MVAr) of a bus, raised until its group alarms and its voltage is low."""
    flow, case = power_flow(planner.case.name), planner.case
    at = case.position[bus]
    home = next(group for group, members in planner.grouping.items() if bus in members)
    p, q = float(case.pd[at]), float(case.qd[at])
    for _ in range(60):
        p, q = round(p * 1.15, 2), round(q * 1.15, 2)
        pd, qd = case.pd.copy(), case.qd.copy()
        pd[at], qd[at] = p, q
        state = flow.solve(pd, qd)
        if min(vsi_of(planner, home, state).values()) < planner.thresholds[home] and state.vm[at] < LOW_VM:
            return p, q
    raise AssertionError(f"bus {bus} can be raised and group {home} is never in need")


async def random_run(seed: int) -> ReleaseWorld:
    """Loads at random buses, 0 to 6 times their demand, for 1 to 25 rounds each; then unchanged, then as in the base.

    Each group has no VVC with probability 0.2. Quiet comes after both, or the test fails.
    """
    random = Random(seed)
    planner = release_planner(("case30", "case30", "case57")[seed % 3])
    run = ReleaseWorld(planner, empty=tuple(group for group in planner.grouping if random.random() < 0.2))
    await run.start()
    case = planner.case
    loads = [bus for group in planner.grouping for bus in planner.area(group).load_buses]
    loads = [bus for bus in loads if case.pd[case.position[bus]] > 0.0]
    for _ in range(12):
        bus = loads[int(random.random() * len(loads))]
        times, before = 6.0 * random.random(), run.plant.demand(bus)
        run.set_loads({bus: (float(case.pd[case.position[bus]]) * times, float(case.qd[case.position[bus]]) * times)})
        try:
            run.plant.state()
        except PowerFlowDiverged:
            run.set_loads({bus: before})
        await run.rounds(1 + int(25 * random.random()))
    await run.until_quiet()
    run.restore_loads(tuple(loads))
    await run.until_quiet()
    return run
