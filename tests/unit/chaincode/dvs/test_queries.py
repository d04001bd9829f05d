"""Queries: what they answer, and paging."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dvs_channel import TIME_US
from tests.support.dvs_grid import Channel, frame

EVER = {"from": 0, "to": 2**53 - 1}


@pytest.fixture
def channel() -> Channel:
    """Ten frames of group 3 and two of group 10."""
    channel = Channel().plan("3", "10")
    channel.provide("3", 100.0)
    for n in range(10):
        channel.call("ComputeVSI", frame("3", TIME_US + n, {8: 0.9} if n % 2 else None))
    for n in range(2):
        channel.call("ComputeVSI", frame("10", n))
    return channel


def pages(channel: Channel, function: str, argument: dict[str, Any]) -> list[list[Any]]:
    """All pages."""
    found = []
    bookmark = None
    while True:
        answer = channel.call(function, argument | ({} if bookmark is None else {"bookmark": bookmark}))
        assert list(answer) == ["items", "bookmark"]
        found.append(answer["items"])
        bookmark = answer["bookmark"]
        if bookmark is None:
            return found


@pytest.mark.parametrize("limit", [1, 3, 5, 9, 10, 11, 100_000])
def test_pages_of_results(channel: Channel, limit: int) -> None:
    found = pages(channel, "GetVSI", {"group": "3", "limit": limit} | EVER)
    assert [item["time"] for page in found for item in page] == [TIME_US + n for n in range(10)]
    assert all(len(page) == limit for page in found[:-1])
    assert found[-1]


@pytest.mark.parametrize("limit", [1, 2, 4, 5, 6])
def test_pages_of_actions(channel: Channel, limit: int) -> None:
    found = pages(channel, "GetActions", {"group": "3", "limit": limit})
    assert [item["control"]["action"] for page in found for item in page] == [1, 2, 3, 4, 5]
    assert [item["time"] for page in found for item in page] == [TIME_US + n for n in (1, 3, 5, 7, 9)]
    assert list(found[0][0]) == ["time", "control"]
    assert found[-1]


def test_both_ends_of_the_time_count(channel: Channel) -> None:
    def times(start: int, end: int) -> list[int]:
        answer = channel.call("GetVSI", {"group": "3", "from": TIME_US + start, "to": TIME_US + end})
        assert answer["bookmark"] is None
        return [item["time"] - TIME_US for item in answer["items"]]

    assert times(2, 4) == [2, 3, 4]
    assert times(4, 4) == [4]
    assert times(4, 3) == []
    assert times(9, 99) == [9]


def test_items_are_the_results_as_answered(channel: Channel) -> None:
    result = channel.call("ComputeVSI", frame("3", TIME_US + 50, {9: 0.91}))
    answer = channel.call("GetVSI", {"group": "3", "from": TIME_US + 50, "to": TIME_US + 50})
    assert answer == {"items": [result], "bookmark": None}


def test_a_page_ends_before_it_grows_too_large() -> None:
    channel = Channel().plan("3")
    for n in range(1300):
        channel.call("ComputeVSI", frame("3", n))
    found = pages(channel, "GetVSI", {"group": "3", "limit": 2000} | EVER)
    assert [len(page) for page in found] == [1000, 300]


def test_no_action_no_list_yet(channel: Channel) -> None:
    assert channel.call("GetActions", {"group": "10"}) == {"items": [], "bookmark": None}
    assert channel.call("GetResources", {"group": "10"}) == {"group": "10", "vvc": {"10": 0.0, "11": 0.0}, "actions": 0}


def test_resources_and_their_count(channel: Channel) -> None:
    answer = channel.call("GetResources", {"group": "3"})
    assert answer["actions"] == 5
    assert sum(answer["vvc"].values()) < 200.0


def test_queries_write_nothing(channel: Channel) -> None:
    for function, argument in [
        ("GetGroup", {"group": "3"}),
        ("GetResources", {"group": "3"}),
        ("GetVSI", {"group": "3"} | EVER),
        ("GetActions", {"group": "3"}),
    ]:
        channel.unchanged(function, argument)


@pytest.mark.parametrize("function", ["GetGroup", "GetResources", "GetVSI", "GetActions"])
def test_unknown_groups_and_fields(channel: Channel, function: str) -> None:
    extra = EVER if function == "GetVSI" else {}
    channel.refused(function, {"group": "2"} | extra, "group 2")
    channel.refused(function, {"group": 3} | extra, "group")
    channel.refused(function, dict(extra), "group: is missing")
    channel.refused(function, {"group": "3", "colour": 1} | extra, "colour")
    channel.refused(function, "3")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"from": -1}, "from"),
        ({"from": 1.0}, "from"),
        ({"to": 2**53}, "to"),
        ({"to": "9"}, "to"),
        ({"limit": 0}, "limit"),
        ({"limit": 2.0}, "limit"),
        ({"limit": None}, "limit"),
        ({"bookmark": 3}, "bookmark"),
        ({"bookmark": "3"}, "bookmark"),
        ({"bookmark": "000000000000000x"}, "bookmark"),
        ({"bookmark": "\u0660" * 16}, "bookmark"),
    ],
)
def test_refused_arguments_of_pages(channel: Channel, changes: dict[str, Any], named: str) -> None:
    channel.refused("GetVSI", {"group": "3"} | EVER | changes, f"{named}: ")
    if named in ("limit", "bookmark"):
        channel.refused("GetActions", {"group": "3"} | changes, f"{named}: ")


def test_a_bookmark_does_not_reach_before_from(channel: Channel) -> None:
    argument = {"group": "3", "from": TIME_US + 8, "to": TIME_US + 9, "bookmark": "0" * 16}
    assert len(channel.call("GetVSI", argument)["items"]) == 2
    assert channel.call("GetVSI", argument | {"bookmark": "9" * 16})["items"] == []
