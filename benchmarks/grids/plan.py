"""One case's plan: how long its parts take, and the scenario that the feeder streams."""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

import yaml

from benchmarks.grids.alarms import VVC_MVAR, alarming_loads, merging_group
from gridledger import jsontext
from gridledger.grid.case import load_case
from gridledger.grid.frames import FrameMaker
from gridledger.grid.grouping import grouping_of
from gridledger.grid.planning import RecordPlan, planner_for
from gridledger.grid.power_flow import Grid, PowerFlow

MARGIN_FRAMES = 40
"""What a group that merges does not send under its own id, and the frames before its alarm."""
_SOLVES = 5
T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Plan:
    """``sizes``: what there is; ``times_s``: how long the parts took; ``scenario``: the file's content."""

    case: str
    sizes: dict[str, int]
    times_s: dict[str, float]
    alarms: list[str]
    starved: str | None
    scenario: dict[str, Any]

    def write(self, path: Path) -> None:
        """The scenario's file."""
        path.write_text(yaml.safe_dump(self.scenario, sort_keys=False))


def plan_of(case_name: str, *, rate: float, frames: int, alarms: int) -> Plan:
    """The plan for a case: an alarm in each of ``alarms`` groups where there are as many, and a merge in one more.

    The groups alarm one after the other, in the first half; the one that merges has no VVC of its own.
    """
    times: dict[str, float] = {}

    def timed(what: str, work: Callable[[], T]) -> T:
        begin = time.perf_counter()
        result = work()
        times[what] = round(time.perf_counter() - begin, 4)
        return result

    case = timed("read", lambda: load_case(case_name))
    PowerFlow(case)  # imports pandapower
    power_flow = PowerFlow(case)
    base = timed("first_power_flow", Grid(power_flow).state)
    grouping = timed("grouping", lambda: grouping_of(case))
    planner = timed("planner", lambda: planner_for(case, grouping, "corrected", base))
    plan = RecordPlan(planner)
    records = timed("records", lambda: [planner.record(group, base) for group in plan.initial()])
    solves = []
    for number in range(_SOLVES):
        begin = time.perf_counter()
        power_flow.solve(base.pd * (1.0 + 1e-4 * (number + 1)), base.qd)
        solves.append(time.perf_counter() - begin)
    times["power_flow"] = round(statistics.median(solves), 4)
    makers = [FrameMaker(planner.area(group)) for group in grouping]
    frames_made = timed("frames_of_all_groups", lambda: [maker.frame(base, 0) for maker in makers])
    loads = timed("finding_alarms", lambda: alarming_loads(planner, power_flow, base, alarms + 1))
    starved = merging_group(planner, power_flow, base, loads) if len(loads) > 1 else None
    seconds = (frames + MARGIN_FRAMES) / rate
    apart_s = seconds / 2 / max(1, len(loads))
    # The merge comes last: what it borrows its neighbours may have used themselves.
    order = [group for group in loads if group != starved] + ([starved] if starved else [])
    scenario = {
        "name": f"{case.name}-alarms"[:32],
        "title": f"{len(order)} groups alarm one after the other, one without VVC",
        "case": str(Path(case_name).resolve()) if Path(case_name).exists() else case_name,
        "profile": "corrected",
        "vvc": {"mvar": VVC_MVAR, "none_in": [starved] if starved else []},
        "rate": rate,
        "duration": seconds,
        "events": [
            {
                "at": round(MARGIN_FRAMES / rate / 4 + number * apart_s, 3),
                "loads": {bus: list(load) for bus, load in loads[group].items()},
            }
            for number, group in enumerate(order)
        ],
    }
    sizes = {
        "buses": len(case.numbers),
        "branches": len(case.branches),
        "generator_buses": len(case.generator_buses),
        "groups": len(grouping),
        "largest_group": max(map(len, grouping.values())),
        "records": len(records),
        "largest_record_bytes": max(len(jsontext.dumps(record)) for record in records),
        "largest_frame_bytes": max(len(jsontext.dumps(frame)) for frame in frames_made),
        "newton_iterations": base.iterations,
    }
    return Plan(case.name, sizes, times, [group for group in order if group != starved], starved, scenario)
