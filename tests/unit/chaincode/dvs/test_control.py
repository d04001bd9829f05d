"""LocalController: order of the search, which sources count, how much is asked of them."""

# The names are the specification's.
# ruff: noqa: N806

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.dvs.arithmetic import term
from chaincode.dvs.control import local_controller, priority_order
from chaincode.dvs.grouping import check_record
from gridledger.contract import ContractError
from gridledger.grid.records import Profile
from tests.support.dvs_channel import TIME_US, example
from tests.support.dvs_grid import Channel, frame, record

Weights = list[list[Any]]


def order(weights: Weights, weak: int, *, corrected: bool, size: int = 6) -> list[int]:
    """Buses by priority; bus numbers are positions."""
    return list(priority_order({"dim": list(range(size))}, weights, weak, corrected=corrected))


def test_published_prefers_weak_connections_and_marks_on_push() -> None:
    """0-1 weighs 5, 0-2 and 2-1 weigh 1: bus 1 was first seen from 0, its cost stays 5; 3 behind 2 costs 4."""
    weights = [[0, 1, 5.0], [0, 2, 1.0], [1, 2, 1.0], [2, 3, 3.0]]
    assert order(weights, 0, corrected=False) == [2, 3, 1]


def test_corrected_takes_the_shortest_path() -> None:
    """Lengths 1/w: 0-1 is 0.2, 0-2 is 1; by 1 bus 2 is reached at 0.2 + 0.5."""
    weights = [[0, 1, 5.0], [0, 2, 1.0], [1, 2, 2.0], [0, 3, 1.3], [2, 4, 10.0]]
    assert order(weights, 0, corrected=True) == [1, 2, 3, 4]


@pytest.mark.parametrize("corrected", [True, False])
def test_equal_costs_go_by_bus_number(corrected: bool) -> None:
    weights = [[0, 4, 2.0], [0, 2, 2.0], [0, 3, 2.0], [1, 3, 1.0]]
    assert order(weights, 0, corrected=corrected) == [2, 3, 4, 1]


def test_what_is_not_connected_is_not_found() -> None:
    assert order([[2, 3, 1.0]], 0, corrected=True) == []


def reference_order(weights: Weights, weak: int, *, corrected: bool) -> list[int]:
    """Section 6, with costs looked up instead of carried."""
    near: dict[int, dict[int, float]] = {}
    for i, k, weight in weights:
        near.setdefault(i, {})[k] = near.setdefault(k, {})[i] = weight
    cost = {weak: 0.0}
    waiting, popped = {weak}, []
    while waiting:
        bus = min(waiting, key=lambda one: (cost[one], one))
        waiting.remove(bus)
        popped.append(bus)
        for other, weight in near.get(bus, {}).items():
            if corrected and other not in popped:
                reached = cost[bus] + 1 / weight
                if reached < cost.get(other, float("inf")):
                    cost[other] = reached
                    waiting.add(other)
            elif not corrected and other not in cost:
                cost[other] = cost[bus] + weight
                waiting.add(other)
    return popped[1:]


@given(
    st.dictionaries(
        st.tuples(st.integers(0, 5), st.integers(0, 5)).filter(lambda pair: pair[0] < pair[1]),
        st.one_of(st.sampled_from([0.5, 1.0, 2.0]), st.floats(0.1, 30)),
    ),
    st.integers(0, 5),
    st.booleans(),
)
def test_the_search_against_a_plain_one(edges: dict[tuple[int, int], float], weak: int, corrected: bool) -> None:
    weights = [[i, k, weight] for (i, k), weight in sorted(edges.items())]
    assert order(weights, weak, corrected=corrected) == reference_order(weights, weak, corrected=corrected)


def measured(name: str) -> dict[int, tuple[float, float, float, float]]:
    """Buses of an example frame."""
    return {row["bus"]: (row["Pd"], row["Qd"], row["Vm"], row["Va"]) for row in example(name)["buses"]}


def test_published_sources_of_the_thesis() -> None:
    head, matrices, _ = check_record(example("record-1-published"))
    buses = measured("frame-1-s1_before")
    own = local_controller(head, matrices, buses, 3, {3: 1.5, 4: 1.5, 5: 1.5})
    assert own is not None
    assert own.sensitivity == pytest.approx(4.53804498, abs=5e-9)
    assert own.q_pu * 100 == pytest.approx(11.0712522, abs=5e-8)
    other = local_controller(head, matrices, buses, 3, {3: 0.0, 4: 1.5, 5: 1.5})
    assert other is not None
    assert (other.source, other.searched) == (4, [4])
    assert other.sensitivity == pytest.approx(-22.68766716, abs=5e-9)
    assert other.q_pu * 100 == pytest.approx(55.35002089586425, abs=1e-9)


def test_published_counts_direct_neighbours_only() -> None:
    """Bus 5 hangs at bus 2, two steps from bus 3."""
    head, matrices, _ = check_record(example("record-1-published"))
    assert local_controller(head, matrices, measured("frame-1-s1_before"), 3, {3: 0.0, 4: 0.0, 5: 1.5}) is None


def test_published_own_sensitivity_term_by_term() -> None:
    """Generators of M are left out, ties count with the mean of both ends, the reference bus only through B_ww."""
    head, matrices, _ = check_record(record("1", "published"))
    buses = {bus: (5.0, 2.0, 1.0 - bus / 1000, -0.25 * bus) for bus in head["dim"]}
    found = local_controller(head, matrices, buses, 3, {3: 1.0})
    assert found is not None
    entries = {(head["dim"][i], head["dim"][k]): (re, im) for i, k, re, im in matrices["A"]}
    (_, _, v3, a3), (_, _, v4, a4), (_, _, v9, a9) = (buses[bus] for bus in (3, 4, 9))
    expected = -entries[3, 3][1] * v3 + term(*entries[3, 4], v4, a3 - a4)
    expected += term(*entries[3, 9], (v3 + v9) / 2, a3 - (a3 + a9) / 2)
    assert found.sensitivity == expected
    assert (3, 2) not in entries
    near_generator = local_controller(head, matrices, buses, 4, {4: 1.0})
    assert near_generator is not None
    (_, _, v5, a5) = buses[5]
    expected = -entries[4, 4][1] * v4 + term(*entries[4, 3], v3, a4 - a3)
    expected += term(*entries[4, 5], (v4 + v5) / 2, a4 - (a4 + a5) / 2)
    assert near_generator.sensitivity == expected
    assert (4, 2) in entries


@pytest.mark.parametrize("profile", ["published", "corrected"])
def test_the_amount_is_what_is_needed_or_what_is_there(profile: Profile) -> None:
    channel = Channel().plan("1", profile=profile)
    channel.provide("1", 0.0, bus_3=0.001)
    control = channel.call("ComputeVSI", frame("1", TIME_US, {3: 0.9}))["control"]
    assert control["q_pu"] == 0.001 < control["q_required_pu"]
    assert control["vvc_left"] == {"3": 0.0, "4": 0.0}
    assert channel.call("ComputeVSI", frame("1", TIME_US + 1, {3: 0.9}))["outcome"] == "escalate"


@pytest.mark.parametrize("profile", ["published", "corrected"])
def test_a_neighbour_answers_where_the_weak_bus_has_nothing(profile: Profile) -> None:
    channel = Channel().plan("1", profile=profile)
    channel.provide("1", 5.0, bus_3=0.0)
    control = channel.call("ComputeVSI", frame("1", TIME_US, {3: 0.9}))["control"]
    assert (control["weak_bus"], control["source_bus"], control["searched"]) == (3, 4, [4])
    sag = 0.98 - 0.9
    assert control["q_required_pu"] == pytest.approx(abs(control["sensitivity"]) * sag)


def test_corrected_reports_the_inverse_of_the_gain() -> None:
    """One load bus behind a stiff line: Lm is a number, x = 1/Lm."""
    channel = Channel()
    made = record("3", members=[9], dim=[9, 3, 8, 10], kind=[1, 4, 4, 4], nm=1, PI=[], Y=[[0, 0, 4.0, -20.0]])
    made |= {"branches": [[8, 9], [9, 3], [9, 10]], "Zth": [{"bus": 9, "R": 0.02, "X": 0.15}]}
    channel.call("InitialGrouping", made | {"inflow": [True, False, False]})
    channel.call("UpdateResources", {"group": "3", "vvc": {"9": 1.5}})
    measurement = frame("3", TIME_US, {9: 0.9})
    measurement["branches"] = measurement["branches"][1:]
    measurement["buses"] = [
        {"bus": bus, "Pd": 80 if bus == 9 else 0, "Qd": 60 if bus == 9 else 0, "Vm": 0.9 if bus == 9 else 1, "Va": 0}
        for bus in made["dim"]
    ]
    control = channel.call("ComputeVSI", measurement)["control"]
    slope = -((60.0 / 100.0) / 0.9) - (-20.0) * 0.9
    x = 1.0 / slope
    assert control["sensitivity"] == 1.0 / x
    assert control["q_required_pu"] == (0.98 - 0.9) / x


def test_corrected_skips_sources_with_too_little_gain() -> None:
    """A bus behind 10,000 p.u. of reactance lifts nothing: gain below 1e-3, nobody else has power: escalate."""
    channel = Channel()
    Y = [[0, 0, 0.0, -20.0], [0, 1, 0.0, 1e-4], [1, 0, 0.0, 1e-4], [1, 1, 0.0, -20.0]]
    channel.call("InitialGrouping", record("3", Y=Y))
    channel.call("UpdateResources", {"group": "3", "vvc": {"9": 1.5}})
    assert channel.call("ComputeVSI", frame("3", TIME_US, {8: 0.9}))["outcome"] == "escalate"


def test_corrected_without_a_pivot_escalates() -> None:
    channel = Channel()
    channel.call("InitialGrouping", record("3", Y=[]))
    channel.provide("3")
    made = frame("3", TIME_US, {8: 0.9})
    made["buses"][1]["Qd"] = 0.0
    assert channel.call("ComputeVSI", made)["outcome"] == "escalate"


def test_a_requirement_that_is_not_finite_refuses_the_frame() -> None:
    made = record("3", "published", v_required=2.0)
    made["A"] = [[0, 0, 1.0, -9.0], [0, 1, 0.0, 1.6e308], [1, 0, 0.0, 1.6e308]]
    head, matrices, _ = check_record(made)
    buses = dict.fromkeys(head["dim"], (5.0, 2.0, 1.1, 0.0)) | {8: (80.0, 60.0, 0.5, 0.0)}
    with pytest.raises(ContractError, match="not finite"):
        local_controller(head, matrices, buses, 8, {9: 1.0})


def test_published_skips_a_sensitivity_that_is_not_finite_or_0() -> None:
    made = record("3", "published")
    buses = dict.fromkeys(made["dim"], (5.0, 2.0, 9.0, 0.0)) | {8: (80.0, 60.0, 0.5, 0.0)}
    for B, v in ((1.6e308, 9.0), (5e-324, 0.4)):
        made["A"] = [[0, 0, 1.0, -9.0], [0, 1, 0.0, B], [1, 0, 0.0, B]]
        head, matrices, _ = check_record(made)
        assert local_controller(head, matrices, buses | {9: (0.0, 0.0, v, 0.0)}, 8, {9: 1.0}) is None
