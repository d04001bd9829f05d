"""Groups of buses: ids, neighbours, and the automatic groups of the larger cases."""

from __future__ import annotations

import pytest

from gridledger.errors import InputError
from gridledger.grid.area import area_of
from gridledger.grid.case import load_case
from gridledger.grid.grouping import (
    CASE30_GROUPS,
    adjacent_pairs,
    automatic_grouping,
    components,
    grouping_of,
    members_of,
    merged_id,
    neighbours,
)


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


@pytest.mark.parametrize("count", [0, 8])
def test_a_case_has_no_more_groups_than_generator_buses(count: int) -> None:
    with pytest.raises(InputError, match="can be cut into 1 to 7 groups"):
        automatic_grouping(load_case("case57"), count)


def test_an_unknown_case_or_bus_is_refused() -> None:
    with pytest.raises(InputError, match="choose one of case30"):
        load_case("case14")
    with pytest.raises(InputError, match="case30 has no bus 31"):
        area_of(load_case("case30"), "1", (1, 31))
