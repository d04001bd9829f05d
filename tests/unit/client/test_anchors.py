"""A chain beside its anchors: what agrees, what was changed, and one block by its path."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridledger.client.anchors import (
    Anchor,
    AnchorsLedger,
    AnchorStatus,
    ChannelMembers,
    NotAnchored,
    compare,
    is_anchored,
    read_tree,
)
from gridledger.client.testing import FakeGateway
from gridledger.errors import CorruptionError, MalformedMessage
from gridledger.protocol.statements import Head
from tests.support.anchored_peer import AnchoredPeer, headers
from tests.support.anchors_channel import ANCHORS, FORGED, GENESIS, HONEST
from tests.support.paper import PaperNetwork


def anchors_of(sizes: list[int]) -> list[Anchor]:
    return [Anchor("shard1", size, Head(**HONEST.head(size)), ("Org1MSP", "Org2MSP"), None, 0) for size in sizes]


def test_a_chain_has_every_anchored_root_or_the_blocks_are_named() -> None:
    anchors = anchors_of([5, 20, 30, 64])
    anchors.append(replace(anchors[3], size=70))
    assert compare(HONEST.tree, anchors) == (4, 64, 1)
    with pytest.raises(NotAnchored, match="blocks 20 to 29 were changed after Org1MSP, Org2MSP attested") as caught:
        compare(FORGED.tree, anchors)
    assert caught.value.details["blocks"] == [20, 29]
    assert compare(FORGED.tree, anchors[:2]) == (2, 20, 0)


async def test_a_tree_is_read_page_by_page() -> None:
    peer = AnchoredPeer(PaperNetwork(), 12)
    tree, last = await read_tree(peer)
    assert (tree.size, last, peer.asked) == (12, peer.items[-1], 3)
    tree, last = await read_tree(peer, most=7)
    assert (tree.size, last) == (7, peer.items[6])
    anchor = Anchor("shard1", 7, Head(tree.root().hex(), "", ""), (), None, 0)
    path = tree.inclusion(3, 7)
    assert is_anchored(peer.items[3], path, anchor)
    assert not is_anchored(peer.items[4], path, anchor)
    assert not is_anchored(replace(peer.items[3], commit_hash="0" * 64), path, anchor)
    assert not is_anchored(peer.items[3], path, replace(anchor, channel="shard2"))
    peer.items = headers(12, other_from=0)[:5] + peer.items[5:]
    with pytest.raises(CorruptionError, match="block 5 does not follow"):
        await read_tree(peer)
    peer.items = []
    with pytest.raises(CorruptionError, match="no block"):
        await read_tree(peer)


async def test_the_contract_is_called_as_it_is() -> None:
    gateway = FakeGateway({"anchors": ANCHORS}, channel="mainchain", attributes={"anchor.role": "agent"})
    network = gateway.get_network("mainchain")
    ledger = AnchorsLedger(network.get_contract("anchors"), network)
    assert (await ledger.status("shard1")).size == 0
    members = ChannelMembers(("Org1MSP",), GENESIS)
    await ledger.set_members("shard1", members)
    for first, size in ((0, 10), (10, 30)):
        proof = [bytes.fromhex(item) for item in HONEST.proof(first, size)]
        said = Head(**HONEST.head(size))
        answer = await ledger.attest("shard1", size, said, height=size, consistency=proof, opens=True)
        assert not answer["anchored"]
        (one,) = (await ledger.status("shard1")).rounds
        assert (one.mspid, one.size, one.said) == ("Org1MSP", size, {"Org1MSP": said})
        assert (await ledger.conclude("shard1", size, consistency=proof))["anchored"]
    status = await ledger.status("shard1")
    assert (status.members, status.size, status.forks, status.rounds) == (members, 30, 0, ())
    assert await ledger.statuses() == [status]
    assert await ledger.anchor("shard1") == status.final
    found = [anchor async for anchor in ledger.anchors("shard1")]
    assert [anchor.size for anchor in found] == [10, 30]
    assert found[1].previous == (10, HONEST.root(10))
    assert await ledger.anchor("shard1", 5) == found[0]
    assert await ledger.forks("shard1") == []
    assert compare(HONEST.tree, found).agree == 2


@pytest.mark.parametrize("told", [None, [], {}, {"channel": 1}, {"channel": "c", "members": 1, "final": 1, "forks": 1}])
def test_what_is_no_status_is_one_error(told: Any) -> None:
    with pytest.raises(MalformedMessage):
        AnchorStatus.from_dict(told)
