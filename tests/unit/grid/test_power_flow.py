"""The power flow: what the solver promises, and the grid that uses it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.power_flow import Grid, PowerFlow, PowerFlowDiverged
from tests.support.solved_grid import base_state, power_flow


def test_loads_without_a_solution_are_refused() -> None:
    grid = Grid(power_flow())
    grid.set_loads({3: (10_000.0, 5_000.0)})
    with pytest.raises(PowerFlowDiverged, match="case30: the power flow does not converge"):
        grid.state()


def test_a_state_that_was_solved_is_not_solved_again() -> None:
    solver = PowerFlow(load_case("case30"))
    grid = Grid(solver)
    first = grid.state()
    grid.set_loads({3: (5.0, 2.0)})
    grid.state()
    grid.reset()
    assert grid.state() is first
    assert solver.solves == 2


def test_an_injection_is_a_negative_reactive_load() -> None:
    by_injection, by_load = Grid(power_flow()), Grid(power_flow())
    by_injection.inject(3, 1.5)
    by_load.set_loads({3: (2.4, 1.2 - 1.5)})
    assert by_injection.state() is by_load.state()


def test_a_bus_that_the_case_lacks_is_refused() -> None:
    grid = Grid(power_flow())
    base = grid.state()
    with pytest.raises(InputError, match="case30 has no bus 31"):
        grid.set_loads({3: (9.0, 9.0), 31: (1.0, 1.0)})
    assert grid.state() is base
    with pytest.raises(InputError, match="case30 has no bus 31"):
        grid.inject(31, 1.0)
    with pytest.raises(InputError, match="case30 has no bus 31"):
        grid.voltage(31)


@pytest.mark.parametrize(
    ("case", "loads"),
    [("case30", {}), ("case30", {30: (17.4, 13.4)}), ("case57", {}), ("case118", {}), ("case300", {})],
)
def test_the_power_balance_holds_at_every_load_bus(case: str, loads: dict[int, tuple[float, float]]) -> None:
    """What flows in over the branches is the demand and what the bus shunt takes, within Newton's tolerance."""
    grid = Grid(power_flow(case))
    grid.set_loads(loads)
    data, state = load_case(case), grid.state()
    inflow = np.zeros(len(data.numbers), dtype=np.complex128)
    np.subtract.at(inflow, data.branches.f, state.flows[:, 0] + 1j * state.flows[:, 1])
    np.subtract.at(inflow, data.branches.t, state.flows[:, 2] + 1j * state.flows[:, 3])
    taken = state.pd + 1j * state.qd + (data.gs - 1j * data.bs) * state.vm**2
    loads_only = data.kind == 1
    assert np.abs(inflow - taken)[loads_only].max() < 1.5e-8 * data.base_mva


@pytest.mark.parametrize(("shift", "start"), [(15.0, "flat"), (90.0, "case")])
def test_the_cases_voltages_serve_where_a_flat_start_fails(shift: float, start: str) -> None:
    """A phase shifter of 90 degrees before bus 13 is too far from a flat profile; the case states the angle."""
    whole, base = load_case("case30"), base_state()
    place, va = whole.branch(12, 13), base.va.copy()
    shifts = whole.branches.shift.copy()
    shifts[place], va[whole.position[13]] = shift, va[whole.position[13]] - shift
    case = replace(whole, branches=replace(whole.branches, shift=shifts), vm0=base.vm, va0=va)
    solver = PowerFlow(case)
    states = [solver.solve(factor * case.pd, factor * case.qd) for factor in (1.0, 1.5)]
    assert [state.start for state in states] == [start, start]
    assert np.abs(states[0].vm - base.vm).max() < 1e-7
