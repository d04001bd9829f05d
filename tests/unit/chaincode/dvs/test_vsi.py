"""Indices of load buses: section 4 of the specification, its edge cases one by one, and the formulae word for word."""

# The names are the specification's.
# ruff: noqa: N803, N806, PLR0917

from __future__ import annotations

from math import inf, isclose, isfinite, nan, sqrt

import pytest
from hypothesis import assume, given
from hypothesis import strategies as st

from chaincode.dvs.vsi import NotFinite, indices, load_bus_index, published_outflows, weakest
from gridledger.contract import ContractError

demand = st.floats(-3.0, 3.0, allow_subnormal=False)
reactance = st.floats(1e-3, 2.0)


def literal(p: float, q: float, P: float, Q: float, vm: float, R: float, X: float) -> float:
    """Section 8's order of evaluation with section 4's edge cases, clamped."""
    a = vm + ((P * R + Q * X) / vm)
    b = (P * X - Q * R) / vm
    E = a * a + b * b
    if E <= 0:
        return 0.0
    h = E / (4 * X)
    rad = (E * (h - q)) / X
    v1 = 1 - p / sqrt(rad) if rad > 0 else 0.0
    g = h - ((p * p) * X) / E
    v2 = 1 - q / g if g > 0 else 0.0
    s = sqrt(p * p + q * q)
    v3 = 1 - ((2 * X) * (s + q)) / E
    return min(1.0, max(0.0, min(v1, v2, v3)))


@given(demand, demand, demand, demand, st.floats(0.01, 10), st.floats(-1, 1), reactance)
def test_the_formulae_to_the_bit(p: float, q: float, P: float, Q: float, vm: float, R: float, X: float) -> None:
    assume(p != 0 or q != 0)
    assert load_bus_index(p, q, P, Q, vm, R, X).hex() == literal(p, q, P, Q, vm, R, X).hex()


@given(st.floats(0.01, 1.0), st.floats(-0.5, 1.0), st.floats(0.8, 1.2), st.floats(0, 0.2), st.floats(0.01, 0.4))
def test_the_index_is_the_physical_margin(p: float, q: float, vm: float, R: float, X: float) -> None:
    """0 exactly where the demand is at the nose of the PV curve of a source E behind X, as the theory has it.

    But for a bus that feeds reactive power in (q < 0) where its Qmax is no longer above 0: the ratio q / Qmax says
    nothing there, and section 4's edge case gives 0, on the safe side, although the power flow may have a solution.
    """
    index = load_bus_index(p, q, p, q, vm, R, X)
    a, b = vm + (p * R + q * X) / vm, (p * X - q * R) / vm
    E = a * a + b * b
    assume(q >= 0 or E / (4 * X) - (p * p) * X / E > 0)
    beyond = E * E - 4 * X * q * E - 4 * X * X * p * p  # < 0: no solution of the power flow
    if abs(beyond) > 1e-9:
        assert (index > 0) == (beyond > 0)


def test_where_qmax_is_not_above_0_the_index_is_0() -> None:
    """Also where a bus feeds in so much reactive power that its demand can be met."""
    assert load_bus_index(1.0, -0.5, 1.0, -0.5, 0.875, 0.0, 0.375) == 0.0


def test_no_demand_is_1_before_anything_else() -> None:
    """Edge case 1."""
    assert load_bus_index(0.0, 0.0, inf, nan, 1.0, 0.0, 0.0) == 1.0
    assert load_bus_index(-0.0, 0.0, 0.0, 0.0, 1.0, 0.1, 0.1) == 1.0


def test_beyond_the_limit_is_0() -> None:
    """Edge case 2: radicand, Qmax and the clamp."""
    assert load_bus_index(0.1, 9.0, 0.0, 0.0, 1.0, 0.0, 0.3) == 0.0
    assert load_bus_index(9.0, 0.1, 0.0, 0.0, 1.0, 0.0, 0.3) == 0.0
    assert load_bus_index(0.0, -5.0, 0.0, 0.0, 1.0, 0.0, 0.3) == 1.0


def test_no_source_voltage_is_0() -> None:
    """Edge case 2: E <= 0. Vs vanishes where P R + Q X = -Vm^2 and P X = Q R."""
    assert load_bus_index(1.0, 0.0, 0.0, -2.0, 1.0, 0.0, 0.5) == 0.0


@pytest.mark.parametrize(
    "arguments",
    [
        (1e200, 0.1, 0.0, 0.0, 1.0, 0.1, 0.1),
        (0.1, 1e308, 0.0, 0.0, 1.0, 0.1, 0.1),
        (0.1, 0.1, 1e308, 1e308, 0.01, 1.0, 1.0),
        (0.1, 0.1, inf, 0.0, 1.0, 0.1, 0.1),
        (inf, 0.1, 0.0, -2.0, 1.0, 0.0, 0.5),
        (0.1, 0.1, 1e5, 1e5, 1.0, 1e5, 1e-320),
    ],
)
def test_an_intermediate_that_is_not_finite_refuses(arguments: tuple[float, ...]) -> None:
    """Edge case 3."""
    with pytest.raises(NotFinite):
        load_bus_index(*arguments)


def test_the_whole_frame_is_refused_and_the_bus_named() -> None:
    buses = {3: (10.0, 5.0, 1.0, 0.0), 4: (10.0, 5.0, 1.0, 0.0)}
    with pytest.raises(ContractError, match=r"buses: bus 4"):
        indices(buses, 100.0, {3: (0.1, 0.1), 4: (1e200, 1e200)}, None)


def test_a_bus_without_impedance() -> None:
    """Edge case 4: R = X = 0."""
    assert indices({3: (0.0, 0.0, 1.0, 0.0)}, 100.0, {3: (0.0, 0.0)}, None) == [(1.0, 3)]
    with pytest.raises(ContractError, match=r"buses: bus 3 has a demand"):
        indices({3: (0.0, 0.1, 1.0, 0.0)}, 100.0, {3: (0.0, 0.0)}, None)


def test_a_group_without_load_buses() -> None:
    """Edge case 5."""
    assert indices({}, 100.0, {}, None) == []


@given(st.floats(-3.0, -1e-6), demand, st.floats(0.5, 1.5), st.floats(-0.2, 0.2), reactance)
def test_negative_demand_stays_within_0_and_1(p: float, q: float, vm: float, R: float, X: float) -> None:
    """Edge case 6: embedded generation."""
    assert 0.0 <= load_bus_index(p, q, p, q, vm, R, X) <= 1.0


@given(st.floats(-1e6, 1e6), st.floats(-1e6, 1e6), st.floats(0.01, 10), st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_whatever_a_frame_may_hold_is_answered_or_refused(p: float, q: float, vm: float, R: float, X: float) -> None:
    assume(X > 0)
    try:
        index = load_bus_index(p / 100, q / 100, p, q, vm, R, X)
    except NotFinite:
        return
    assert isfinite(index)
    assert 0.0 <= index <= 1.0
    assert str(index) != "-0.0"


def test_the_weakest_is_first_and_equal_ones_go_by_bus_number() -> None:
    buses = dict.fromkeys((9, 4, 11), (10.0, 5.0, 1.0, 0.0)) | {2: (0.0, 0.0, 1.0, 0.0)}
    ranked = indices(buses, 100.0, dict.fromkeys((9, 4, 2, 11), (0.0, 0.1)), None)
    assert [bus for _, bus in ranked] == [4, 9, 11, 2]


def test_a_merged_group_ranks_by_margin_to_the_home_threshold() -> None:
    ranked = [(0.5, 3), (0.6, 8), (0.9, 4)]
    assert weakest(ranked, {3: 0.2, 4: 0.2, 8: 0.4}) == (0.6, 8)
    assert weakest([(0.5, 8), (0.75, 3)], {8: 0.25, 3: 0.5}) == (0.75, 3)


def test_published_outflows() -> None:
    """P: Pf where the bus is f and Pf > 0, and Pf where it is t and Qt > 0. Q: the from side alone. MW, in order."""
    branches = [
        (1, 3, 7.0, 2.0, -6.5, 1.0),
        (3, 4, 0.1, -1.0, -0.1, 0.5),
        (3, 4, 0.2, 4.0, -0.2, -0.5),
        (4, 3, -5.0, -6.0, 5.0, 0.25),
    ]
    assert published_outflows(branches, [3, 4]) == {
        3: (((7.0 + 0.1) + 0.2) + -5.0, 4.0),
        4: (0.1, 0.0),
    }


def test_both_profiles_use_their_outflow() -> None:
    buses = {3: (52.8, 26.4, 0.95, -4.0)}
    per_unit = indices(buses, 100.0, {3: (0.015, 0.07)}, None)[0][0]
    flows = indices(buses, 100.0, {3: (0.015, 0.07)}, {3: (0.0, 0.0)})[0][0]
    assert isclose(per_unit, load_bus_index(0.528, 0.264, 0.528, 0.264, 0.95, 0.015, 0.07), abs_tol=1e-15)
    assert isclose(flows, load_bus_index(0.528, 0.264, 0.0, 0.0, 0.95, 0.015, 0.07), abs_tol=1e-15)
