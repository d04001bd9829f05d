"""Over any order of loads, actions, outages and resets: what stands is what was ordered, and frames balance."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.grid.vvc_source import VvcSource
from tests.support.solved_grid import planner

CASE = load_case("case30")
POWER_FLOWS = {limits: PowerFlow(CASE, enforce_q_limits=limits) for limits in (False, True)}
SOURCES = {3: VvcSource(step_mvar=2.0), 4: VvcSource(as_shunt=True), 15: VvcSource(step_mvar=3.0, as_shunt=True)}
BUSES = (3, 4, 14, 15, 30)
GROUPS = ("1", "2", "3")

loads = st.tuples(st.just("load"), st.sampled_from(BUSES), st.floats(0.0, 60.0), st.floats(-10.0, 30.0))
actions = st.tuples(st.just("action"), st.sampled_from(GROUPS), st.sampled_from(BUSES), st.floats(-40.0, 40.0))
outages = st.tuples(st.just("outage"), st.integers(0, len(CASE.branches) - 1), st.booleans())
steps = st.lists(st.one_of(loads, actions, outages, st.just(("reset",))), max_size=12)


@given(steps=steps, limits=st.booleans())
@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_what_stands_is_conserved_and_frames_balance(steps: list[tuple[Any, ...]], limits: bool) -> None:
    plant = Plant(Grid(POWER_FLOWS[limits]), planner("corrected").area, sources=SOURCES)
    demand: dict[int, tuple[float, float]] = {}
    standing: dict[int, float] = {}
    for step in steps:
        match step:
            case ("load", bus, p, q):
                plant.set_loads({bus: (p, q)})
                demand[bus] = (p, q)
            case ("action", group, bus, q):
                plant.apply(group, {"action": plant.applied(group) + 1, "source_bus": bus, "q_mvar": q})
                standing[bus] = max(0.0, standing.get(bus, 0.0) + q)
            case ("outage", position, out):
                _try_outage(plant, (*CASE.ends(position), 1), out)
            case ("reset",):
                plant.reset()
                demand.clear()
                standing.clear()
        assert set(plant.standing) <= set(standing)
        for bus, q_mvar in standing.items():
            assert plant.standing.get(bus, 0.0) == pytest.approx(q_mvar, abs=1e-9)
        try:
            plant.state()
        except InputError:
            continue  # loads and releases that leave no solution are no fault
        _check_demand(plant, demand)
        for group in GROUPS:
            _check_balance(plant, group)


def _try_outage(plant: Plant, line: tuple[int, int, int], out: bool) -> None:
    before = plant.grid.outages
    try:
        plant.set_outage(line, out)
    except InputError:
        assert plant.grid.outages == before


def _check_demand(plant: Plant, demand: dict[int, tuple[float, float]]) -> None:
    """What each bus takes and what is injected there make up the demand."""
    state, given_mvar = plant.state(), plant.grid.delivered()
    for bus in BUSES:
        index = CASE.position[bus]
        p, q = demand.get(bus, (float(CASE.pd[index]), float(CASE.qd[index])))
        assert state.pd[index] == p
        assert state.qd[index] + given_mvar.get(bus, 0.0) == pytest.approx(q, abs=1e-9)


def _check_balance(plant: Plant, group: str) -> None:
    """At each load bus of a frame demand, outgoing flows and the bus's own shunt make nothing."""
    frame, case = plant.frame(group, 0), plant.case
    members = set(planner("corrected").area(group).members)
    left = {row["bus"]: complex(row["Pd"], row["Qd"]) for row in frame["buses"]}
    for row in frame["branches"]:
        for bus, p, q in ((row["f"], row["Pf"], row["Qf"]), (row["t"], row["Pt"], row["Qt"])):
            left[bus] = left.get(bus, 0.0) + complex(p, q)
    vm = {row["bus"]: row["Vm"] for row in frame["buses"]}
    for bus in members & set(vm):
        index = case.position[bus]
        if case.kind[index] == 1:
            rest = left[bus] + complex(case.gs[index], -case.bs[index]) * vm[bus] ** 2
            assert np.abs(rest) < 3e-6
