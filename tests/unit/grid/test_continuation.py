"""The continuation power flow: its nose against MATPOWER's published ones and against Newton's end, and its limits."""

from __future__ import annotations

import numpy as np
import pandapower.networks
import pytest

from gridledger.errors import InputError
from gridledger.grid import continuation as module
from gridledger.grid.case import CASE_NAMES, Case, case_of_net, load_case
from gridledger.grid.continuation import Continuation, Curve, NoseNotFound
from gridledger.grid.newton import Newton, NotSolved, Solution, Voltages
from gridledger.grid.power_equations import Direction
from gridledger.grid.power_flow import PowerFlow
from gridledger.grid.q_limits import GeneratorBuses
from tests.support.case_files import case_file


def all_loads(case: Case, *, scaled: bool = False) -> Direction:
    """All loads in proportion; generation too where ``scaled``."""
    pg = np.zeros(len(case.numbers))
    if scaled:
        np.add.at(pg, case.generators.bus, case.generators.pg)
    return Direction(case.pd, case.qd, pg)


def traced(
    case: Case, *, scaled: bool = False, limits: bool = False, lower_to: float = 1.0
) -> tuple[Continuation, Curve]:
    """The curve of a case."""
    base = PowerFlow(case, enforce_q_limits=limits).solve(case.pd, case.qd)
    continuation = Continuation(case, all_loads(case, scaled=scaled), base, enforce_q_limits=limits)
    return continuation, continuation.trace(lower_to=lower_to)


def newton_at(continuation: Continuation, curve: Curve, direction: Direction, loading: float) -> Solution | NotSolved:
    """pandapower's Newton with the nose's kinds of buses at a loading, from the point before, in 100 iterations."""
    top, near = curve.points[curve.nose], continuation.state(curve.points[curve.nose - 1])
    state, newton = continuation.state(top), Newton(continuation.case_of(top))
    newton._options = {**newton._options, "max_iteration": 100}
    further = loading - top.loading
    pd, qd = state.pd + further * (direction.pd - direction.pg), state.qd + further * direction.qd
    for (
        position
    ) in newton.case.generators.bus:  # these are not net of their generation, which Newton takes from the case
        pd[position] -= top.loading * direction.pg[position]
    return newton.solve(pd, qd, None, Voltages(near.vm, near.va))


@pytest.mark.parametrize(("name", "published", "tolerance"), [("case9", 0.99025, 5e-4), ("case14", 2.0401678, 1e-6)])
def test_noses_are_those_that_matpower_publishes(name: str, published: float, tolerance: float) -> None:
    """MATPOWER's t_cpf.m: loads and generation towards 2.5 times the case's, so a loading of 1.5 is its lambda of 1."""
    case = case_of_net(getattr(pandapower.networks, name)())
    _, curve = traced(case, scaled=True)
    assert curve.largest_loading / 1.5 == pytest.approx(published, abs=tolerance)


@pytest.mark.parametrize("scaled", [False, True])
@pytest.mark.parametrize(
    ("name", "limits"),
    [
        ("case30", False),
        ("case30", True),
        ("case57", False),
        ("case57", True),
        ("case118", False),
        pytest.param("case1354pegase", False, marks=pytest.mark.deep),
    ],
)
def test_newton_ends_within_a_millionth_of_the_nose(name: str, limits: bool, scaled: bool) -> None:
    case = load_case(name) if name in CASE_NAMES else load_case(case_file(name))
    continuation, curve = traced(case, scaled=scaled, limits=limits)
    direction, top = all_loads(case, scaled=scaled), curve.largest_loading
    assert curve.limiting_bus is None
    assert isinstance(newton_at(continuation, curve, direction, top - 1e-6), Solution)
    assert isinstance(newton_at(continuation, curve, direction, top + 1e-6), NotSolved)


def test_a_limit_can_end_the_curve_before_it_folds() -> None:
    """With generation scaled, case118 ends where bus 10 reaches its upper limit: held or not, no more is allowed."""
    case = load_case("case118")
    continuation, curve = traced(case, scaled=True, limits=True, lower_to=0.99)
    assert curve.limiting_bus == 10
    buses, index = GeneratorBuses.of(case), case.position[10]
    row = buses.positions.index(index)
    top = curve.points[curve.nose]
    assert top.held[row] == "qmax"
    before, after = curve.points[curve.nose - 1], curve.points[curve.nose + 1]
    assert before.loading == pytest.approx(top.loading, abs=1e-6)
    assert row not in before.held
    assert after.loading < top.loading
    assert continuation.state(after).vm[index] < buses.vg[row]
    found = newton_at(continuation, curve, all_loads(case, scaled=True), top.loading + 1e-3)
    assert isinstance(found, Solution)
    assert found.voltages.vm[index] > buses.vg[row] + 1e-5


@pytest.mark.parametrize("name", ["case30", "case57", "case118"])
def test_every_point_keeps_balance_and_limits(name: str) -> None:
    case = load_case(name)
    continuation, curve = traced(case, limits=True)
    buses = GeneratorBuses.of(case)
    held_somewhere = set()
    for point in curve.points:
        state, here = continuation.state(point), continuation.case_of(point)
        left = state.pd + 1j * state.qd + (case.gs - 1j * case.bs) * state.vm**2
        np.add.at(left, case.branches.f, state.flows[:, 0] + 1j * state.flows[:, 1])
        np.add.at(left, case.branches.t, state.flows[:, 2] + 1j * state.flows[:, 3])
        assert np.abs(left)[here.kind == 1].max() < 1e-6
        assert not [item for item in state.beyond_limit if item.bus != case.reference and not _just_at(item)]
        held_somewhere |= {item.bus for item in state.at_limit}
        for row, limit in point.held.items():
            above = state.vm[buses.positions[row]] - buses.vg[row]
            assert above < 1e-5 if limit == "qmax" else above > -1e-5
    assert len(held_somewhere) >= 5


def _just_at(item: object) -> bool:
    return abs(item.q_mvar - item.limit_mvar) < 1e-4  # type: ignore[attr-defined]


@pytest.mark.parametrize("limits", [False, True])
def test_a_point_at_a_loading_is_the_solved_state_there(limits: bool) -> None:
    case = load_case("case30")
    continuation, curve = traced(case, limits=limits)
    point = continuation.at(curve, 0.8 * curve.largest_loading)
    factor = 1.0 + 0.8 * curve.largest_loading
    solved = PowerFlow(case, enforce_q_limits=limits).solve(factor * case.pd, factor * case.qd)
    state = continuation.state(point)
    assert np.abs(state.vm - solved.vm).max() < 1e-8
    assert np.abs(state.flows - solved.flows).max() < 1e-5
    assert state.at_limit == solved.at_limit
    assert np.allclose(state.pd, solved.pd, atol=1e-9)
    assert np.allclose(state.qd, solved.qd, atol=1e-9)


def test_beyond_the_nose_voltages_are_the_lower_ones() -> None:
    case = load_case("case30")
    continuation, curve = traced(case, lower_to=0.5)
    last = curve.points[-1]
    assert last.loading <= 0.5 * curve.largest_loading
    assert [point.upper for point in curve.points] == [n <= curve.nose for n in range(len(curve.points))]
    upper = continuation.state(continuation.at(curve, last.loading))
    assert continuation.state(last).vm.min() < upper.vm.min() - 0.2


def test_a_direction_without_load_is_refused() -> None:
    case = load_case("case30")
    nothing = np.zeros(len(case.numbers))
    base = PowerFlow(case).solve(case.pd, case.qd)
    with pytest.raises(InputError, match="case30: no load grows in this direction"):
        Continuation(case, Direction(nothing, nothing, nothing), base)


def test_a_curve_cut_short_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "_MOST_POINTS", 5)
    with pytest.raises(NoseNotFound, match="the continuation stops at a loading of") as caught:
        traced(load_case("case30"))
    assert caught.value.code == "NOSE_NOT_FOUND"
