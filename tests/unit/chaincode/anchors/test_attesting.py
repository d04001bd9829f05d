"""Attest and Conclude: a majority with one head at one size that begins with the last final one, and nothing else."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.anchors_channel import FORGED, HONEST, AnchorsChannel, Chain, agent, mspid


@pytest.fixture
def channel() -> AnchorsChannel:
    return AnchorsChannel(3)


def test_a_majority_with_one_head_is_final(channel: AnchorsChannel) -> None:
    said = channel.attest(1, 10, opens=True)
    assert (said["base"], said["anchored"], said["forked"], channel.event()[0]) == (0, False, False, "Attested")
    assert channel.status["final"] is None
    (opened,) = channel.status["rounds"]
    assert (opened["mspid"], opened["size"], [one["mspid"] for one in opened["said"]]) == (mspid(1), 10, [mspid(1)])
    assert channel.attest(2, 10, conclude=True)["anchored"]
    assert channel.event()[0] == "Anchored"
    final = channel.final
    assert final == {
        "channel": "shard1",
        "size": 10,
        **HONEST.head(10),
        "organisations": [mspid(1), mspid(2)],
        "previous": None,
        "time_us": channel.now_us - 1,
    }
    assert channel.status["rounds"] == []
    assert channel.call("GetAnchor", {"channel": "shard1", "size": 3}) == final
    channel.anchor(25, (3, 1))
    assert channel.final["previous"] == {"size": 10, "root": HONEST.root(10)}


def test_a_round_that_nobody_has_ended_is_concluded(channel: AnchorsChannel) -> None:
    channel.attest(1, 10, opens=True)
    ask = {"channel": "shard1", "size": 10, "consistency": []}
    channel.refused("Conclude", ask, "size: of shard1 at 10 there is nothing new", "2 must say the same", mspid(1))
    channel.attest(2, 10)
    assert channel.call("Conclude", ask, agent(3)) == {
        "channel": "shard1",
        "size": 10,
        "anchored": True,
        "forked": False,
    }
    channel.refused("Conclude", ask, "nothing new")
    channel.refused("Conclude", ask, "anchor.role", caller=agent(1, "registrar"))


def test_two_heads_at_one_size_are_both_kept_and_the_next_round_goes_on(channel: AnchorsChannel) -> None:
    channel.anchor(10)
    channel.attest(1, 30, opens=True)
    assert channel.attest(2, 30, FORGED, conclude=True)["forked"]  # from block 20 on: consistent with 10
    assert channel.event()[0] == "Forked"
    (fork,) = channel.call("ListForks", {"channel": "shard1"})["items"]
    assert sorted(fork["heads"], key=lambda head: head["organisations"]) == [
        {**HONEST.head(30), "organisations": [mspid(1)]},
        {**FORGED.head(30), "organisations": [mspid(2)]},
    ]
    assert (channel.status["forks"]["count"], channel.final["size"]) == (1, 10)
    assert channel.attest(3, 30, conclude=True) | {} == channel.event()[1]
    assert (channel.final["size"], channel.final["organisations"]) == (30, [mspid(1), mspid(3)])
    (fork,) = channel.call("ListForks", {"channel": "shard1"})["items"]
    assert sum(len(head["organisations"]) for head in fork["heads"]) == 3
    assert channel.status["forks"]["count"] == 1


def test_who_contradicts_the_last_anchor_is_on_record(channel: AnchorsChannel) -> None:
    channel.anchor(10)
    channel.anchor(30)
    channel.refused("Attest", channel.attesting(30, first=10), "anchored at 30 with this head", caller=agent(3))
    assert channel.attest(3, 30, FORGED, first=10)["forked"]
    assert channel.status["forks"]["size"] == 30
    assert channel.final["organisations"] == [mspid(1), mspid(2)]
    channel.refused("Attest", channel.attesting(9, FORGED, first=0), "lies above that", caller=agent(3))


def test_a_changed_past_is_refused_whoever_says_it(channel: AnchorsChannel) -> None:
    channel.anchor(30)
    for first in (10, 30):
        forged = channel.attesting(40, FORGED, first=first)
        channel.refused("Attest", forged, "consistency: does not show", "past was changed")
    with_honest_proof = channel.attesting(40, FORGED) | {"consistency": HONEST.proof(30, 40)}
    channel.refused("Attest", with_honest_proof, "consistency")
    channel.refused("Attest", channel.attesting(40) | {"consistency": []}, "consistency")


def test_an_attestation_from_before_the_last_anchor_is_judged_by_the_last_one() -> None:
    """All who belong to a channel prepare a forged head, let the true one be final, and then end the forged round."""
    channel = AnchorsChannel(2)
    channel.anchor(10)
    for number in (1, 2):
        channel.attest(number, 40, FORGED)
    channel.anchor(30)
    for first, chain in ((10, FORGED), (30, FORGED), (30, HONEST)):
        ask = {"channel": "shard1", "size": 40, "consistency": chain.proof(first, 40)}
        channel.refused("Conclude", ask, "consistency: does not show")
    assert channel.final["size"] == 30


def test_an_organisation_says_one_thing_at_one_size(channel: AnchorsChannel) -> None:
    channel.attest(1, 30)
    again = channel.attest(1, 30)
    assert again["time_us"] > channel.stored("attest/shard1/000000000030/Org1MSP")["time_us"]
    channel.refused("Attest", channel.attesting(30, FORGED), "root: Org1MSP has attested another head")
    channel.refused("Attest", channel.attesting(30) | {"commit_hash": "0" * 64}, "root: Org1MSP has")


def test_a_round_is_replaced_by_a_larger_one_only(channel: AnchorsChannel) -> None:
    channel.attest(1, 30, opens=True)
    channel.refused("Attest", channel.attesting(20, opens=True), "size: Org1MSP has opened a round at 30")
    channel.attest(1, 20)  # joins somebody else's
    channel.attest(1, 40, opens=True)
    assert [one["size"] for one in channel.status["rounds"]] == [40]


def test_a_huge_size_stands_in_nobodys_way(channel: AnchorsChannel) -> None:
    huge = channel.attesting(50, FORGED) | {"size": 10**11, "height": 10**11, "opens": True, "conclude": True}
    channel.call("Attest", huge, agent(3))
    channel.attest(1, 10, opens=True)
    assert channel.attest(2, 10, conclude=True)["anchored"]
    assert [one["size"] for one in channel.status["rounds"]] == [10**11]


def test_who_may_attest(channel: AnchorsChannel) -> None:
    said = channel.attesting(10)
    channel.refused("Attest", said, "anchor.role", caller=agent(1, None))
    channel.refused("Attest", said, "anchor.role", caller=agent(1, "registrar"))
    channel.refused("Attest", said, "caller: Org4MSP is no organisation of shard1", caller=agent(4))
    channel.refused("Attest", said | {"channel": "shard9"}, "channel: nothing says yet")


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": 0}, "size: must lie"),
        ({"size": 10**12}, "size: must lie"),
        ({"size": "10"}, "size: must be an integer"),
        ({"height": 9}, "height: must lie"),
        ({"root": "AB" * 32}, "root: must be 64"),
        ({"header_hash": None}, "header_hash: must be 64"),
        ({"consistency": ["00" * 32]}, "consistency: must be empty"),
        ({"consistency": ["00" * 32] * 65}, "consistency: must be an array"),
        ({"consistency": [1]}, "consistency[0]"),
        ({"opens": 1}, "opens: must be true or false"),
        ({"more": 1}, "more: is no field"),
    ],
)
def test_what_is_no_attestation_is_refused_by_its_field(
    channel: AnchorsChannel, change: dict[str, Any], named: str
) -> None:
    channel.refused("Attest", channel.attesting(10) | change, named)


def test_organisations_that_attest_at_once_do_not_conflict(channel: AnchorsChannel) -> None:
    results = [channel.endorse("Attest", channel.attesting(10, opens=True), agent(number)) for number in (1, 2, 3)]
    assert [channel.order(result) for result in results] == [True] * 3
    both = [
        channel.endorse("Conclude", {"channel": "shard1", "size": 10, "consistency": []}, agent(number))
        for number in (1, 2)
    ]
    assert [channel.order(result) for result in both] == [True, False]


def test_of_two_that_would_end_one_round_one_is_told_to_look_again(channel: AnchorsChannel) -> None:
    channel.attest(1, 10, opens=True)
    results = [channel.endorse("Attest", channel.attesting(10, conclude=True), agent(number)) for number in (2, 3)]
    assert [channel.order(result) for result in results] == [True, False]
    assert channel.final["organisations"] == [mspid(1), mspid(2)]


def test_lists_come_in_pages(channel: AnchorsChannel) -> None:
    for size in (5, 10, 15):
        channel.anchor(size)
    page = channel.call("ListAnchors", {"channel": "shard1", "limit": 2})
    assert [item["size"] for item in page["items"]] == [5, 10]
    rest = channel.call("ListAnchors", {"channel": "shard1", "bookmark": page["bookmark"]})
    assert ([item["size"] for item in rest["items"]], rest["bookmark"]) == ([15], None)
    assert channel.call("GetAnchor", {"channel": "shard1", "size": 6})["size"] == 10
    channel.refused("GetAnchor", {"channel": "shard1", "size": 16}, "no anchor of 16 blocks or more")
    channel.refused("GetAnchor", {"channel": "shard2"}, "shard2 is not anchored yet")
    channel.refused("ListAnchors", {"channel": "shard1", "bookmark": "x"}, "bookmark")
    channel.channel = "shard2"
    for number in (4, 5):
        channel.say(number, (4, 5))
    page = channel.call("GetStatus", {"limit": 1})
    assert ([item["channel"] for item in page["items"]], page["bookmark"]) == (["shard1"], "shard2")
    rest = channel.call("GetStatus", {"bookmark": "shard2"})
    assert ([item["channel"] for item in rest["items"]], rest["bookmark"]) == (["shard2"], None)


Steps = st.lists(
    st.tuples(st.integers(1, 4), st.integers(1, 40), st.booleans(), st.sampled_from(["attest", "end", "conclude"])),
    max_size=40,
)


@settings(max_examples=40, deadline=None)
@given(steps=Steps, liars=st.sets(st.integers(1, 4), max_size=4))
def test_anchors_never_contradict_each_other(steps: list[tuple[int, int, bool, str]], liars: set[int]) -> None:
    """Whatever any of four organisations say, all of them liars too: one anchor a size, each beginning with those
    before; and without a majority of liars, those of the honest chain."""
    channel = AnchorsChannel(4)
    chains: dict[str, Chain] = {}
    for number, size, lies, step in steps:
        chain = FORGED if lies and number in liars else HONEST
        final = channel.final
        first = 0 if final is None else final["size"]
        if step == "conclude":
            proof = chain.proof(first, size) if size >= first else []
            channel.ask("Conclude", {"channel": "shard1", "size": size, "consistency": proof}, agent(number))
        elif size >= first:
            argument = channel.attesting(size, chain, first=first, conclude=step == "end")
            channel.ask("Attest", argument, agent(number))
        after = channel.final
        if after != final:
            chains[after["root"]] = FORGED if after["root"] != HONEST.root(after["size"]) else HONEST
    anchors = channel.call("ListAnchors", {"channel": "shard1"})["items"]
    for before, after in pairwise(anchors):
        assert after["previous"] == {"size": before["size"], "root": before["root"]}
        chain = chains[after["root"]]
        assert chain.root(before["size"]) == before["root"]
    if len(liars) < 2:
        assert all(anchor["root"] == HONEST.root(anchor["size"]) for anchor in anchors)
