"""Groups of buses: ids, neighbours, and the automatic groups of the larger cases."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridledger.errors import InputError
from gridledger.grid.area import area_of
from gridledger.grid.case import load_case
from gridledger.grid.grouping import (
    CASE30_GROUPS,
    MAX_GROUP_BUSES,
    adjacent_pairs,
    automatic_grouping,
    components,
    grouping_of,
    members_of,
    merged_id,
    neighbours,
)
from gridledger.grid.islands import islands
from tests.support.case_files import case_file


def test_merged_ids_are_in_numeric_order() -> None:
    assert merged_id(["10", "2_3", "1"]) == "1_2_3_10"
    assert components("2_10") == ("2", "10")
    assert members_of(CASE30_GROUPS, "3_1") == (*CASE30_GROUPS["3"], *CASE30_GROUPS["1"])


def test_all_groups_of_case30_touch_one_another() -> None:
    case = load_case("case30")
    assert adjacent_pairs(case, CASE30_GROUPS) == ("1_2", "1_3", "2_3")
    assert neighbours(case, CASE30_GROUPS, "1_2") == ("3",)
    assert grouping_of(case) is CASE30_GROUPS


@pytest.mark.parametrize(("name", "count"), [("case30", 2), ("case57", 4), ("case118", 8), ("case300", 16)])
def test_automatic_groups_are_connected_and_share_out_all_buses(name: str, count: int) -> None:
    case = load_case(name)
    grouping = automatic_grouping(case, count)
    assert sorted(bus for members in grouping.values() for bus in members) == sorted(case.numbers)
    for group, members in grouping.items():
        area = area_of(case, group, members)
        reached, growing = {members[0]}, True
        while growing:
            touching = [set(case.ends(branch)) for branch in area.branches]
            grown = reached | {bus for ends in touching if ends & reached and ends <= set(members) for bus in ends}
            growing, reached = grown != reached, grown
        assert reached == set(members), group
        assert area.load_buses


@pytest.mark.parametrize(("name", "least", "most"), [("case1354pegase", 10, 20), ("case9241pegase", 62, 120)])
def test_groups_of_a_large_case_are_capped(name: str, least: int, most: int) -> None:
    """Two groups of the 9,241 buses have no generator that could be one more seed and stay as large as they are."""
    case = load_case(case_file(name))
    grouping = grouping_of(case)
    assert sorted(bus for members in grouping.values() for bus in members) == sorted(case.numbers)
    assert least <= len(grouping) <= most
    generators = set(case.generator_buses)
    large = [members for members in grouping.values() if len(members) > MAX_GROUP_BUSES]
    assert len(large) <= (2 if name == "case9241pegase" else 0)
    assert max(map(len, grouping.values())) < 200
    assert all(generators & set(members) for members in grouping.values())
    home = {bus: group for group, members in grouping.items() for bus in members}
    inside = [all_in for all_in in map(case.ends, range(len(case.branches))) if home[all_in[0]] == home[all_in[1]]]
    f, t = (np.asarray([case.position[ends[side]] for ends in inside]) for side in (0, 1))
    assert len(islands(len(case.numbers), f, t)) == len(grouping)


def test_a_small_case_has_three_groups() -> None:
    assert list(grouping_of(load_case(case_file("case14")))) == ["1", "2", "3"]
    two = replace(load_case("case30"), name="mine").with_load_buses([13, 22, 23, 27])
    assert list(grouping_of(two)) == ["1", "2"]


def test_groups_are_cut_no_finer_than_the_cap_asks() -> None:
    case = load_case("case118")
    sizes = [len(members) for members in automatic_grouping(case, max_buses=40).values()]
    assert max(sizes) <= 40
    assert len(sizes) <= 6
    assert [len(m) for m in automatic_grouping(case, 3, max_buses=118).values()] == [
        len(m) for m in automatic_grouping(case, 3).values()
    ]


def test_another_grid_of_the_name_case30_has_groups_of_its_own() -> None:
    mine = replace(load_case(case_file("case14")), name="case30")
    assert sorted(bus for members in grouping_of(mine).values() for bus in members) == list(range(1, 15))


@pytest.mark.parametrize("count", [0, 8])
def test_a_case_has_no_more_groups_than_generator_buses(count: int) -> None:
    with pytest.raises(InputError, match="can be cut into 1 to 7 groups"):
        automatic_grouping(load_case("case57"), count)


def test_an_unknown_case_or_bus_is_refused() -> None:
    with pytest.raises(InputError, match="choose one of case30"):
        load_case("case14")
    with pytest.raises(InputError, match="case30 has no bus 31"):
        area_of(load_case("case30"), "1", (1, 31))
