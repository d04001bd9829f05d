"""Lines that go out: the case follows, frames follow the case, and what leaves no solvable grid is refused."""

from __future__ import annotations

import numpy as np
import pytest

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, PowerFlow, PowerFlowDiverged
from tests.support.solved_grid import planner, power_flow

LINE = (4, 12, 1)
"""The line between groups 1 and 3 of case30."""


@pytest.fixture
def plant() -> Plant:
    """case30 in its base state."""
    return Plant(Grid(power_flow()), planner("corrected").area)


def test_the_case_follows_a_line_out_and_back(plant: Plant) -> None:
    whole, base = plant.case, plant.state()
    assert (whole, plant.topology) == (plant.grid.power_flow.case, 0)
    plant.set_outage(LINE, True)
    without = plant.case
    assert len(without.branches) == len(whole.branches) - 1
    assert plant.case is without
    assert len(plant.state().flows) == len(without.branches)
    assert plant.topology == 1
    plant.set_outage(LINE, False)
    assert plant.case is whole
    assert plant.state() is base
    assert plant.topology == 2


def test_a_state_without_a_line_is_that_of_the_smaller_case(plant: Plant) -> None:
    plant.set_outage(LINE, True)
    case = load_case("case30")
    smaller = case.without_branches([case.branch(*LINE)])
    alone = PowerFlow(smaller).solve(smaller.pd, smaller.qd)
    assert np.array_equal(plant.state().vm, alone.vm)
    assert np.array_equal(plant.state().flows, alone.flows)


def test_frames_show_the_grid_without_the_line(plant: Plant) -> None:
    before = plant.frame("1", 0)
    plant.set_outage(LINE, True)
    after = plant.frame("1", 1)
    ends = [(row["f"], row["t"]) for row in before["branches"]]
    ends.remove((4, 12))
    assert [(row["f"], row["t"]) for row in after["branches"]] == ends
    assert {row["bus"] for row in before["buses"]} - {row["bus"] for row in after["buses"]} == {12}


def test_one_of_two_parallel_lines_goes_out_alone() -> None:
    case = load_case("case118")
    grid = Grid(power_flow("case118"))
    assert grid.set_outage((54, 49, 2), True)
    assert [position for position in range(len(case.branches)) if position in grid.outages] == [case.branch(49, 54, 2)]
    assert not grid.set_outage((49, 54, 2), True)


@pytest.mark.parametrize(
    ("line", "error", "text"),
    [
        ((25, 26, 1), InputError, "without 4-12, 25-26 no branch joins bus 26 to the reference bus 1"),
        ((1, 30, 1), InputError, "case30 has no branch 1-30"),
        ((4, 12, 2), InputError, "no branch number 2"),
        ((6, 8, 1), PowerFlowDiverged, "case30: without 6-8 number 1 the power flow does not converge"),
    ],
)
def test_an_outage_that_leaves_no_grid_is_refused(
    plant: Plant, line: tuple[int, int, int], error: type[InputError], text: str
) -> None:
    loads = zip(plant.case.numbers, plant.case.pd.tolist(), plant.case.qd.tolist(), strict=True)
    plant.set_loads({bus: (2.6 * p, 2.6 * q) for bus, p, q in loads})
    plant.set_outage(LINE, True)
    case, state, changes, topology = plant.case, plant.state(), plant.load_changes, plant.topology
    with pytest.raises(error, match=text):
        plant.set_outage(line, True)
    assert plant.case is case
    assert plant.state() is state
    assert (plant.load_changes, plant.topology) == (changes, topology)


def test_a_reset_brings_every_line_back(plant: Plant) -> None:
    whole = plant.case
    plant.set_outage(LINE, True)
    plant.reset()
    assert plant.case is whole


def test_what_stands_outlives_an_outage(plant: Plant) -> None:
    plant.apply("1", {"action": 1, "source_bus": 3, "q_mvar": 5.0})
    plant.set_outage(LINE, True)
    demand = {row["bus"]: row["Qd"] for row in plant.frame("1", 0)["buses"]}
    assert (plant.standing, demand[3]) == ({3: 5.0}, 1.2 - 5.0)
