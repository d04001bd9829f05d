"""The merge protocol step by step: answers, events, refusals, repetition, on one channel and on a channel per group."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.dvs_channel import TIME_US
from tests.support.dvs_grid import GENERATORS, Channel, frame, record, record_where

CALL = {"channel": "shard1", "tx_id": "a" * 64}
EVERY_RECORD = ("1", "2", "3", "10", "1_2", "1_3", "1_10", "2_3", "3_10", "1_2_3", "1_2_10", "1_3_10", "1_2_3_10")


@pytest.fixture
def channel() -> Channel:
    """One channel for everything, all records, lists for all groups."""
    made = Channel().plan(*EVERY_RECORD)
    for group in ("1", "2", "3", "10"):
        made.provide(group)
    return made


def merge(number: int | None, group: str, status: str, **components: str) -> dict[str, Any]:
    """What merge operations answer."""
    return {"merge": number, "group": group, "status": status, "components": named(components)}


def named(components: dict[str, Any]) -> dict[str, Any]:
    """Group 1 as keyword is g1."""
    return {name.removeprefix("g"): value for name, value in components.items()}


def event(channel: Channel) -> tuple[str, Any] | None:
    """Name and payload of the last call's event."""
    assert channel.last is not None
    found = channel.last.event
    return None if found is None else (found["name"], found["payload"])


def lend_and_adopt(channel: Channel, number: int, group: str) -> Any:
    """Both steps on one channel."""
    lent = channel.call("Lend", {"group": group, "merge": number})
    return channel.call("Adopt", {"merge": number, "group": group, "vvc": lent["vvc"]} | CALL)


def opened(channel: Channel, number: int, *groups: str) -> Channel:
    """``channel`` with a merge gathered."""
    for group in groups:
        lend_and_adopt(channel, number, group)
    return channel


def test_the_whole_way(channel: Channel) -> None:
    gathering = merge(1, "1_2", "gathering", g1="asked", g2="asked")
    assert channel.call("GlobalController", {"group": "1"}) == gathering
    assert event(channel) == ("Merged", gathering)
    lent = channel.call("Lend", {"group": "2", "merge": 1})
    assert lent == {"group": "2", "merge": 1, "vvc": {"5": 1.5, "6": 1.5}}
    assert list(lent) == ["group", "merge", "vvc"]
    assert channel.vvc("2") == {"5": 0.0, "6": 0.0}
    adopt = {"merge": 1, "group": "2", "vvc": {"5": 1.5, "6": 1.5}} | CALL
    assert channel.call("Adopt", adopt) == merge(1, "1_2", "gathering", g1="asked", g2="in")
    assert event(channel) is None
    assert channel.vvc("1_2") == {"3": 0.0, "4": 0.0, "5": 0.0, "6": 0.0}
    standing = merge(1, "1_2", "open", g1="in", g2="in")
    assert lend_and_adopt(channel, 1, "1") == standing
    assert event(channel) == ("Merged", standing)
    assert channel.vvc("1_2") == {"3": 1.5, "4": 1.5, "5": 1.5, "6": 1.5}
    control = channel.call("ComputeVSI", frame("1_2", TIME_US, {6: 0.9}))["control"]
    assert (control["action"], control["source_bus"]) == (1, 6)
    parts = {"1": {"3": 1.5, "4": 1.5}, "2": {"5": 1.5, "6": 1.5 - control["q_pu"]}}
    split = channel.call("Split", {"merge": 1})
    assert split == merge(1, "1_2", "returning", g1="out", g2="out") | {"vvc": parts}
    assert list(split) == ["merge", "group", "status", "components", "vvc"]
    assert sum(channel.vvc("1_2").values()) == 0.0
    for group in ("2", "1"):
        restore = {"group": group, "merge": 1, "vvc": parts[group]}
        assert channel.call("Restore", restore) == restore
        assert channel.vvc(group) == parts[group]
    back = merge(1, "1_2", "returning", g1="back", g2="out")
    assert channel.call("Close", {"merge": 1, "group": "1", "tx_id": "t1"}) == back
    assert event(channel) is None
    closed = merge(1, "1_2", "closed", g1="back", g2="back")
    assert channel.call("Close", {"merge": 1, "group": "2", "tx_id": "t2"}) == closed
    assert event(channel) == ("Closed", closed)
    assert channel.call("GlobalController", {"group": "2"})["merge"] == 2


def test_a_merged_id_counts_its_actions_over_all_merges(channel: Channel) -> None:
    for number in (1, 2):
        channel.call("GlobalController", {"group": "1"})
        opened(channel, number, "1", "2")
        assert channel.call("ComputeVSI", frame("1_2", TIME_US + number, {6: 0.9}))["control"]["action"] == number
        for group, vvc in channel.call("Split", {"merge": number})["vvc"].items():
            channel.call("Restore", {"group": group, "merge": number, "vvc": vvc})
            channel.call("Close", {"merge": number, "group": group, "tx_id": "t"})
    assert channel.call("GetResources", {"group": "1_2"})["actions"] == 2
    assert channel.call("GetResources", {"group": "1"})["actions"] == 0


def test_lending_keeps_the_count_of_actions(channel: Channel) -> None:
    channel.call("ComputeVSI", frame("1", TIME_US, {3: 0.9}))
    channel.call("Lend", {"group": "1", "merge": 1})
    assert channel.call("GetResources", {"group": "1"})["actions"] == 1
    channel.call("Restore", {"group": "1", "merge": 1, "vvc": {}})
    assert channel.call("UpdateResources", {"group": "1", "vvc": {"3": 1}}) == {
        "group": "1",
        "vvc": {"3": 1.0, "4": 0.0},
        "actions": 1,
    }
    assert channel.call("ComputeVSI", frame("1", TIME_US, {3: 0.9}) | {"time": TIME_US - 1})["outcome"] == "pending"
    assert channel.call("ComputeVSI", frame("1", TIME_US + 1, {3: 0.9}))["control"]["action"] == 2


# Which neighbour


def test_neighbours_go_by_number_not_by_text() -> None:
    channel = Channel().plan(*EVERY_RECORD)
    channel.provide("2", 0.0)
    channel.provide("3", 0.0)
    channel.provide("10")
    assert record("1")["adjacent"] == ["2", "3", "10"]
    answer = channel.call("GlobalController", {"group": "1"})
    assert answer == merge(1, "1_10", "gathering", g1="asked", g10="asked")


def test_a_list_that_is_not_stored_here_counts_as_power() -> None:
    channel = Channel().plan(*EVERY_RECORD)
    channel.provide("2", 0.0)
    assert channel.call("GlobalController", {"group": "1"})["group"] == "1_3"


def test_nobody_with_power() -> None:
    channel = Channel().plan(*EVERY_RECORD)
    for group in ("2", "3", "10"):
        channel.provide(group, 0.0)
    answer = channel.unchanged("GlobalController", {"group": "1"})
    assert answer == {"merge": None, "group": "1", "status": "no_group", "components": {}}
    channel.provide("2")
    assert channel.call("GlobalController", {"group": "1"})["merge"] == 1


def test_groups_in_other_merges_are_passed_over(channel: Channel) -> None:
    assert channel.call("GlobalController", {"group": "1"})["group"] == "1_2"
    assert channel.call("GlobalController", {"group": "3"}) == merge(2, "3_10", "gathering", g3="asked", g10="asked")
    opened(channel, 1, "1", "2")
    answer = channel.unchanged("GlobalController", {"group": "1_2"})
    assert (answer["status"], answer["merge"]) == ("no_group", None)
    assert channel.unchanged("GlobalController", {"group": "1"})["status"] == "open"


def test_a_neighbour_must_have_a_record_that_names_the_group() -> None:
    channel = Channel().plan("1", "1_2", "1_3", "1_10")
    channel.refused("GlobalController", {"group": "1"}, "adjacent", "group 2")
    channel.plan("2", adjacent=["3"])
    channel.refused("GlobalController", {"group": "1"}, "adjacent", "group 2")
    channel.plan("2")
    channel.provide("2", 0.0)
    channel.refused("GlobalController", {"group": "1"}, "adjacent", "group 3")
    channel.plan("3")
    assert channel.call("GlobalController", {"group": "1"})["group"] == "1_3"


def test_the_merged_id_must_have_a_record_of_the_same_profile() -> None:
    channel = Channel().plan("1", "2", "3", "10")
    channel.refused("GlobalController", {"group": "1"}, "group 1_2")
    channel.plan("1_2", profile="published")
    channel.refused("GlobalController", {"group": "1"}, "profile")
    channel.plan("1_2")
    channel.call("GlobalController", {"group": "1"})


def test_unknown_groups_and_merged_ids_without_a_merge(channel: Channel) -> None:
    channel.refused("GlobalController", {"group": "7"}, "group")
    channel.refused("GlobalController", {"group": "1_2"}, "group", "no unclosed merge")
    channel.call("GlobalController", {"group": "1"})
    channel.refused("GlobalController", {"group": "1_3"}, "group")
    channel.refused("GlobalController", {"group": "2_3"}, "group")


# Extending


def test_an_open_merge_gets_one_component_more(channel: Channel) -> None:
    channel.call("GlobalController", {"group": "1"})
    opened(channel, 1, "1", "2")
    used = channel.call("ComputeVSI", frame("1_2", TIME_US, {6: 0.9}))["control"]["q_pu"]
    answer = channel.call("GlobalController", {"group": "1_2"})
    assert answer == merge(1, "1_2_3", "gathering", g1="in", g2="in", g3="asked")
    assert event(channel) == ("Merged", answer)
    assert channel.unchanged("GlobalController", {"group": "1_2"}) == answer
    assert channel.unchanged("GlobalController", {"group": "1_2_3"}) == answer
    assert channel.unchanged("GlobalController", {"group": "3"}) == answer
    assert sum(channel.vvc("1_2").values()) == 0.0
    channel.refused("Split", {"merge": 1}, "merge", "gathering", "3")
    assert lend_and_adopt(channel, 1, "3")["status"] == "open"
    assert channel.vvc("1_2_3") == {"3": 1.5, "4": 1.5, "5": 1.5, "6": 1.5 - used, "8": 1.5, "9": 1.5}
    assert channel.call("GlobalController", {"group": "1_2"})["status"] == "open"
    everybody = channel.call("GlobalController", {"group": "1_2_3"})
    assert everybody["components"] == {"1": "in", "2": "in", "3": "in", "10": "asked"}
    lend_and_adopt(channel, 1, "10")
    alone = channel.unchanged("GlobalController", {"group": "1_2_3_10"})
    assert (alone["status"], alone["group"]) == ("no_group", "1_2_3_10")
    parts = channel.call("Split", {"merge": 1})["vvc"]
    assert parts["2"] == {"5": 1.5, "6": 1.5 - used}
    assert list(parts) == ["1", "2", "3", "10"]


def test_a_component_id_does_not_extend(channel: Channel) -> None:
    channel.call("GlobalController", {"group": "1"})
    standing = opened(channel, 1, "1", "2").unchanged("GlobalController", {"group": "1"})
    assert standing == merge(1, "1_2", "open", g1="in", g2="in")
    channel.call("Split", {"merge": 1})
    assert channel.unchanged("GlobalController", {"group": "1_2"})["status"] == "returning"


# Repetition and refusals


def test_adopt_repeated_and_with_other_contents(channel: Channel) -> None:
    channel.call("GlobalController", {"group": "1"})
    adopt = {"merge": 1, "group": "2", "vvc": {"5": 1.5}} | CALL
    answer = channel.call("Adopt", adopt)
    assert channel.unchanged("Adopt", adopt) == answer
    assert channel.unchanged("Adopt", adopt | {"vvc": {"6": 0, "5": 1.5}}) == answer
    channel.refused("Adopt", adopt | {"vvc": {"5": 1.4}}, "vvc")
    channel.refused("Adopt", adopt | {"channel": "shard2"}, "channel")
    channel.refused("Adopt", adopt | {"tx_id": "b"}, "tx_id")
    lend_and_adopt(channel, 1, "1")
    channel.call("Split", {"merge": 1})
    assert channel.unchanged("Adopt", adopt)["status"] == "returning"
    channel.refused("Adopt", adopt | {"tx_id": "b"}, "tx_id")


@pytest.mark.parametrize(
    ("changes", "named"),
    [
        ({"merge": 2}, "merge"),
        ({"merge": 0}, "merge"),
        ({"merge": "1"}, "merge"),
        ({"merge": 1.0}, "merge"),
        ({"group": "3"}, "group"),
        ({"group": "1_2"}, "group"),
        ({"vvc": {"9": 1}}, "vvc.9"),
        ({"vvc": None}, "vvc"),
        ({"channel": ""}, "channel"),
        ({"channel": "x" * 129}, "channel"),
        ({"tx_id": 1}, "tx_id"),
        ({"tx_id": ""}, "tx_id"),
        ({"colour": 1}, "colour"),
    ],
)
def test_adopt_refused(channel: Channel, changes: dict[str, Any], named: str) -> None:
    channel.call("GlobalController", {"group": "1"})
    channel.refused("Adopt", {"merge": 1, "group": "2", "vvc": {"5": 1.5}} | CALL | changes, named)
    for name in ("merge", "group", "vvc", "channel", "tx_id"):
        argument = {"merge": 1, "group": "2", "vvc": {"5": 1.5}} | CALL
        del argument[name]
        channel.refused("Adopt", argument, f"{name}: is missing")


def test_lend_repeated_and_refused(channel: Channel) -> None:
    answer = channel.call("Lend", {"group": "1", "merge": 3})
    assert channel.unchanged("Lend", {"group": "1", "merge": 3}) == answer
    channel.refused("Lend", {"group": "1", "merge": 2}, "merge")
    channel.refused("Lend", {"group": "1", "merge": 4}, "merge")
    channel.refused("UpdateResources", {"group": "1", "vvc": {}}, "lent to merge 3")
    channel.call("Restore", {"group": "1", "merge": 3, "vvc": answer["vvc"]})
    for number in (1, 2, 3):
        channel.refused("Lend", {"group": "1", "merge": number}, "merge")
    channel.call("Lend", {"group": "1", "merge": 4})
    for argument in ({"group": "1_2", "merge": 1}, {"group": "9", "merge": 1}):
        channel.refused("Lend", argument, "group")
    for wrong in (0, -1, 1.0, "1", True, None, 2**53):
        channel.refused("Lend", {"group": "2", "merge": wrong}, "merge")


def test_lending_without_a_list_lends_nothing() -> None:
    channel = Channel().plan("3")
    assert channel.call("Lend", {"group": "3", "merge": 1})["vvc"] == {"8": 0.0, "9": 0.0}
    channel.call("Restore", {"group": "3", "merge": 1, "vvc": {}})
    assert channel.vvc("3") == {"8": 0.0, "9": 0.0}


def test_a_list_comes_back_after_its_bus_became_a_generator_s(channel: Channel) -> None:
    channel.call("Lend", {"group": "1", "merge": 1})
    changed = record("1")
    changed["kind"][changed["dim"].index(3)] = 2
    channel.call("InitialGrouping", changed | {"Zth": [entry for entry in changed["Zth"] if entry["bus"] != 3]})
    restore = {"group": "1", "merge": 1, "vvc": {"3": 1.25, "4": 0.5}}
    assert channel.call("Restore", restore)["vvc"] == {"3": 1.25, "4": 0.5}
    assert channel.unchanged("Restore", restore)["vvc"] == {"3": 1.25, "4": 0.5}
    assert channel.vvc("1") == {"4": 0.5}
    channel.call("InitialGrouping", record("1"))
    assert channel.vvc("1") == {"3": 1.25, "4": 0.5}


def replan(channel: Channel, *generators: int) -> None:
    """New records in which these buses hold their voltage."""
    for name in EVERY_RECORD:
        channel.call("InitialGrouping", record_where(generators, name))


def test_a_list_is_adopted_after_its_bus_became_a_generator_s(channel: Channel) -> None:
    channel.call("GlobalController", {"group": "1"})
    channel.provide("1", bus_3=1.25)
    lent = channel.call("Lend", {"group": "1", "merge": 1})["vvc"]
    replan(channel, 3, *GENERATORS)
    adopt = {"merge": 1, "group": "1", "vvc": lent} | CALL
    answer = channel.call("Adopt", adopt)
    channel.refused("Adopt", adopt | {"vvc": {"3": 1.0, "4": 1.5}}, "vvc")
    lend_and_adopt(channel, 1, "2")
    assert "3" not in channel.vvc("1_2")
    replan(channel, *GENERATORS)
    assert channel.unchanged("Adopt", adopt) == answer | {"status": "open", "components": {"1": "in", "2": "in"}}
    assert channel.vvc("1_2")["3"] == 1.25
    replan(channel, 3, *GENERATORS)
    part = channel.call("Split", {"merge": 1})["vvc"]["1"]
    assert part == {"3": 1.25, "4": 1.5}
    channel.call("Restore", {"group": "1", "merge": 1, "vvc": part})
    replan(channel, *GENERATORS)
    assert channel.vvc("1") == part


def test_a_list_is_adopted_after_a_generator_became_a_load_bus(channel: Channel) -> None:
    """The merge then names a bus of which nothing was lent; Restore takes nothing for it, under any record."""
    channel.call("GlobalController", {"group": "1"})
    lent = channel.call("Lend", {"group": "1", "merge": 1})["vvc"]
    assert lent == {"3": 1.5, "4": 1.5}
    replan(channel, 7, 12)
    adopt = {"merge": 1, "group": "1", "vvc": lent} | CALL
    channel.call("Adopt", adopt)
    replan(channel, *GENERATORS)
    assert channel.unchanged("Adopt", adopt)["components"] == {"1": "in", "2": "asked"}
    lend_and_adopt(channel, 1, "2")
    part = channel.call("Split", {"merge": 1})["vvc"]["1"]
    assert part == {"2": 0.0, "3": 1.5, "4": 1.5}
    restore: dict[str, Any] = {"group": "1", "merge": 1, "vvc": part}
    channel.refused("Restore", restore | {"vvc": part | {"2": 0.5}}, "vvc.2", "more than was lent")
    answer = channel.call("Restore", restore)
    replan(channel, 7, 12)
    assert channel.unchanged("Restore", restore) == answer
    assert channel.vvc("1") == part


def test_a_repeated_restore_fits_the_record_of_the_first(channel: Channel) -> None:
    """Between the two a generator became a load bus, of which the first said nothing."""
    channel.call("Lend", {"group": "1", "merge": 1})
    restore: dict[str, Any] = {"group": "1", "merge": 1, "vvc": {"3": 1.0, "4": 0.5}}
    answer = channel.call("Restore", restore)
    replan(channel, 7, 12)
    assert channel.unchanged("Restore", restore) == answer
    channel.refused("Restore", restore | {"vvc": {"3": 1.0}}, "vvc", "other contents")


def test_what_stands_is_adopted_after_its_bus_became_a_generator_s() -> None:
    """Also where the list leaves out the bus, of which nothing is free."""
    release: dict[str, Any] = {"release": {"v_max": 1.05, "margin": 0.02, "hold_s": 10, "dv_max": 0.02}}
    channel = Channel().plan(*EVERY_RECORD, **release)
    entry = {"bus": 3, "q_pu": 0.75, "weak": 3, "by": "1", "time": TIME_US}
    channel.call("UpdateResources", {"group": "1", "vvc": {"4": 1.0}, "standing": [entry]})
    channel.provide("2")
    channel.call("GlobalController", {"group": "1"})
    lent = channel.call("Lend", {"group": "1", "merge": 1})
    for name in EVERY_RECORD:
        channel.call("InitialGrouping", record_where((3, *GENERATORS), name, **release))
    adopt = {"merge": 1, "group": "1", "vvc": {"4": 1.0}, "standing": lent["standing"]} | CALL
    channel.refused("Adopt", adopt | {"standing": [entry | {"bus": 5}]}, "standing[0].bus")
    channel.call("Adopt", adopt)
    two = channel.call("Lend", {"group": "2", "merge": 1})
    channel.call("Adopt", {"merge": 1, "group": "2", "vvc": two["vvc"], "standing": two["standing"]} | CALL)
    split = channel.call("Split", {"merge": 1})
    assert (split["vvc"]["1"], split["standing"]["1"]) == ({"3": 0.0, "4": 1.0}, [entry])
    restore = {"group": "1", "merge": 1, "vvc": split["vvc"]["1"], "standing": split["standing"]["1"]}
    channel.call("Restore", restore)
    channel.unchanged("Restore", restore)


def test_restore_repeated_and_refused(channel: Channel) -> None:
    channel.refused("Restore", {"group": "1", "merge": 1, "vvc": {}}, "merge", "not lent")
    channel.call("Lend", {"group": "1", "merge": 2})
    channel.refused("Restore", {"group": "1", "merge": 1, "vvc": {}}, "merge")
    channel.refused("Restore", {"group": "1", "merge": 2, "vvc": {"3": 1.5000000000000002}}, "vvc.3", "more")
    channel.refused("Restore", {"group": "1", "merge": 2, "vvc": {"5": 1}}, "vvc.5")
    restore = {"group": "1", "merge": 2, "vvc": {"4": 0.5}}
    answer = channel.call("Restore", restore)
    assert answer == {"group": "1", "merge": 2, "vvc": {"3": 0.0, "4": 0.5}}
    assert channel.unchanged("Restore", restore) == answer
    channel.refused("Restore", restore | {"vvc": {"4": 0.25}}, "vvc")
    channel.call("ComputeVSI", frame("1", TIME_US, {4: 0.9}))
    left = channel.vvc("1")
    assert left["4"] < 0.5
    assert channel.unchanged("Restore", restore) == answer
    assert channel.vvc("1") == left


def test_split_repeated_and_refused(channel: Channel) -> None:
    for number in (1, 0, 1.0, "1", None):
        channel.refused("Split", {"merge": number}, "merge")
    channel.call("GlobalController", {"group": "1"})
    channel.refused("Split", {"merge": 1}, "merge", "1, 2")
    opened(channel, 1, "1", "2")
    answer = channel.call("Split", {"merge": 1})
    assert channel.unchanged("Split", {"merge": 1}) == answer
    channel.call("Restore", {"group": "2", "merge": 1, "vvc": answer["vvc"]["2"]})
    channel.call("Close", {"merge": 1, "group": "2", "tx_id": "t"})
    again = channel.unchanged("Split", {"merge": 1})
    assert again == answer | {"components": {"1": "out", "2": "back"}}


def test_close_repeated_and_refused(channel: Channel) -> None:
    close: dict[str, Any] = {"merge": 1, "group": "1", "tx_id": "t"}
    channel.refused("Close", close, "merge")
    channel.call("GlobalController", {"group": "1"})
    channel.refused("Close", close, "merge", "gathering")
    opened(channel, 1, "1", "2")
    channel.refused("Close", close, "merge", "open")
    channel.call("Split", {"merge": 1})
    channel.refused("Close", close | {"group": "3"}, "group")
    channel.refused("Close", close | {"tx_id": "x" * 129}, "tx_id")
    answer = channel.call("Close", close)
    assert channel.unchanged("Close", close) == answer
    channel.refused("Close", close | {"tx_id": "u"}, "tx_id")
    channel.call("Close", close | {"group": "2"})
    assert channel.unchanged("Close", close)["status"] == "closed"


def test_alarms_while_lent_and_when_the_merge_is_over(channel: Channel) -> None:
    """Merged ids have power only while their merge is open."""
    channel.call("GlobalController", {"group": "1"})
    assert channel.call("ComputeVSI", frame("1_2", TIME_US, {6: 0.9}))["outcome"] == "escalate"
    opened(channel, 1, "1", "2")
    assert channel.call("ComputeVSI", frame("1", TIME_US, {3: 0.9}))["outcome"] == "lent"
    assert channel.call("ComputeVSI", frame("2", TIME_US, {6: 0.9}))["outcome"] == "lent"
    assert channel.call("ComputeVSI", frame("1_2", TIME_US + 1, {6: 0.9}))["outcome"] == "injected"
    channel.call("Split", {"merge": 1})
    assert channel.call("ComputeVSI", frame("1_2", TIME_US + 2, {6: 0.9}))["outcome"] == "escalate"


def test_a_record_replaced_while_lent_loses_nothing(channel: Channel) -> None:
    """Group 3 without bus 8 as load: what bus 8 had comes along, stays out of use, and goes back."""
    channel.call("GlobalController", {"group": "3"})
    assert lend_and_adopt(channel, 1, "3")["group"] == "1_3"
    lend_and_adopt(channel, 1, "1")
    smaller = record("1_3")
    smaller["kind"][smaller["dim"].index(8)] = 2
    channel.call("InitialGrouping", smaller)
    assert "8" not in channel.vvc("1_3")
    assert channel.call("Split", {"merge": 1})["vvc"]["3"] == {"8": 1.5, "9": 1.5}


def test_the_same_bus_in_two_components_is_refused(channel: Channel) -> None:
    channel.call("GlobalController", {"group": "2"})
    lend_and_adopt(channel, 1, "1")
    channel.call("InitialGrouping", record("1") | {"id": "2", "adjacent": ["1"]})
    channel.refused("Adopt", {"merge": 1, "group": "2", "vvc": {"3": 1}} | CALL, "vvc.3")


def test_resources_of_a_merged_id_cannot_be_set(channel: Channel) -> None:
    channel.refused("UpdateResources", {"group": "1_2", "vvc": {}}, "group")
    channel.refused("UpdateResources", {"group": "7", "vvc": {}}, "group")
    channel.refused("UpdateResources", {"group": "1", "vvc": {"2": 1}}, "vvc.2")
    channel.refused("UpdateResources", {"group": "1"}, "vvc: is missing")
