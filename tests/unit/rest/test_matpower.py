"""MATPOWER's rows give the same case, state and frames as the grid they were written from."""

from __future__ import annotations

import numpy as np
import pytest

from gridledger.errors import InputError
from gridledger.grid.frames import FrameMaker
from gridledger.grid.power_flow import Grid
from gridledger.grid.records import Planner
from services.rest.matpower import case_of, check_rows, frame_of, state_of
from tests.support.matpower_rows import branch_rows, bus_rows
from tests.support.solved_grid import planner, power_flow

CASE = planner("corrected").case
STATE = Grid(power_flow()).state()
BUS, BRANCH = bus_rows(CASE, STATE), branch_rows(CASE, STATE)
OUT_OF_SERVICE = [1.0, 2.0, 0.1, 0.2, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, -360.0, 360.0, 0.0, 0.0, 0.0, 0.0]


@pytest.mark.parametrize("group", ["1", "2", "3"])
@pytest.mark.parametrize("profile", ["published", "corrected"])
def test_records_are_those_of_the_case(group, profile):
    ours = planner(profile)
    read = Planner(case_of("case30", 100.0, BUS, BRANCH), ours.grouping, profile, ours.thresholds)
    assert read.record(group, state_of(BUS, BRANCH)) == ours.record(group, STATE)


@pytest.mark.parametrize("group", ["1", "2", "3", "1_2"])
def test_frames_are_those_of_the_state(group):
    ours = planner("corrected")
    record = ours.record(group, STATE)
    made = FrameMaker(ours.area(group)).frame(STATE, 17)
    assert frame_of(record, 100.0, BUS, BRANCH, 17) == made


def test_rows_out_of_service_are_left_out():
    branch = [OUT_OF_SERVICE, *BRANCH]
    record = planner("corrected").record("1", STATE)
    assert frame_of(record, 100.0, BUS, branch, 1) == frame_of(record, 100.0, BUS, BRANCH, 1)
    assert np.array_equal(state_of(BUS, branch).flows, STATE.flows)


def test_parallel_branches_are_taken_in_order():
    first, second = [*BRANCH[0]], [*BRANCH[0]]
    second[13] = 99.0
    record = {"id": "1", "branches": [[1, 2], [1, 2]], "dim": [2]}
    frame = frame_of(record, 100.0, BUS, [first, second], 1)
    assert [branch["Pf"] for branch in frame["branches"]] == [first[13], 99.0]


@pytest.mark.parametrize(
    ("bus", "branch", "said"),
    [
        ([row[:12] for row in BUS], BRANCH, r"bus\[0\] has 12 columns"),
        (BUS, [row[:13] for row in BRANCH], r"branch\[0\] has 13 columns"),
        ([*BUS, BUS[0]], BRANCH, "comes twice"),
        (BUS[:-1], BRANCH, "which is no bus"),
        ([[1.5, *BUS[0][1:]]], [], "whole and positive"),
    ],
)
def test_rows_that_are_no_case_are_refused(bus, branch, said):
    with pytest.raises(InputError, match=said):
        check_rows(bus, branch)


def test_what_a_group_needs_must_be_there():
    record = planner("corrected").record("1", STATE)
    with pytest.raises(InputError, match="no branch in service from 1 to 2"):
        frame_of(record, 100.0, BUS, BRANCH[1:], 1)
    with pytest.raises(InputError, match="no bus"):
        frame_of({**record, "dim": [99]}, 100.0, BUS, BRANCH, 1)


def test_a_case_has_one_reference_bus():
    rows = [[row[0], 1.0, *row[2:]] for row in BUS]
    with pytest.raises(InputError, match="0 buses are of type 3"):
        case_of("x", 100.0, rows, BRANCH)
