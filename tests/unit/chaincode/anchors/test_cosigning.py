"""SetAgent and Cosign: signed statements of several organisations in one transaction, each checked by its own key."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.support.anchors_channel import FORGED, HONEST, AnchorsChannel, Chain, S, agent, mspid, url


@pytest.fixture
def channel() -> AnchorsChannel:
    made = AnchorsChannel(3)
    made.register(1, 2, 3, 9)
    return made


def refused(channel: AnchorsChannel, one: dict[str, Any], *names: str) -> None:
    channel.refused("Cosign", {"rounds": [one]}, *names)


def test_a_majority_of_statements_is_an_anchor_in_one_transaction(channel: AnchorsChannel) -> None:
    (done,) = channel.cosign(channel.round(10, {1: HONEST, 2: HONEST}))
    assert done == {"channel": "shard1", "size": 10, "anchored": True, "forked": False, "refused": None}
    assert channel.event() == ("Cosigned", {"rounds": [done]})
    final = channel.final
    assert (final["size"], final["organisations"], final["root"]) == (10, [mspid(1), mspid(2)], HONEST.root(10))
    record = channel.stored("attest/shard1/000000000010/Org1MSP")
    assert record.items() >= {"mspid": mspid(1), "base": 0, **HONEST.head(10)}.items()
    assert record["signature"] == channel.signed(1, 10, base=0)
    channel.cosign(channel.round(25, {3: HONEST, 1: HONEST}))
    assert channel.final["previous"] == {"size": 10, "root": HONEST.root(10)}


def test_rounds_of_several_channels_are_judged_one_by_one(channel: AnchorsChannel) -> None:
    first = channel.round(10, {1: HONEST, 2: HONEST})
    channel.channel = "shard2"
    for number in (1, 2):
        channel.say(number, (1, 2))
    second = channel.round(7, {1: HONEST, 2: HONEST})
    third = channel.round(8, {1: HONEST})
    done = channel.cosign(first, second | {"base": 3})
    assert [one["anchored"] for one in done] == [True, False]
    assert "base: shard2 is anchored at 0" in done[1]["refused"]
    assert channel.event() == ("Cosigned", {"rounds": [done[0]]})
    assert channel.final is None
    channel.refused("Cosign", {"rounds": [second, third]}, "rounds: must be of different channels")
    assert channel.cosign(second)[0]["anchored"]


def test_a_statement_counts_with_what_is_attested_already(channel: AnchorsChannel) -> None:
    channel.attest(2, 10, opens=True)
    refused(channel, channel.round(11, {1: HONEST}), "heads: of shard1 at 11 there is nothing new", "1 said")
    assert channel.cosign(channel.round(10, {1: HONEST}))[0]["anchored"]
    assert channel.final["organisations"] == [mspid(1), mspid(2)]


def test_two_signed_heads_are_a_fork_with_and_without_a_majority(channel: AnchorsChannel) -> None:
    (done,) = channel.cosign(channel.round(30, {1: HONEST, 2: FORGED}))
    assert (done["anchored"], done["forked"]) == (False, True)
    (fork,) = channel.call("ListForks", {"channel": "shard1"})["items"]
    assert sorted(each["organisations"] for each in fork["heads"]) == [[mspid(1)], [mspid(2)]]
    refused(channel, channel.round(30, {1: HONEST, 2: FORGED}), "heads: of shard1 at 30 there is nothing new")
    (done,) = channel.cosign(channel.round(40, {1: HONEST, 2: FORGED, 3: HONEST}))
    assert (done["anchored"], done["forked"], channel.final["organisations"]) == (True, True, [mspid(1), mspid(3)])
    assert channel.status["forks"]["count"] == 2


def test_a_signed_head_against_an_earlier_word_is_a_fork_and_does_not_count(channel: AnchorsChannel) -> None:
    channel.attest(2, 30, opens=True)
    (done,) = channel.cosign(channel.round(30, {1: FORGED, 2: FORGED}, proof=FORGED))
    assert (done["anchored"], done["forked"], channel.final) == (False, True, None)
    assert channel.cosign(channel.round(30, {3: HONEST}))[0]["anchored"]
    (fork,) = channel.call("ListForks", {"channel": "shard1"})["items"]
    by_root = {each["root"]: each["organisations"] for each in fork["heads"]}
    assert by_root == {HONEST.root(30): [mspid(2), mspid(3)], FORGED.root(30): [mspid(1), mspid(2)]}


def test_a_changed_past_is_refused_whoever_signs_it(channel: AnchorsChannel) -> None:
    channel.cosign(channel.round(30, {1: HONEST, 2: HONEST}))
    all_lie = dict.fromkeys((1, 2, 3), FORGED)
    for proof in (FORGED, HONEST):
        refused(channel, channel.round(40, all_lie, proof=proof), "consistency: does not show", "past was changed")
    refused(channel, channel.round(40, all_lie, base=0, proof=FORGED), "base: shard1 is anchored at 30")
    refused(channel, channel.round(30, all_lie, proof=FORGED), "size: shard1 is anchored at 30")


@pytest.mark.parametrize(
    "change", [{"size": 11}, {"root": "0" * 64}, {"commit_hash": "0" * 64}, {"channel": "shard2"}, {"base": 3}]
)
def test_a_signature_is_of_one_statement(channel: AnchorsChannel, change: dict[str, Any]) -> None:
    if "channel" in change:
        channel.channel = "shard2"
        for number in (1, 2):
            channel.say(number, (1, 2))
        channel.channel = "shard1"
    one = channel.round(10, {1: HONEST, 2: HONEST})
    if "base" in change:  # signed when nothing was anchored, handed over when something is
        channel.cosign(channel.round(3, {1: HONEST, 2: HONEST}))
        one["consistency"] = HONEST.proof(3, 10)
    (head,) = one["heads"]
    one |= {name: value for name, value in change.items() if name in one}
    head |= {name: value for name, value in change.items() if name in head}
    refused(channel, one, "signature: of Org1MSP is not of this statement")


def test_a_replaced_key_signs_no_more(channel: AnchorsChannel) -> None:
    old = channel.round(10, {1: HONEST, 2: HONEST})
    channel.refused("SetAgent", {"url": url(1)}, "caller: the agent of Org1MSP", caller=agent(1, key=1))
    channel.register(1, key=1)
    refused(channel, old, "signature: of Org1MSP is not of this statement by the key")
    channel.now_us += 60 * S
    channel.call("SetAgent", {"url": None}, agent(1, "registrar"))
    refused(channel, old, "signature: Org1MSP has no agent on record")
    channel.refused("SetAgent", {"url": None}, "caller: an agent is taken back", caller=agent(2, None))


def test_agents_are_on_record(channel: AnchorsChannel) -> None:
    page = channel.call("ListAgents", {"limit": 2})
    assert [(one["mspid"], one["url"]) for one in page["items"]] == [(mspid(1), url(1)), (mspid(2), url(2))]
    assert page["items"][0]["key"].startswith("-----BEGIN PUBLIC KEY-----")
    rest = channel.call("ListAgents", {"bookmark": page["bookmark"]})
    assert [one["mspid"] for one in rest["items"]] == [mspid(3), mspid(9)]
    channel.refused("SetAgent", {"url": url(4)}, "anchor.role", caller=agent(4, "registrar"))
    for wrong in ("http://agent:1", "https://a/b", "https://" + "a" * 300, 5, "https://u@h"):
        channel.refused("SetAgent", {"url": wrong}, "url: must be an address", caller=agent(4))


@pytest.mark.parametrize(
    ("change", "named"),
    [
        ({"size": 0}, "size: must lie"),
        ({"base": -1}, "base: must lie"),
        ({"consistency": None}, "consistency: must be an array"),
        ({"heads": []}, "heads: must be an array of 1 to 64"),
        ({"heads": [{}]}, "heads[0].root: is missing"),
        ({"more": 1}, "rounds[0].more: is no field"),
    ],
)
def test_what_is_no_round_is_refused_by_its_field(channel: AnchorsChannel, change: dict[str, Any], named: str) -> None:
    refused(channel, channel.round(10, {1: HONEST, 2: HONEST}) | change, named)


@pytest.mark.parametrize("signature", [None, "zz", "AB", "ab" * 73, "", "30" * 70, "é"])
def test_what_is_no_signature_is_refused(channel: AnchorsChannel, signature: Any) -> None:
    one = channel.round(10, {1: HONEST, 2: HONEST})
    one["heads"][0]["signatures"][0]["signature"] = signature
    refused(channel, one, "signature: ")


def test_who_may_be_named_and_how_much_is_taken(channel: AnchorsChannel) -> None:
    refused(channel, channel.round(10, {1: HONEST, 9: HONEST}), "mspid: Org9MSP is no organisation of shard1")
    twice = channel.round(10, {1: HONEST, 2: HONEST})
    twice["heads"].append(channel.round(10, {1: FORGED})["heads"][0])
    refused(channel, twice, "mspid: Org1MSP is named twice")
    one = channel.round(10, {1: HONEST, 2: HONEST})
    channel.refused("Cosign", {"rounds": [one]}, "anchor.role", caller=agent(1, None))
    channel.refused("Cosign", {"rounds": []}, "rounds: must be an array of 1 to 32")
    many = [one | {"channel": f"c{number}"} for number in range(32)]
    signatures = [{"mspid": f"O{number}", "signature": "30"} for number in range(9)]
    for each in many:
        each["heads"] = [{**HONEST.head(10), "signatures": signatures}]
    channel.refused("Cosign", {"rounds": many}, "rounds: have more than 256 statements")


Steps = st.lists(
    st.tuples(st.integers(1, 40), st.sets(st.integers(1, 4), min_size=1), st.booleans(), st.booleans()), max_size=20
)


@settings(max_examples=25, deadline=None)
@given(steps=Steps, liars=st.sets(st.integers(1, 4), max_size=4))
def test_cosigned_anchors_never_contradict_each_other(
    steps: list[tuple[int, set[int], bool, bool]], liars: set[int]
) -> None:
    """Whatever any of four organisations sign, beside attesting alone: each anchor begins with those before; and
    without a majority of liars it is the honest chain's."""
    channel = AnchorsChannel(4)
    channel.register(1, 2, 3, 4)
    chains: dict[str, Chain] = {}
    for size, signers, lie, alone in steps:
        said = {number: FORGED if lie and number in liars else HONEST for number in sorted(signers)}
        first = (channel.final or {"size": 0})["size"]
        if alone and size >= first:
            number, chain = next(iter(said.items()))
            channel.ask("Attest", channel.attesting(size, chain, first=first, conclude=True), agent(number))
        elif size >= first:
            for proof in {id(chain): chain for chain in said.values()}.values():
                channel.ask("Cosign", {"rounds": [channel.round(size, said, proof=proof)]}, agent(1))
        final = channel.final
        if final is not None:
            chains[final["root"]] = HONEST if final["root"] == HONEST.root(final["size"]) else FORGED
    anchors = channel.call("ListAnchors", {"channel": "shard1"})["items"]
    for before, after in pairwise(anchors):
        assert chains[after["root"]].root(before["size"]) == before["root"]
    if len(liars) < 2:
        assert all(anchor["root"] == HONEST.root(anchor["size"]) for anchor in anchors)
