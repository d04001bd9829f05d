"""Frames that contradict themselves: found where a residual is 5 times its bound, and never in a solved state."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from chaincode.dvs.consistency import branch_residual, bus_residuals
from chaincode.dvs.frames import check_frame
from chaincode.dvs.grouping import load_buses
from gridledger.grid.case import load_case
from gridledger.grid.frames import Frame, FrameMaker
from gridledger.grid.grouping import grouping_of
from gridledger.grid.planning import RecordPlan, default_thresholds
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.grid.records import Planner
from gridledger.grid.rules import Check
from tests.support.dvs_channel import TIME_US, DvsChannel
from tests.support.dvs_grid import Channel, frame, record
from tests.support.solved_grid import base_state, power_flow

TOLERANCE = 0.01
CASES = ["case30", "case57", "case118", "case300"]
TRUE_MVA = 1e-5


def planner(case: str, **bounds: float) -> Planner:
    """The planner of a case, whose records have ``check``."""
    grid, base = load_case(case), base_state(case)
    groups = grouping_of(grid)
    thresholds = default_thresholds(grid, groups, "corrected", base)
    return Planner(grid, groups, "corrected", thresholds, check=Check(**({"tolerance_mva": TOLERANCE} | bounds)))


def measured(plan: Planner, group: str, time: int = TIME_US, grid: Grid | None = None) -> Frame:
    """The frame of a group, with the reference bus's row."""
    state = base_state(plan.case.name) if grid is None else grid.state()
    return FrameMaker(plan.area(group), with_reference=True).frame(state, time)


def on_ledger(plan: Planner) -> DvsChannel:
    """All records of a planner, and no lists."""
    channel = DvsChannel()
    for group in sorted(RecordPlan(plan).initial(), key=lambda name: "_" in name):
        channel.call("InitialGrouping", plan.record(group, base_state(plan.case.name)))
    return channel


@pytest.mark.parametrize("case", CASES)
def test_no_true_frame_is_suspect(case: str) -> None:
    """Shunts, taps and parallel branches included; merged ids and other loads as well."""
    plan = planner(case, tolerance_mva=0.001)
    grid = plan.case
    channel = on_ledger(plan)
    other = Grid(power_flow(case))
    p, q = other.demand(grid.numbers[-1])
    other.set_loads({grid.numbers[-1]: (1.2 * p + 1.0, 1.1 * q)})
    other.inject(plan.area(next(iter(plan.grouping))).load_buses[0], 3.0)
    for group in RecordPlan(plan).initial():
        for time, state in ((TIME_US, None), (TIME_US + 1, other)):
            result = channel.call("ComputeVSI", measured(plan, group, time, state))
            assert result["outcome"] != "suspect", (group, result.get("suspect"))


def test_the_cases_have_what_could_be_taken_for_an_error() -> None:
    lines = {name: load_case(name).branches for name in CASES}
    assert any((branches.tap != 1.0).any() for branches in lines.values())
    assert any((load_case(name).bs != 0.0).any() for name in CASES)
    assert any((load_case(name).gs != 0.0).any() for name in CASES)
    ends = [sorted(load_case("case118").ends(n)) for n in range(len(lines["case118"]))]
    assert any(ends.count(pair) > 1 for pair in ends)


def test_phase_shifters_make_no_true_frame_suspect() -> None:
    """No shipped case has one, so four branches of case57 become some, two of them with taps."""
    grid = load_case("case57")
    shift = grid.branches.shift.copy()
    shift[[3, 18, 19, 40]] = [4.0, -7.5, 12.0, -3.0]
    shifted = replace(grid, branches=replace(grid.branches, shift=shift))
    base = Grid(PowerFlow(shifted)).state()
    groups = grouping_of(shifted)
    thresholds = default_thresholds(shifted, groups, "corrected", base)
    plan = Planner(shifted, groups, "corrected", thresholds, check=Check(tolerance_mva=0.001))
    channel = DvsChannel()
    for group in groups:
        made = plan.record(group, base)
        channel.call("InitialGrouping", made)
        true = FrameMaker(plan.area(group), with_reference=True).frame(base, TIME_US)
        assert channel.call("ComputeVSI", true)["outcome"] == "normal"
        for at, line in enumerate(made["check"]["branches"]):
            if line[4] != 0.0:
                made["check"]["branches"][at] = [*line[:4], -line[4]]
                other = DvsChannel()
                other.call("InitialGrouping", made)
                assert other.call("ComputeVSI", true)["outcome"] == "suspect"


@pytest.mark.parametrize("case", CASES)
def test_residuals_of_true_frames_are_tiny(case: str) -> None:
    plan = planner(case)
    for group in plan.grouping:
        made = plan.record(group, base_state(case))
        found = check_frame(measured(plan, group))
        assert max(bus_residuals(found, load_buses(made), made["check"]["shunts"]).values(), default=0.0) < TRUE_MVA
        for branch, line in zip(found.branches, made["check"]["branches"], strict=True):
            assert branch_residual(branch, line, found.buses, found.base) < TRUE_MVA


@pytest.mark.parametrize("case", ["case30", "case57", "case118"])
def test_every_wrong_demand_of_a_load_bus_is_found_there(case: str) -> None:
    """Off by 5 times the tolerance, in P or in Q."""
    plan = planner(case)
    channel = on_ledger(plan)
    time = TIME_US
    for group in plan.grouping:
        for bus in plan.area(group).load_buses:
            for name in ("Pd", "Qd"):
                time += 1
                made = measured(plan, group, time)
                rows = [
                    row | {name: row[name] + 5.0 * TOLERANCE} if row["bus"] == bus else row for row in made["buses"]
                ]
                result = channel.call("ComputeVSI", made | {"buses": rows})
                assert (result["outcome"], result["control"]) == ("suspect", None)
                assert result["suspect"] == {"bus": bus}


@pytest.mark.parametrize("case", ["case30", "case57", "case118"])
def test_every_wrong_flow_is_found(case: str) -> None:
    """Off by 5 times the bound at one end: at a load bus by Kirchhoff's law, else along the branch."""
    plan = planner(case)
    channel = on_ledger(plan)
    time = TIME_US
    for group in plan.grouping:
        loads = set(plan.area(group).load_buses)
        for at in range(len(plan.area(group).branches)):
            for name, end in (("Pf", "f"), ("Qt", "t")):
                time += 1
                made = measured(plan, group, time)
                row = made["branches"][at]
                wrong = row | {name: row[name] + 5.0 * TOLERANCE}
                branches = [*made["branches"][:at], wrong, *made["branches"][at + 1 :]]
                result = channel.call("ComputeVSI", made | {"branches": branches})
                measurable = {row["bus"] for row in made["buses"]}
                if row[end] in loads:
                    assert result["suspect"] == {"bus": row[end]}
                elif {row["f"], row["t"]} <= measurable:
                    assert result["suspect"] == {"branch": at}
                else:
                    raise AssertionError(f"{row} of group {group} is measured at one end only")


@pytest.mark.parametrize("case", ["case30", "case57", "case118"])
def test_every_wrong_voltage_shows_at_a_branch_that_touches_the_bus(case: str) -> None:
    """Off by what makes 5 times the bound on the branch that feels it most."""
    bounds = {"tolerance_mva": TOLERANCE, "e_v": 1e-5}
    plan = planner(case, **bounds)
    channel = on_ledger(plan)
    time = TIME_US
    for group in plan.grouping:
        made_record = plan.record(group, base_state(case))
        lines = made_record["check"]["branches"]
        for bus in plan.area(group).dim:
            time += 1
            made = measured(plan, group, time)
            error = _error_for(made, bus, lines, bounds)
            if error is None:
                continue
            rows = [row | {"Vm": row["Vm"] + error} if row["bus"] == bus else row for row in made["buses"]]
            result = channel.call("ComputeVSI", made | {"buses": rows})
            assert result["outcome"] == "suspect", (group, bus)
            told = result["suspect"]
            touched = made["branches"][told["branch"]] if "branch" in told else {"f": told["bus"], "t": None}
            assert bus in (touched["f"], touched["t"])


def _error_for(made: Frame, bus: int, lines: list[list[float]], bounds: dict[str, float]) -> float | None:
    """The error of a voltage that makes a residual of 5 bounds on some branch at the bus; None where none is there."""
    error = 1e-7
    while error < 0.1:
        rows = [row | {"Vm": row["Vm"] + error} if row["bus"] == bus else row for row in made["buses"]]
        found = check_frame(made | {"buses": rows})
        touching = [
            branch_residual(branch, line, found.buses, found.base)
            / (bounds["tolerance_mva"] + bounds["e_v"] * found.base / abs(complex(line[0], line[1])))
            for branch, line in zip(found.branches, lines, strict=True)
            if bus in branch[:2] and branch[0] in found.buses and branch[1] in found.buses
        ]
        if not touching:
            return None
        if max(touching) >= 5.0:
            return error
        error *= 1.3
    raise AssertionError(f"no error of the voltage at bus {bus} shows")


def test_a_suspect_frame_is_reported_first_and_orders_nothing() -> None:
    """Before stale, before alarms; what it says of the indices is told as for other frames."""
    plan = planner("case30")
    channel = on_ledger(plan)
    made = measured(plan, "1")
    rows = [row | {"Pd": row["Pd"] + 300.0} if row["bus"] == 3 else row for row in made["buses"]]
    flows = [row | {"Pf": -row["Pf"], "Pt": -row["Pt"]} for row in made["branches"]]
    result = channel.call("ComputeVSI", made | {"buses": rows, "branches": flows})
    assert (result["outcome"], result["alarm"], result["weak_bus"], result["control"]) == ("suspect", True, 3, None)
    assert channel.last is not None
    assert channel.last.event is None
    assert sorted(channel.last.reads) == ["check/1", "group/1", f"vsi/1/{TIME_US}"]
    assert channel.stored(f"vsi/1/{TIME_US}") == result


def test_a_frame_without_the_row_of_the_reference_bus_is_judged_without_it() -> None:
    plan = planner("case30")
    channel = on_ledger(plan)
    made = FrameMaker(plan.area("1")).frame(base_state(), TIME_US)
    assert channel.call("ComputeVSI", made)["outcome"] == "normal"


@pytest.mark.parametrize(
    ("changes", "field"),
    [
        ({"tolerance_mva": 0.0009}, "check.tolerance_mva"),
        ({"e_v": -1e-9}, "check.e_v"),
        ({"shunts": [[99, 0, 1]]}, "check.shunts[0]"),
        ({"shunts": [[3, 0, 1], [3, 0, 1]]}, "check.shunts[1]"),
        ({"shunts": [[3, 0]]}, "check.shunts[0]"),
        ({"branches": []}, "check.branches"),
        ({"more": 1}, "check.more"),
    ],
)
def test_checks_that_are_none_are_refused(changes: dict[str, Any], field: str) -> None:
    Channel().refused("InitialGrouping", record("1", check=_check() | changes), field)


@pytest.mark.parametrize(
    ("line", "field"),
    [
        ([0, 0, 0, 1, 0], "check.branches[0]"),
        ([0.1, 0.1, 0, 0, 0], "check.branches[0][3]"),
        ([0.1, 0.1, 0, 1, 400], "check.branches[0][4]"),
        ([0.1, 0.1, 0, 1], "check.branches[0]"),
    ],
)
def test_branches_that_are_none_are_refused(line: list[float], field: str) -> None:
    check = _check()
    Channel().refused("InitialGrouping", record("1", check=check | {"branches": [line, *check["branches"][1:]]}), field)


def test_a_published_record_has_no_check() -> None:
    Channel().refused("InitialGrouping", record("1", "published", check=_check()), "check")


def test_a_voltage_error_is_allowed_for_where_the_record_says_so() -> None:
    strict, lenient = planner("case30"), planner("case30", e_v=1e-3)
    made = measured(strict, "2")
    rows = [row | {"Vm": row["Vm"] + 2e-4} if row["bus"] == 9 else row for row in made["buses"]]
    assert on_ledger(strict).call("ComputeVSI", made | {"buses": rows})["outcome"] == "suspect"
    assert on_ledger(lenient).call("ComputeVSI", made | {"buses": rows})["outcome"] == "normal"


def _check() -> dict[str, Any]:
    branches = record("1")["branches"]
    return {"tolerance_mva": 1, "e_v": 0, "shunts": [], "branches": [[0.01, 0.1, 0, 1, 0] for _ in branches]}


def test_the_bounds_may_leave_out_the_voltage_error() -> None:
    check = _check()
    del check["e_v"]
    channel = Channel().plan("1", check=check)
    assert channel.stored("group/1")["check"] == {"tolerance_mva": 1.0, "e_v": 0.0}
    assert channel.call("ComputeVSI", frame("1", TIME_US))["outcome"] == "suspect"
