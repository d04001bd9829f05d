"""Every published VSI value with the published profile, every computed one with the corrected, by the real contract."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.grid.grouping import components
from gridledger.grid.records import PROFILES, Profile
from tests.acceptance.case30 import Case30Channel, grid_in, published
from tests.support.dvs_channel import TIME_US, example

TABLES = [(state, group) for state, part in published()["states"].items() for group in part["vsi"]]
PRINTED_TOLERANCE, COMPUTED_TOLERANCE = 6e-11, 1e-12


def test_the_tables_counted() -> None:
    """What published.json holds, so that nothing is skipped in silence."""
    tables = [published()["states"][state]["vsi"][group] for state, group in TABLES]
    assert len(tables) == 10
    assert sum(len(table["buses"]) for table in tables) == 86
    assert sum(value is not None for table in tables for value in table["buses"].values()) == 83
    assert sum(table["min"] is not None for table in tables) == 9
    assert sum(len(table["corrected_profile_computed"]) for table in tables) == 86


def _answer(profile: Profile, state: str, group: str) -> dict[str, Any]:
    channel = Case30Channel(profile)
    solved = grid_in(state).state()
    channel.plan(solved, *components(group))
    if "_" in group:
        channel.plan(solved, group)
    return channel.vsi(group, solved)


@pytest.mark.parametrize(("state", "group"), TABLES)
def test_published_values(state: str, group: str) -> None:
    table = published()["states"][state]["vsi"][group]
    answer = _answer("published", state, group)
    got = {str(row["bus"]): row["vsi"] for row in answer["vsi"]}
    assert got.keys() == table["buses"].keys()
    for bus, printed in table["buses"].items():
        if printed is not None:
            assert abs(got[bus] - printed) <= PRINTED_TOLERANCE, (bus, got[bus], printed)
    if table["min"] is not None:
        assert abs(answer["vsi"][0]["vsi"] - table["min"]) <= PRINTED_TOLERANCE


@pytest.mark.parametrize(("state", "group"), TABLES)
def test_corrected_values(state: str, group: str) -> None:
    wanted = published()["states"][state]["vsi"][group]["corrected_profile_computed"]
    got = {str(row["bus"]): row["vsi"] for row in _answer("corrected", state, group)["vsi"]}
    assert got.keys() == wanted.keys()
    for bus, value in wanted.items():
        assert abs(got[bus] - value) <= COMPUTED_TOLERANCE, (bus, got[bus], value)


@pytest.mark.parametrize("profile", PROFILES)
def test_the_base_example_is_answered_to_the_bit(profile: Profile) -> None:
    channel = Case30Channel(profile)
    channel.call("InitialGrouping", example(f"record-1-{profile}"))
    resources = channel.call("UpdateResources", example("resources-1"))
    assert resources == {**example("resources-1"), "actions": 0}
    answer = channel.call("ComputeVSI", example("frame-1-base"))
    assert answer == example(f"result-1-base-{profile}")
    assert answer["time"] == TIME_US


def test_the_s1_example_is_answered_to_the_bit() -> None:
    channel = Case30Channel("published")
    channel.call("InitialGrouping", example("record-1-published"))
    channel.call("UpdateResources", example("resources-1"))
    channel.call("ComputeVSI", example("frame-1-base"))
    assert channel.call("ComputeVSI", example("frame-1-s1_before")) == example("result-1-s1_before-published")
