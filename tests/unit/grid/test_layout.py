"""Layouts: which channel serves which group, and descriptions of a network that cannot be used."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridledger.client.profile import CAEntry, ChannelEntry, ConnectionProfile
from gridledger.errors import SettingsError
from gridledger.grid.layout import Layout, describe_groups, groups_described, layout_of


def profile(**applications: Any) -> ConnectionProfile:
    """A network with the channels ``main`` and ``shard1``."""
    return ConnectionProfile(
        name="small",
        channels={"main": ChannelEntry(peers=()), "shard1": ChannelEntry(peers=())},
        peers={},
        orderers={},
        ca=CAEntry(url="https://localhost", tls_root=Path("tls-root.pem"), organisations=()),
        roots=Path("roots.pem"),
        organisations=Path("organisations"),
        applications=applications,
    )


def test_groups_take_turns_on_the_channels() -> None:
    layout = Layout("main", ("a", "b"))
    assert [layout.channel_of(group) for group in ("1", "2", "3", "10", "1_2")] == ["a", "b", "a", "b", "main"]
    assert layout.channels_using("3") == ("a", "main")
    assert layout.channels_using("1_2") == ("main",)
    assert Layout("all", ("all", "all")).channels == ("all",)


def test_the_layout_is_what_the_network_says() -> None:
    found = layout_of(profile(dvs={"main": "main", "groups": ["shard1", "main"], "chaincode": "stability"}))
    assert found == Layout("main", ("shard1", "main"), "stability")


def test_a_single_group_runs_where_the_network_says() -> None:
    groups = {"others": ["shard1", "main"], "3": "main"}
    layout = layout_of(profile(dvs={"main": "main", "groups": groups, "chaincode": "dvs"}))
    assert [layout.channel_of(group) for group in "12345"] == ["shard1", "main", "main", "main", "shard1"]
    assert layout.placing({"5": "main"}).channel_of("5") == "main"
    assert Layout("main", ("a",), placed={"7": "b"}, aggregators={"c": ["A"]}).channels == ("main", "a", "b", "c")


@pytest.mark.parametrize("placed", [{}, {"3": "main"}, {"3": "main", "12": "shard1"}])
def test_the_description_of_groups_is_read_as_written(placed: dict[str, str]) -> None:
    layout = Layout("main", ("shard1", "main"), placed=placed)
    assert groups_described(describe_groups(layout)) == (("shard1", "main"), placed)


def test_a_group_back_in_its_turn_is_not_named() -> None:
    layout = Layout("main", ("shard1", "main"), placed={"3": "main"}).placing({"3": "shard1"})
    assert describe_groups(layout) == ["shard1", "main"]


def test_records_name_the_msps_that_the_network_gives() -> None:
    dvs = {"main": "main", "groups": ["shard1"], "chaincode": "dvs", "planners": {"main": "A", "shard1": "B"}}
    layout = layout_of(profile(dvs=dvs | {"aggregators": {"shard1": ["B", "C"]}}))
    named = {"id": "1", "planner_msp": "A", "aggregator_msps": ["B", "C"]}
    assert layout.naming_msps("main", {"id": "1"}) == named
    assert layout.naming_msps("shard1", {"id": "1"}) == named | {"planner_msp": "B"}
    assert layout.naming_msps("main", {"id": "1_2"}) == {"id": "1_2"}
    assert layout_of(profile(dvs=dvs | {"planners": {}})).naming_msps("main", {"id": "1"}) == {"id": "1"}


@pytest.mark.parametrize(
    ("applications", "message"),
    [
        ({}, "does not say where dvs runs"),
        ({"dvs": {"main": "main", "groups": ["main"]}}, "does not say where dvs runs"),
        ({"dvs": {"main": "main", "groups": [], "chaincode": "dvs"}}, "names no channel for groups"),
        ({"dvs": {"main": "main", "groups": ["shard9"], "chaincode": "dvs"}}, "that it does not have: shard9"),
        ({"dvs": {"main": "main", "groups": {"1": "main"}, "chaincode": "dvs"}}, "does not say where dvs runs"),
        (
            {"dvs": {"main": "main", "groups": {"others": ["main"], "2": "shard7"}, "chaincode": "dvs"}},
            "that it does not have: shard7",
        ),
        (
            {"dvs": {"main": "main", "groups": {"others": ["main"], "1_2": "main"}, "chaincode": "dvs"}},
            "names '1_2', which is no single group's id",
        ),
        (
            {"dvs": {"main": "main", "groups": ["main"], "chaincode": "dvs", "planners": {"shard8": "A"}}},
            "that it does not have: shard8",
        ),
        (
            {"dvs": {"main": "main", "groups": ["main"], "chaincode": "dvs", "aggregators": ["A"]}},
            "does not say where dvs runs",
        ),
    ],
)
def test_a_description_that_cannot_be_used_is_refused(applications: dict[str, Any], message: str) -> None:
    with pytest.raises(SettingsError, match=message):
        layout_of(profile(**applications))
