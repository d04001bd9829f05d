"""Planning: thresholds, which records a ledger needs, and when they no longer hold."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.grouping import CASE30_GROUPS, automatic_grouping
from gridledger.grid.planning import CASE30_THRESHOLDS, MAX_GROUPS_IN_PAIRS, THRESHOLD_MARGIN, RecordPlan, planner_for
from gridledger.grid.power_flow import Grid, GridState
from gridledger.grid.records import PROFILES, Planner, Profile
from gridledger.grid.stability import vsi_of
from tests.support.solved_grid import base_state, planner, power_flow


def turned_state() -> GridState:
    """case30 with a load at bus 14 that turns the power between groups 1 and 3."""
    grid = Grid(power_flow())
    grid.set_loads({14: (24.8, 6.4)})
    return grid.state()


@pytest.mark.parametrize("profile", PROFILES)
def test_case30_has_the_thesis_thresholds(profile: Profile) -> None:
    made = planner_for(load_case("case30"), CASE30_GROUPS, profile, base_state())
    assert made.thresholds is CASE30_THRESHOLDS[profile]


@pytest.mark.parametrize("profile", PROFILES)
def test_chosen_thresholds_lie_below_the_weakest_bus(profile: Profile) -> None:
    case, base = load_case("case57"), base_state("case57")
    made = planner_for(case, automatic_grouping(case, 4), profile, base)
    for group in made.grouping:
        distance = min(vsi_of(made, group, base).values()) - made.thresholds[group]
        assert THRESHOLD_MARGIN <= distance < THRESHOLD_MARGIN + 0.001 or made.thresholds[group] == 0.0


def test_a_planner_needs_a_threshold_for_every_group() -> None:
    with pytest.raises(InputError, match="no threshold for group 2"):
        Planner(load_case("case30"), CASE30_GROUPS, "corrected", {"1": 0.9, "3": 0.9})


def test_the_initial_records_are_groups_pairs_and_a_triple() -> None:
    assert RecordPlan(planner("corrected")).initial() == ("1", "2", "3", "1_2", "1_3", "2_3", "1_2_3")


def test_four_groups_start_without_a_record_of_all() -> None:
    case = load_case("case57")
    made = planner_for(case, automatic_grouping(case, 4), "corrected", base_state("case57"))
    initial = RecordPlan(made).initial()
    assert initial[:4] == ("1", "2", "3", "4")
    assert {name.count("_") for name in initial[4:]} == {1}


def test_many_groups_start_with_the_single_records_only() -> None:
    case = load_case("case300")
    thresholds = {str(n): 0.5 for n in range(1, 40)}
    few, many = (Planner(case, automatic_grouping(case, n), "corrected", thresholds) for n in (16, 30))
    assert len(many.grouping) > MAX_GROUPS_IN_PAIRS >= len(few.grouping)
    assert RecordPlan(many).initial() == tuple(sorted(many.grouping, key=int))
    assert any("_" in group for group in RecordPlan(few).initial())


@pytest.mark.parametrize("profile", PROFILES)
def test_demand_without_a_usable_impedance_gets_no_record(profile: Profile) -> None:
    """The contract would refuse every frame: behind a series capacitor that is larger than the grid's reactance."""
    case = load_case("case30")
    x = case.branches.x.copy()
    x[case.branch(25, 26)] = -2.0
    capacitor = replace(case, branches=replace(case.branches, x=x))
    made = Planner(capacitor, CASE30_GROUPS, profile, CASE30_THRESHOLDS[profile])
    with pytest.raises(InputError, match="bus 26 has demand, and in group 2 no Thevenin impedance"):
        made.record("2", base_state())
    idle = replace(
        base_state(), pd=np.where(np.arange(30) == 25, 0.0, case.pd), qd=np.where(np.arange(30) == 25, 0.0, case.qd)
    )
    assert {"bus": 26, "R": 0.0, "X": 0.0} in made.record("2", idle)["Zth"]


def test_a_merge_is_missing_until_its_record_is_submitted() -> None:
    plan = RecordPlan(planner("corrected"))
    assert plan.missing_merges("1") == ("1_2", "1_3")
    plan.submitted(planner("corrected").record("1_2", base_state()))
    assert plan.missing_merges("1") == ("1_3",)
    assert plan.missing_merges("1_2") == ("1_2_3",)


def test_a_record_is_out_of_date_once_power_turns_at_its_border() -> None:
    base, turned = base_state(), turned_state()
    plan = RecordPlan(planner("corrected"))
    assert plan.out_of_date("123", base) == ("1", "2", "3")
    for group in "123":
        plan.submitted(planner("corrected").record(group, base))
    assert plan.out_of_date("123", base) == ()
    assert plan.out_of_date("123", turned) == ("1", "3")
    plan.submitted(planner("corrected").record("1", turned))
    assert plan.out_of_date("123", turned) == ("3",)


def test_published_records_hold_for_every_direction() -> None:
    plan = RecordPlan(planner("published"))
    assert plan.out_of_date("123", base_state()) == ()
