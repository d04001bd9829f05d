"""Which organisations belong to a channel: in force when a majority of those before says so."""

from __future__ import annotations

import pytest

from tests.support.anchors_channel import GENESIS, AnchorsChannel, agent, mspid


def organisations(channel: AnchorsChannel) -> list[str] | None:
    members = channel.status["members"]
    return None if members is None else list(members["organisations"])


def test_a_first_list_is_in_force_with_a_majority_of_those_that_it_names() -> None:
    channel = AnchorsChannel()
    assert not channel.say(1, (1, 2, 3))["in_force"]
    assert channel.event()[0] == "MembersSaid"
    assert organisations(channel) is None
    assert channel.say(3, (1, 2, 3))["in_force"]
    assert channel.event()[0] == "MembersSet"
    assert organisations(channel) == [mspid(n) for n in (1, 2, 3)]
    assert channel.call("GetMembers", {"channel": "shard1"})["genesis"] == GENESIS
    assert channel.say(2, (1, 2, 3))["in_force"]


def test_two_of_two_must_say_it() -> None:
    channel = AnchorsChannel()
    assert not channel.say(1, (1, 2))["in_force"]
    assert not channel.say(1, (1, 2))["in_force"]
    assert not channel.say(3, (1, 2, 3))["in_force"]  # of another list
    assert channel.say(2, (1, 2))["in_force"]


def test_a_change_is_in_force_with_a_majority_of_those_before() -> None:
    channel = AnchorsChannel(3)
    assert not channel.say(4, (1, 2, 3, 4))["in_force"]  # who comes does not count yet
    assert not channel.say(1, (1, 2, 3, 4))["in_force"]
    assert channel.say(2, (1, 2, 3, 4))["in_force"]
    assert organisations(channel) == [mspid(n) for n in (1, 2, 3, 4)]
    for number in (1, 2):
        assert not channel.say(number, (1, 2))["in_force"]
    assert channel.say(4, (1, 2))["in_force"]  # who goes counts still
    assert organisations(channel) == [mspid(1), mspid(2)]


def test_what_cannot_be_said_is_refused() -> None:
    channel = AnchorsChannel(2)
    said = {"channel": "shard1", "organisations": [mspid(1), mspid(2)], "genesis": GENESIS}
    channel.refused("SetMembers", said | {"genesis": "1" * 64}, "genesis: block 0 of shard1 is")
    channel.refused("SetMembers", said, "caller: Org3MSP is no organisation", caller=agent(3))
    channel.refused("SetMembers", said, "caller: who belongs", "anchor.role", caller=agent(1, None))
    assert channel.call("SetMembers", said, agent(1, "registrar"))["in_force"]
    channel.refused("SetMembers", said | {"channel": "simulate"}, "channel: simulate keeps the anchors")
    channel.refused("SetMembers", said | {"genesis": "x"}, "genesis: must be 64")
    channel.refused("SetMembers", {"channel": "shard1"}, "organisations: is missing")


@pytest.mark.parametrize(
    "names", [[], "Org1MSP", [1], ["a/b"], ["B", "A"], ["A", "A"], [f"O{n:03d}" for n in range(65)]]
)
def test_a_list_of_organisations_has_one_form(names: object) -> None:
    channel = AnchorsChannel()
    channel.refused(
        "SetMembers", {"channel": "shard1", "organisations": names, "genesis": GENESIS}, "organisations: must"
    )


@pytest.mark.parametrize("name", ["", "a/b", ".x", None, "x" * 129])
def test_a_channel_has_a_name(name: object) -> None:
    AnchorsChannel().refused("GetMembers", {"channel": name}, "channel: must be a channel's name")
