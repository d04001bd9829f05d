"""Frames that ComputeVSI takes, and what it refuses, each with the name of its field."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from gridledger.grid.frames import Frame
from tests.support.dvs_channel import TIME_US
from tests.support.dvs_grid import Channel, frame
from tests.unit.chaincode.dvs.test_grouping import drop, put

Change = Callable[[Frame], Any]


@pytest.fixture(params=["published", "corrected"])
def channel(request: pytest.FixtureRequest) -> Channel:
    """A channel with the record of group 1."""
    return Channel().plan("1", profile=request.param)


def test_integers_are_measurements_and_buses_come_in_any_order(channel: Channel) -> None:
    made = frame("1", TIME_US)
    answer = channel.call("ComputeVSI", made)
    same = frame("1", TIME_US + 1, base=100)
    same["buses"] = [
        {name: int(value) if value == int(value) else value for name, value in row.items()} for row in made["buses"]
    ]
    same["buses"].reverse()
    same["branches"][0]["Pf"] = 10
    assert channel.call("ComputeVSI", same) == answer | {"time": TIME_US + 1}


def test_the_reference_bus_is_allowed_and_ignored(channel: Channel) -> None:
    made = frame("1", TIME_US)
    made["buses"].insert(2, {"bus": 1, "Pd": 1e6, "Qd": -1e6, "Vm": 0.01, "Va": 360})
    assert channel.call("ComputeVSI", made)["outcome"] == "normal"


def test_the_bounds_themselves_are_allowed(channel: Channel) -> None:
    made = frame("1", 0)
    made["branches"][0] |= {"Pf": 1e6, "Qf": -1e6, "Pt": 1000000, "Qt": -1000000}
    made["buses"][0] |= {"Vm": 10, "Va": -360}
    channel.call("ComputeVSI", made)
    channel.call("ComputeVSI", frame("1", 2**53 - 1))


REFUSED: list[tuple[str, Change, str]] = [
    *[(f"without {n}", drop(n), f"{n}: is missing") for n in ("group", "time", "base", "buses", "branches")],
    ("unknown field", put("source", to="pmu"), "source"),
    ("unknown group", put("group", to="2"), "group 2"),
    ("group a number", put("group", to=1), "group"),
    ("time with a point", put("time", to=1.0), "time"),
    ("time negative", put("time", to=-1), "time"),
    ("time too large", put("time", to=2**53), "time"),
    ("time true", put("time", to=True), "time"),
    ("another base", put("base", to=100.5), "base"),
    ("base a string", put("base", to="100"), "base"),
    ("buses an object", put("buses", to={}), "buses"),
    ("a bus missing", drop("buses", 3), "bus 5"),
    ("an unknown bus", lambda f: f["buses"].append(f["buses"][0] | {"bus": 6}), "bus 6"),
    ("a bus twice", lambda f: f["buses"].append(f["buses"][0]), "buses[7].bus"),
    ("the reference bus twice", lambda f: f["buses"].extend([f["buses"][0] | {"bus": 1}] * 2), "buses[8].bus"),
    ("bus number with a point", put("buses", 0, "bus", to=2.0), "buses[0].bus"),
    ("a row of numbers", put("buses", 0, to=[2, 0, 0, 1, 0]), "buses[0]"),
    ("a row of text", put("buses", 0, to="bus"), "buses[0]"),
    ("a row null", put("buses", 0, to=None), "buses[0]"),
    ("a row without Qd", drop("buses", 1, "Qd"), "buses[1].Qd"),
    ("a row with an unknown field", put("buses", 1, "Vn", to=1.0), "buses[1].Vn"),
    ("Pd a string", put("buses", 1, "Pd", to="5"), "buses[1].Pd"),
    ("Pd null", put("buses", 1, "Pd", to=None), "buses[1].Pd"),
    ("Pd true", put("buses", 1, "Pd", to=True), "buses[1].Pd"),
    ("Pd too large", put("buses", 1, "Pd", to=1000000.1), "buses[1].Pd"),
    ("Qd too low", put("buses", 1, "Qd", to=-1000001), "buses[1].Qd"),
    ("Vm too low", put("buses", 1, "Vm", to=0.009), "buses[1].Vm"),
    ("Vm too high", put("buses", 1, "Vm", to=10.1), "buses[1].Vm"),
    ("Vm zero", put("buses", 1, "Vm", to=0), "buses[1].Vm"),
    ("Va too large", put("buses", 1, "Va", to=360.1), "buses[1].Va"),
    ("a number of the ignored bus", lambda f: f["buses"].append(f["buses"][0] | {"bus": 1, "Vm": 0}), "buses[7].Vm"),
    ("a branch missing", drop("branches", 2), "branches[2]"),
    ("the last branch missing", drop("branches", -1), "branches"),
    ("a branch too many", lambda f: f["branches"].append(f["branches"][0]), "branches"),
    ("branches in another order", lambda f: f["branches"].reverse(), "branches[0]"),
    ("a branch turned round", lambda f: f["branches"][0].update(f=2, t=1), "branches[0]"),
    ("branch end with a point", put("branches", 0, "f", to=1.0), "branches[0].f"),
    ("branch without Qt", drop("branches", 0, "Qt"), "branches[0].Qt"),
    ("branch with an unknown field", put("branches", 0, "I", to=1.0), "branches[0].I"),
    ("Pt null", put("branches", 0, "Pt", to=None), "branches[0].Pt"),
    ("Qt too large", put("branches", 0, "Qt", to=-1e7), "branches[0].Qt"),
    ("branches null", put("branches", to=None), "branches"),
    ("applied negative", put("applied", to=-1), "applied"),
    ("applied with a point", put("applied", to=0.0), "applied"),
    ("applied null", put("applied", to=None), "applied"),
]


@pytest.mark.parametrize(("change", "named"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(channel: Channel, change: Change, named: str) -> None:
    made = deepcopy(frame("1", TIME_US))
    change(made)
    channel.refused("ComputeVSI", made, named)


@pytest.mark.parametrize("argument", [None, [], "1", 1, True, {}])
def test_the_argument_is_one_object(channel: Channel, argument: Any) -> None:
    channel.refused("ComputeVSI", argument)


def test_a_second_frame_of_the_same_time_is_a_duplicate(channel: Channel) -> None:
    channel.call("ComputeVSI", frame("1", TIME_US))
    channel.refused("ComputeVSI", frame("1", TIME_US), "time", "duplicate")
    channel.refused("ComputeVSI", frame("1", TIME_US, {3: 0.9}), "duplicate")


def test_an_index_that_is_not_finite_refuses_the_frame() -> None:
    channel = Channel().plan("3", base=1e-305)
    made = frame("3", TIME_US, base=1e-305)
    channel.refused("ComputeVSI", made, "bus 8")


def test_demand_at_a_bus_without_impedance_refuses_the_frame() -> None:
    channel = Channel()
    channel.plan("3", Zth=[{"bus": 8, "R": 0, "X": 0}, {"bus": 9, "R": 0.01, "X": 0.1}])
    made = frame("3", TIME_US)
    channel.refused("ComputeVSI", made, "bus 8")
    made["buses"][0] |= {"Pd": 0, "Qd": -0.0}
    assert channel.call("ComputeVSI", made)["vsi"][1] == {"bus": 8, "vsi": 1.0}
