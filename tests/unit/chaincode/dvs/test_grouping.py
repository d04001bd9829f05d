"""InitialGrouping: records that are taken, and what is refused, each with the name of its field."""

from __future__ import annotations

import json
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import pytest

from gridledger.grid.records import Profile, Record
from tests.support.dvs_channel import example
from tests.support.dvs_grid import Channel, record

Change = Callable[[Record], Any]


def put(*path: str | int, to: Any) -> Change:
    """Replaces what lies at ``path``."""

    def change(made: Any) -> None:
        *way, last = path
        for step in way:
            made = made[step]
        made[last] = to

    return change


def drop(*path: str | int) -> Change:
    """Removes what lies at ``path``."""

    def change(made: Any) -> None:
        *way, last = path
        for step in way:
            made = made[step]
        del made[last]

    return change


@pytest.mark.parametrize("profile", ["published", "corrected"])
def test_the_examples_are_taken_and_split_over_two_keys(profile: Profile) -> None:
    channel = Channel()
    submitted = example(f"record-1-{profile}")
    assert channel.call("InitialGrouping", submitted) == {"group": "1"}
    assert channel.last is not None
    assert channel.last.reads == {"group/1": None}
    matrix = "A" if profile == "published" else "Y"
    head = {name: value for name, value in submitted.items() if name not in (matrix, "PI")}
    assert channel.last.writes == {"group/1": head, "matrix/1": {matrix: submitted[matrix], "PI": submitted["PI"]}}
    assert channel.call("GetGroup", {"group": "1"}) == head


@pytest.mark.parametrize("profile", ["published", "corrected"])
@pytest.mark.parametrize("group", ["1", "2", "3", "10", "1_2", "2_10", "1_2_3_10"])
def test_single_and_merged_records_are_taken(group: str, profile: Profile) -> None:
    assert Channel().call("InitialGrouping", record(group, profile)) == {"group": group}


def test_a_new_record_replaces_the_old_one_and_touches_no_list() -> None:
    channel = Channel().plan("3")
    channel.provide("3")
    channel.plan("3", v_required=1)
    assert channel.call("GetGroup", {"group": "3"})["v_required"] == 1.0
    assert channel.vvc("3") == {"8": 1.5, "9": 1.5}


def test_integers_stand_for_measurements_and_minus_zero_is_zero() -> None:
    channel = Channel()
    made = record("3", base=100, v_required=1, threshold=0, retention_s=1)
    made["Zth"] = [{"bus": 8, "R": -0.0, "X": 1}, {"bus": 9, "R": 0, "X": -0.0}]
    made["Y"][0][2] = -0.0
    channel.call("InitialGrouping", made)
    assert channel.last is not None
    text = json.dumps(channel.last.writes)
    assert "-0.0" not in text
    head = channel.last.writes["group/3"]
    assert [type(value) for value in (head["base"], head["v_required"], head["threshold"])] == [float] * 3
    assert head["Zth"] == [{"bus": 8, "R": 0.0, "X": 1.0}, {"bus": 9, "R": 0.0, "X": 0.0}]


def test_a_group_without_loads_and_one_of_the_reference_alone() -> None:
    channel = Channel()
    only_reference = record("3", members=[1], dim=[2], kind=[4], nm=0, branches=[[1, 2]], Zth=[], inflow=[False])
    channel.call("InitialGrouping", only_reference | {"Y": [], "PI": []})
    generator = record("3", members=[2], dim=[2, 9], kind=[2, 4], nm=1, branches=[[2, 9]], Zth=[], inflow=[True])
    channel.call("InitialGrouping", generator | {"Y": [[0, 0, 1.0, 2.0]], "PI": []})


REFUSED: list[tuple[str, Change, str]] = [
    *[(f"without {name}", drop(name), f"{name}: is missing") for name in record("1")],
    ("unknown field", put("colour", to=1), "colour"),
    ("A in a corrected record", put("A", to=[]), "A: is no field"),
    ("id a number", put("id", to=1), "id"),
    ("id empty", put("id", to=""), "id"),
    ("id with a leading zero", put("id", to="01"), "id"),
    ("id zero", put("id", to="0"), "id"),
    ("id of other digits", put("id", to="\u0661"), "id"),
    ("id with a line end", put("id", to="1\n"), "id"),
    ("id descending", put("id", to="2_1"), "id"),
    ("id twice the same", put("id", to="1_1"), "id"),
    ("id with an empty component", put("id", to="1__2"), "id"),
    ("id beyond all bounds", put("id", to="1" * 5000), "id"),
    ("profile unknown", put("profile", to="improved"), "profile"),
    ("profile no string", put("profile", to=["corrected"]), "profile"),
    ("members no array", put("members", to={"1": 1}), "members"),
    ("members empty", put("members", to=[]), "members"),
    ("member as number with a point", put("members", 0, to=1.0), "members[0]"),
    ("member true", put("members", 0, to=True), "members[0]"),
    ("member negative", put("members", 0, to=-1), "members[0]"),
    ("member twice", put("members", 1, to=1), "members: names bus 1 twice"),
    ("members not ascending", put("members", to=[1, 2, 4, 3]), "members"),
    ("member missing", put("members", to=[2, 3, 4]), "branches[8]: has no end"),
    ("two members outside M", lambda r: (r["dim"].remove(3), r.update(nm=2)), "dim"),
    ("a stranger in M", put("dim", 0, to=77), "dim"),
    ("bus twice in dim", put("dim", 0, to=3), "dim: names bus 3 twice"),
    ("M in another order", put("dim", to=[3, 2, 4, 5, 7, 9, 12]), "dim"),
    ("ties not ascending", put("dim", to=[2, 3, 4, 7, 5, 9, 12]), "dim"),
    ("a tie missing", lambda r: (r["dim"].pop(), r["kind"].pop()), "dim"),
    ("a tie too many", lambda r: (r["dim"].append(99), r["kind"].append(4)), "dim"),
    ("nm beyond dim", put("nm", to=8), "nm"),
    ("nm one less", put("nm", to=2), "dim"),
    ("nm one more", put("nm", to=4), "dim"),
    ("nm negative", put("nm", to=-1), "nm"),
    ("nm a string", put("nm", to="3"), "nm"),
    ("kind too short", drop("kind", 6), "kind"),
    ("kind reference", put("kind", 0, to=3), "kind[0]"),
    ("kind tie in M", put("kind", 1, to=4), "kind[1]"),
    ("kind load among ties", put("kind", 3, to=1), "kind[3]"),
    ("kind no integer", put("kind", 0, to="1"), "kind[0]"),
    ("base zero", put("base", to=0), "base"),
    ("base negative", put("base", to=-100.0), "base"),
    ("base null", put("base", to=None), "base"),
    ("base true", put("base", to=True), "base"),
    ("branch of three", put("branches", 0, to=[1, 2, 3]), "branches[0]"),
    ("branch an object", put("branches", 0, to={"f": 1, "t": 2}), "branches[0]"),
    ("branch from a bus to itself", put("branches", 0, to=[2, 2]), "branches[0]"),
    ("branch outside", put("branches", 0, to=[5, 6]), "branches[0]"),
    ("branch end no integer", put("branches", 0, to=[1, 2.0]), "branches[0][1]"),
    ("v_required too low", put("v_required", to=0.49), "v_required"),
    ("v_required too high", put("v_required", to=2.01), "v_required"),
    ("v_required a string", put("v_required", to="0.98"), "v_required"),
    ("adjacent a number", put("adjacent", 0, to=2), "adjacent[0]"),
    ("adjacent merged", put("adjacent", 0, to="2_3"), "adjacent[0]"),
    ("adjacent itself", put("adjacent", 0, to="1"), "adjacent[0]"),
    ("adjacent twice", put("adjacent", 1, to="2"), "adjacent[1]"),
    ("adjacent no array", put("adjacent", to="2"), "adjacent"),
    ("threshold above 1", put("threshold", to=1.01), "threshold"),
    ("threshold negative", put("threshold", to=-0.01), "threshold"),
    ("Zth of a load bus missing", drop("Zth", 0), "Zth"),
    ("Zth in another order", lambda r: r["Zth"].reverse(), "Zth"),
    ("Zth of a generator", put("Zth", 0, "bus", to=2), "Zth"),
    ("Zth with a stranger's field", put("Zth", 0, "Z", to=1.0), "Zth[0].Z"),
    ("Zth without R", drop("Zth", 0, "R"), "Zth[0].R"),
    ("X negative", put("Zth", 0, "X", to=-0.1), "Zth[0].X"),
    ("X zero, R not", put("Zth", 0, "X", to=0), "Zth[0].X"),
    ("X too large", put("Zth", 1, "X", to=1e6), "Zth[1].X"),
    ("R too large", put("Zth", 1, "R", to=-1e6), "Zth[1].R"),
    ("inflow too short", drop("inflow", 0), "inflow"),
    ("inflow of integers", put("inflow", 0, to=0), "inflow[0]"),
    ("Y entry of three", drop("Y", 0, 3), "Y[0]"),
    ("Y position beyond M", put("Y", 0, 1, to=3), "Y[0][1]"),
    ("Y position negative", put("Y", 0, 0, to=-1), "Y[0][0]"),
    ("Y position with a point", put("Y", 0, 0, to=0.0), "Y[0][0]"),
    ("Y entry zero", lambda r: r["Y"][0].__setitem__(slice(2, 4), [0.0, -0.0]), "Y[0]"),
    ("Y entry a string", put("Y", 0, 2, to="1"), "Y[0][2]"),
    ("Y not ascending", lambda r: r["Y"].reverse(), "Y[1]"),
    ("Y place twice", lambda r: r["Y"].insert(0, r["Y"][0]), "Y[1]"),
    ("Y without the mirrored entry", drop("Y", 1), "Y: has an entry"),
    ("PI weight zero", put("PI", 0, 2, to=0), "PI[0][2]"),
    ("PI weight negative", put("PI", 0, 2, to=-1.5), "PI[0][2]"),
    ("PI on the diagonal", put("PI", 0, to=[1, 1, 2.0]), "PI[0]"),
    ("PI mirrored", put("PI", 0, to=[2, 0, 2.0]), "PI[0]"),
    ("PI beyond M", put("PI", 0, to=[0, 3, 2.0]), "PI[0][1]"),
    ("PI not ascending", lambda r: r["PI"].reverse(), "PI[1]"),
    ("retention zero", put("retention_s", to=0), "retention_s"),
    ("retention with a point", put("retention_s", to=1.0), "retention_s"),
    ("retention null", put("retention_s", to=None), "retention_s"),
]


@pytest.mark.parametrize(("change", "named"), [case[1:] for case in REFUSED], ids=[case[0] for case in REFUSED])
def test_refused(change: Change, named: str) -> None:
    made = deepcopy(record("1"))
    change(made)
    Channel().refused("InitialGrouping", made, named)


REFUSED_OTHERS = [
    ("1", "published", put("Y", to=[]), "Y: is no field"),
    ("1", "published", put("inflow", to=[]), "inflow: is no field"),
    ("1_2", "published", drop("threshold"), "threshold: is missing"),
    ("1_2", "published", drop("Zth"), "Zth: is missing"),
    ("1_2", "corrected", put("Zth", to=[]), "Zth: is no field"),
    ("1_2", "corrected", put("threshold", to=0.8), "threshold: is no field"),
    ("1_2", "corrected", put("inflow", to=[]), "inflow: is no field"),
    ("1_2", "corrected", put("adjacent", 0, to="2"), "adjacent[0]"),
    ("1", "published", put("A", 0, 0, to=7), "A[0][0]"),
]


@pytest.mark.parametrize(("group", "profile", "change", "named"), REFUSED_OTHERS)
def test_refused_by_profile_and_kind_of_group(group: str, profile: Profile, change: Change, named: str) -> None:
    made = deepcopy(record(group, profile))
    change(made)
    Channel().refused("InitialGrouping", made, named)


@pytest.mark.parametrize("argument", [None, [], "1", 1, True, {}])
def test_the_argument_is_one_object(argument: Any) -> None:
    Channel().refused("InitialGrouping", argument)
