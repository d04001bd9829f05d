"""The power flow: what the solver promises, and the grid that uses it."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.newton import Newton, Voltages
from gridledger.grid.power_flow import Grid, PowerFlow, PowerFlowDiverged
from tests.support.solved_grid import base_state, power_flow


def test_loads_without_a_solution_are_refused() -> None:
    grid = Grid(power_flow())
    grid.set_loads({3: (10_000.0, 5_000.0)})
    with pytest.raises(PowerFlowDiverged, match="case30: the power flow does not converge"):
        grid.state()


def test_loads_without_a_solution_are_told_with_the_worst_bus_and_what_to_do() -> None:
    grid = Grid(power_flow())
    grid.set_loads({3: (10_000.0, 5_000.0)})
    with pytest.raises(PowerFlowDiverged) as refused:
        grid.state()
    assert "under these loads: after 20 iterations the largest mismatch, " in refused.value.message
    assert "The demand is 10186.8 MW, the generation without the reference bus 165.67 MW. " in refused.value.message
    bus = refused.value.details["bus"]
    assert refused.value.message.endswith(f"Lower them, most of all near bus {bus}")


@pytest.mark.parametrize("limits", [False, True])
def test_a_case_that_has_no_power_flow_says_what_to_check(limits: bool) -> None:
    case = load_case("case30")
    with pytest.raises(PowerFlowDiverged) as refused:
        Grid(PowerFlow(replace(case, base_mva=1.0), enforce_q_limits=limits)).state()
    told = refused.value.message
    assert "under the loads of the case: after 20 iterations the largest mismatch, " in told
    for part in ("are in MW", "r, x and b are p.u. of the base of 1 MVA", "lower the loads"):
        assert part in told
    assert told.endswith("leave enforce_q_limits out") is limits


def test_the_largest_mismatch_is_at_the_bus_whose_load_is_wrong() -> None:
    """After no iteration at all: from the solved state, with a load that is 50 MW and 20 MVAr more at one bus."""
    case, state = load_case("case30"), base_state()
    pd, qd = state.pd.copy(), state.qd.copy()
    pd[case.position[7]] += 50.0
    qd[case.position[7]] += 20.0
    found = Newton(case)._worst(pd, qd, None, Voltages(state.vm, state.va))
    assert found.bus == 7
    assert [found.p_mw, found.q_mvar] == pytest.approx([50.0, 20.0])
    # P at the reference bus and Q at generators are whatever they must be.
    pd, qd = state.pd.copy(), state.qd.copy()
    pd[case.position[case.reference]] += 50.0
    qd[case.position[2]] += 50.0
    found = Newton(case)._worst(pd, qd, None, Voltages(state.vm, state.va))
    assert abs(found.p_mw) + abs(found.q_mvar) < 1e-5


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
