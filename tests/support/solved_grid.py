"""Grids for tests: one power flow a case for the whole run, and the planners of case30."""

from __future__ import annotations

from functools import cache

from gridledger.grid.case import load_case
from gridledger.grid.grouping import CASE30_GROUPS
from gridledger.grid.planning import CASE30_THRESHOLDS
from gridledger.grid.power_flow import Grid, GridState, PowerFlow
from gridledger.grid.records import Planner, Profile


@cache
def power_flow(case: str = "case30") -> PowerFlow:
    """The solver of a case."""
    return PowerFlow(load_case(case))


def base_state(case: str = "case30") -> GridState:
    """The solved state of a case under its own loads."""
    return Grid(power_flow(case)).state()


@cache
def planner(profile: Profile) -> Planner:
    """case30 with the thesis's groups and thresholds."""
    return Planner(load_case("case30"), CASE30_GROUPS, profile, CASE30_THRESHOLDS[profile])
