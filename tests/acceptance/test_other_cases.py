"""case57, case118 and case300 with automatic groups: every VSI finite, in both profiles, silent in the base state."""

from __future__ import annotations

import math

import pytest

from gridledger.grid.case import load_case
from gridledger.grid.frames import FrameMaker
from gridledger.grid.grouping import adjacent_pairs, grouping_of
from gridledger.grid.planning import planner_for
from gridledger.grid.power_flow import Grid
from gridledger.grid.records import PROFILES, Profile
from gridledger.grid.stability import vsi_of
from tests.support.dvs_channel import TIME_US, DvsChannel
from tests.support.solved_grid import power_flow


@pytest.mark.parametrize("profile", PROFILES)
@pytest.mark.parametrize(("name", "count"), [("case57", 4), ("case118", 8), ("case300", 14)])
def test_every_group_is_judged(name: str, count: int, profile: Profile) -> None:
    case = load_case(name)
    grouping = grouping_of(case)
    assert len(grouping) == count
    base = Grid(power_flow(name)).state()
    planner = planner_for(case, grouping, profile, base)
    channel = DvsChannel()
    pairs = adjacent_pairs(case, grouping)
    for group in (*grouping, *pairs):
        channel.call("InitialGrouping", planner.record(group, base))
    judged = 0
    for group in (*grouping, *pairs[:3]):
        frame = FrameMaker(planner.area(group)).frame(base, TIME_US)
        answer = channel.call("ComputeVSI", frame)
        assert answer["outcome"] == "normal", (group, answer["outcome"])
        own = vsi_of(planner, group, base) if "_" not in group else {}
        for row in answer["vsi"]:
            judged += 1
            assert math.isfinite(row["vsi"])
            assert 0.0 <= row["vsi"] <= 1.0
            if own:
                assert row["vsi"] == pytest.approx(own[row["bus"]], abs=1e-12)
    assert judged >= sum(kind == 1 for kind in case.kind)


def test_case300_has_the_one_bus_without_impedance() -> None:
    """Specification section 4, edge case 4: bus 1201 has no load and no usable Thevenin impedance."""
    case = load_case("case300")
    base = Grid(power_flow("case300")).state()
    planner = planner_for(case, grouping_of(case), "corrected", base)
    unusable = {z.bus for group in planner.grouping for z in planner.thevenin(group, base) if z.x == 0.0}
    assert unusable == {1201}
