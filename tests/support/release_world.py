"""The closed loop with ``release`` in one process: a case's plant, the real contract on channels, one aggregator.

One round is one frame of each measured id. Time passes evenly, ``interval_s`` from round to round.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np

from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from gridledger.grid.layout import Layout
from gridledger.grid.planning import default_thresholds
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, PowerFlowDiverged
from gridledger.grid.records import Planner
from gridledger.grid.rules import Check, Release
from services.feeder.coordinator import Coordinator
from services.feeder.group_loop import INJECTED, RELEASED, STALE, FrameAnswer
from services.feeder.merging import Merge
from services.feeder.record_submitter import RecordSubmitter
from tests.support.dvs_channel import full_list
from tests.support.dvs_world import FakeClock, Life, World, dvs_client
from tests.support.solved_grid import base_state, power_flow

INTERVAL_S = 0.1
HOLD_S = 1.0
VVC_PU = 1.5
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
    """One run. ``actions``, ``alarms`` (round, id), ``stale`` (round, id) and ``merges`` tell what happened."""

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
        self.merges: list[str] = []
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

    def restore_loads(self, buses: tuple[int, ...]) -> None:
        """The demands of the base case at some buses."""
        at = [self.planner.case.position[bus] for bus in buses]
        self.plant.set_loads(
            {bus: (float(self.base.pd[i]), float(self.base.qd[i])) for bus, i in zip(buses, at, strict=True)}
        )

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
        """Alarms within so many frames of a release: in the same id though no border turned, and in other ids."""
        same, other = [], []
        for release in self.releases:
            for number, group in self.alarms:
                if not 0 < number - release.number <= frames:
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
        assert answer.outcome not in {"failed", "suspect"}, answer.result
        assert answer.result is not None
        if answer.result["alarm"]:
            self.alarms.append((self.round_number, answer.group))
        if answer.outcome == STALE:
            self.stale.append((self.round_number, answer.group))
        if answer.outcome in (INJECTED, RELEASED) and answer.control is not None:
            self.actions.append(Action(self.round_number, answer.group, answer.control["q_pu"], answer.control))

    def _on_merge(self, what: str, merge: Merge) -> None:
        self.merges.append(f"{what} {merge.group}")


def raised_until_alarm(planner: Planner, bus: int, growth: float = 1.15, steps: int = 60) -> tuple[float, float] | None:
    """The demand of a bus, raised until its group alarms and its voltage is low; None where that does not come."""
    from gridledger.grid.stability import vsi_of  # noqa: PLC0415

    flow, case = power_flow(planner.case.name), planner.case
    at = case.position[bus]
    home = next(group for group, members in planner.grouping.items() if bus in members)
    p, q = float(case.pd[at]), float(case.qd[at])
    for _ in range(steps):
        p, q = round(p * growth, 2), round(q * growth, 2)
        pd, qd = case.pd.copy(), case.qd.copy()
        pd[at], qd[at] = p, q
        try:
            state = flow.solve(pd, qd)
        except PowerFlowDiverged:
            return None
        if min(vsi_of(planner, home, state).values()) < planner.thresholds[home] and state.vm[at] < 0.975:
            return p, q
    return None
