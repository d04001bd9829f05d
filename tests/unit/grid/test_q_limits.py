"""Reactive limits of generators: who is held, how the case follows, and what it means for the index near collapse."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import numpy.typing as npt
import pytest
from pandapower.pf.run_newton_raphson_pf import _run_newton_raphson_pf
from pandapower.pypower.idx_gen import QG, QMAX, QMIN

from gridledger.grid import newton
from gridledger.grid.case import Case, load_case
from gridledger.grid.grouping import CASE30_GROUPS
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid, GridState, PowerFlow
from gridledger.grid.q_limits import GeneratorBuses, LimitRounds
from gridledger.grid.records import Planner
from gridledger.grid.stability import vsi_of
from tests.support.solved_grid import planner

THRESHOLDS = dict.fromkeys(CASE30_GROUPS, 0.5)


def scaled(case: Case, factor: float) -> dict[int, tuple[float, float]]:
    """All loads of a case times a factor."""
    rows = zip(case.numbers, case.pd.tolist(), case.qd.tolist(), strict=True)
    return {bus: (factor * p, factor * q) for bus, p, q in rows}


def solved(name: str, factor: float, *, enforce: bool = True) -> GridState:
    """A case's state under its own loads times a factor."""
    case = load_case(name)
    return PowerFlow(case, enforce_q_limits=enforce).solve(factor * case.pd, factor * case.qd)


def by_pandapower(name: str, factor: float) -> tuple[npt.NDArray[np.float64], dict[int, float]]:
    """Voltages, and MVAr by generator bus, by pandapower's own enforcement of the limits (``enforce_q_lims=True``)."""
    case = load_case(name)
    tables, options = newton._tables_of(case)
    tables = {key: part.copy() if hasattr(part, "copy") else part for key, part in tables.items()}
    start = newton.flat_start(case)
    for column, values in ((2, factor * case.pd), (3, factor * case.qd), (7, start.vm), (8, start.va)):
        tables["bus"][:, column] = values
    tables["gen"][:, QMAX], tables["gen"][:, QMIN] = case.generators.qmax, case.generators.qmin
    result = _run_newton_raphson_pf(tables, {**options, "enforce_q_lims": True})
    assert result["success"]
    buses = [case.numbers[position] for position in case.generators.bus.tolist()]
    return result["bus"][:, 7], dict(zip(buses, result["gen"][:, QG].tolist(), strict=True))


def replace_generators(case: Case, rows: npt.NDArray[Any], halve: tuple[int, ...]) -> Case:
    """The case with these rows of its generators; those at ``halve`` with half of their power and limits."""
    columns = {name: getattr(case.generators, name)[rows] for name in ("bus", "pg", "vg", "qmin", "qmax")}
    for name in ("pg", "qmin", "qmax"):
        columns[name] = columns[name].copy()
        columns[name][list(halve)] /= 2.0
    return replace(case, generators=type(case.generators)(**columns))


@pytest.mark.parametrize(
    ("name", "factor", "held"),
    [("case30", 2.0, 3), ("case57", 0.5, 4), ("case57", 1.4, 6), ("case118", 1.0, 6), ("case118", 1.4, 24)],
)
def test_limits_are_those_of_pandapower_under_stress(name: str, factor: float, held: int) -> None:
    state = solved(name, factor)
    vm, q_mvar = by_pandapower(name, factor)
    assert np.abs(state.vm - vm).max() < 1e-9
    assert len(state.at_limit) == held
    for item in state.at_limit:
        assert item.q_mvar == item.limit_mvar == pytest.approx(q_mvar[item.bus], abs=1e-9)


@pytest.mark.parametrize("factor", [0.5, 1.1])
def test_a_generator_goes_back_where_its_voltage_allows_it(factor: float) -> None:
    """pandapower leaves generators of case118 at a limit although they could hold their voltage."""
    case = load_case("case118")
    buses = GeneratorBuses.of(case)
    state = solved("case118", factor)
    vm, q_mvar = by_pandapower("case118", factor)
    set_point = {case.numbers[position]: vg for position, vg in zip(buses.positions, buses.vg.tolist(), strict=True)}
    most = {case.numbers[position]: q for position, q in zip(buses.positions, buses.qmax.tolist(), strict=True)}
    least = {case.numbers[position]: q for position, q in zip(buses.positions, buses.qmin.tolist(), strict=True)}

    def could_hold(bus: int, limit: str, voltages: npt.NDArray[np.float64]) -> bool:
        above = float(voltages[case.position[bus]]) - set_point[bus]
        return above > 1e-6 if limit == "qmax" else above < -1e-6

    theirs = [(bus, "qmax") for bus, q in q_mvar.items() if q >= most[bus] - 1e-6]
    theirs += [(bus, "qmin") for bus, q in q_mvar.items() if q <= least[bus] + 1e-6]
    assert [bus for bus, limit in theirs if could_hold(bus, limit, vm)]
    assert not [item for item in state.at_limit if could_hold(item.bus, item.limit, state.vm)]


def test_a_generator_that_never_settles_goes_back_twice_only() -> None:
    case = load_case("case30")
    buses = GeneratorBuses.of(case)
    rounds = LimitRounds(case, buses)
    too_much, high = buses.qmax + 1.0, np.full(len(case.numbers), 1.1)
    held = []
    while rounds.next(too_much, high):
        held.append(len(rounds.held))
    assert held == [5, 0, 5, 0, 5]


def test_without_limits_a_state_tells_who_is_beyond() -> None:
    state = solved("case30", 2.0, enforce=False)
    assert (state.q_limits_enforced, state.at_limit) == (False, ())
    assert {(item.bus, item.limit, item.limit_mvar) for item in state.beyond_limit} == {
        (1, "qmin", -20.0),
        (2, "qmax", 60.0),
        (22, "qmax", 62.5),
    }
    assert all((item.q_mvar > item.limit_mvar) == (item.limit == "qmax") for item in state.beyond_limit)


def test_the_reference_bus_is_told_and_never_held() -> None:
    state = solved("case57", 1.4)
    assert state.q_limits_enforced
    assert [(item.bus, item.limit, item.limit_mvar) for item in state.beyond_limit] == [(1, "qmax", 200.0)]
    assert state.beyond_limit[0].q_mvar > 400.0
    assert 1 not in {item.bus for item in state.at_limit}


def test_scenario_1b_takes_the_slack_below_its_limit() -> None:
    """With what profile corrected injects there, whether limits are enforced or not."""
    for enforce in (False, True):
        grid = Grid(PowerFlow(load_case("case30"), enforce_q_limits=enforce))
        grid.set_loads({3: (52.8, 26.4)})
        grid.inject(4, 102.5748560518857)
        (slack,) = grid.state().beyond_limit
        assert (slack.bus, slack.limit, slack.limit_mvar) == (1, "qmin", -20.0)
        assert slack.q_mvar == pytest.approx(-20.697, abs=5e-4)


def test_generators_at_one_bus_share_its_limit() -> None:
    case = load_case("case30")
    rows = case.generators.bus.tolist()
    twice = np.asarray([0, 1, 2, 3, 4, 5, 1])
    case = replace_generators(case, twice, halve=(1, 6))
    assert rows[1] == case.position[2]
    state = PowerFlow(case, enforce_q_limits=True).solve(2.0 * case.pd, 2.0 * case.qd)
    whole = solved("case30", 2.0)
    assert state.at_limit == whole.at_limit
    assert np.abs(state.vm - whole.vm).max() < 1e-12


def test_a_bus_at_its_limit_is_a_load_bus_net_of_generation() -> None:
    case = load_case("case30")
    plant = Plant(Grid(PowerFlow(case, enforce_q_limits=True)), planner("corrected").area)
    assert (plant.case, plant.topology) == (case, 0)
    plant.set_loads(scaled(case, 2.0))
    limited = plant.case
    assert [item.bus for item in plant.state().at_limit] == [2, 22, 23]
    assert plant.topology == 1
    assert [bus for bus in case.generator_buses if bus not in limited.generator_buses] == [2, 22, 23]
    row = next(row for row in plant.frame("1", 0)["buses"] if row["bus"] == 2)
    assert (row["Pd"], row["Qd"]) == (pytest.approx(2 * 21.7 - 60.97), pytest.approx(2 * 12.7 - 60.0))
    assert 2 in Planner(limited, CASE30_GROUPS, "corrected", THRESHOLDS).area("1").load_buses
    plant.set_loads({24: (8.7, 6.7)})
    assert plant.case is not limited
    plant.reset()
    assert plant.case is case


@pytest.mark.parametrize(
    ("factor", "bus", "ignored", "unchanged", "renewed"),
    [(2.2, 30, 0.798, 0.775, 0.615), (2.3, 30, 0.789, 0.730, 0.549), (2.3, 24, 0.926, 0.895, 0.780)],
)
def test_the_index_is_too_good_where_limits_are_left_out(
    factor: float, bus: int, ignored: float, unchanged: float, renewed: float
) -> None:
    """Near collapse (the loads of case30 end at 2.34 times) three ways to judge a bus near generators at their limits.

    ``ignored``: no limits at all; ``unchanged``: limits in the power flow, but the record of before, in which these
    generators still hold their voltage, so that the impedance is too small; ``renewed``: the record of the case now.
    """
    case = load_case("case30")
    group = next(group for group, members in CASE30_GROUPS.items() if bus in members)
    before = Planner(case, CASE30_GROUPS, "corrected", THRESHOLDS)
    power_flow = PowerFlow(case, enforce_q_limits=True)
    state = power_flow.solve(factor * case.pd, factor * case.qd)
    after = Planner(power_flow.case_of(state, frozenset()), CASE30_GROUPS, "corrected", THRESHOLDS)
    without = vsi_of(before, group, solved("case30", factor, enforce=False))
    stale, true = vsi_of(before, group, state), vsi_of(after, group, state)
    assert (without[bus], stale[bus], true[bus]) == pytest.approx((ignored, unchanged, renewed), abs=5e-4)
    assert all(true[other] <= stale[other] + 1e-12 for other in stale)
