"""Event streams of the SDK: each event once and in order, over connections that break, on a clock that is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.client.checkpoints import MemoryCheckpointer
from gridledger.client.events import block_events, chaincode_events, full_block_events
from gridledger.client.failover import Gateways
from gridledger.errors import (
    BusyError,
    CorruptionError,
    MalformedFrames,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)
from gridledger.protocol.block import Block
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.events import BlockEvent, ChaincodeEvent, FullBlockEvent
from gridledger.transport.node_client import ConnectionFailed
from tests.simulation import virtual_loop
from tests.support.paper import PaperNetwork, PaperPeer
from tests.unit.client.paper_member import PaperMember

DOWN = UnavailableError("down")


def event(block: int, tx_id: str) -> ChaincodeEvent:
    return ChaincodeEvent("c", "kv", "Put", None, tx_id, block, 0, 5)


def block(number: int) -> BlockEvent:
    return BlockEvent("c", number, "h", 5, "x", ("t",), (Code.VALID,))


class Node:
    """A peer that serves one connection after the other: events, then an error or (None) the stream's end."""

    base_url = "https://localhost:1"

    def __init__(self, *connections: list[Any]) -> None:
        self.connections = list(connections)
        self.opened: list[dict[str, str]] = []
        self.opened_at: list[float] = []
        self.height = 7

    async def lines(self, path: str, *, params: dict[str, str]) -> AsyncIterator[bytes]:
        self.opened.append(params)
        self.opened_at.append(asyncio.get_running_loop().time())
        for item in self.connections.pop(0):
            if isinstance(item, Exception):
                raise item
            yield jsontext.dumps(item.to_dict())

    async def frames(self, path: str, *, params: dict[str, str]) -> AsyncIterator[bytes]:
        assert path == "/channels/shard1/events/full-blocks"
        self.opened.append(params)
        for item in self.connections.pop(0):
            if isinstance(item, Exception):
                raise item
            yield item.to_bytes()

    async def get_json(self, path: str) -> dict[str, Any]:
        assert path == "/channels/c"
        self.height += 1
        return ChainInfo("c", self.height - 1, "x", "h", 5, 9, 0, 100).to_dict()


def at(*nodes: Node) -> Gateways:
    """A client's way to these peers."""
    members: Any = [PaperMember(node=node) for node in nodes]
    return Gateways(members)


def of_chaincode(*nodes: Any, **options: Any) -> AsyncIterator[ChaincodeEvent]:
    return chaincode_events(at(*nodes), "c", "kv", **({"start_block": 3, "name": None, "checkpointer": None} | options))


def of_blocks(*nodes: Any, **options: Any) -> AsyncIterator[BlockEvent]:
    return block_events(at(*nodes), "c", **({"start_block": 3, "checkpointer": None} | options))


def taken(events: AsyncIterator[Any], count: int) -> list[Any]:
    """The next events, in virtual time."""
    found: list[Any] = []

    async def take() -> None:
        async with asyncio.timeout(1000):
            found.extend([await anext(events) for _ in range(count)])

    virtual_loop.run(take)
    return found


@pytest.mark.parametrize("fault", [DOWN, BusyError("full"), MalformedFrames("cut short"), None])
def test_a_broken_stream_goes_on_behind_the_last_event(fault: Exception | None) -> None:
    a, b, c, d = event(3, "a"), event(3, "b"), event(3, "c"), event(4, "d")
    node = Node([a, b, *([fault] if fault else [])], [a, b, c, d])
    assert taken(of_chaincode(node), 4) == [a, b, c, d]
    assert [params["from"] for params in node.opened] == ["3", "3"]


def test_blocks_go_on_with_the_next_one() -> None:
    node = Node([block(3), block(4), DOWN], [DOWN], [block(5)])
    assert taken(of_blocks(node), 3) == [block(3), block(4), block(5)]
    assert [params["from"] for params in node.opened] == ["3", "5", "5"]


def test_from_now_on_means_the_same_after_a_break() -> None:
    node = Node([DOWN], [DOWN], [block(7)])
    assert taken(of_blocks(node, start_block=None), 1) == [block(7)]
    assert [params["from"] for params in node.opened] == ["7", "7", "7"]


def test_a_checkpoint_goes_before_the_start_block() -> None:
    checkpointer = MemoryCheckpointer()
    checkpointer.checkpoint_transaction(5, "b")
    node = Node([event(5, "a"), event(5, "b"), event(5, "c")])
    assert taken(of_chaincode(node, checkpointer=checkpointer), 1) == [event(5, "c")]
    assert node.opened[0]["from"] == "5"
    checkpointer.checkpoint_block(8)
    node = Node([block(9)])
    assert taken(of_blocks(node, checkpointer=checkpointer), 1) == [block(9)]


def test_only_the_checkpoints_own_block_is_skipped() -> None:
    """Its transaction may have no event of the name that is asked for now."""
    checkpointer = MemoryCheckpointer()
    checkpointer.checkpoint_transaction(5, "elsewhere")
    node = Node([event(5, "a"), event(6, "b"), event(6, "c")])
    assert taken(of_chaincode(node, checkpointer=checkpointer), 2) == [event(6, "b"), event(6, "c")]


def test_the_name_of_the_events_is_the_peers_to_choose() -> None:
    node = Node([event(3, "a")], [event(3, "a")])
    taken(of_chaincode(node, name="Put"), 1)
    taken(of_chaincode(node), 1)
    assert node.opened == [{"chaincode": "kv", "name": "Put", "from": "3"}, {"chaincode": "kv", "from": "3"}]


def test_a_refusal_ends_the_stream() -> None:
    with pytest.raises(PermissionDeniedError):
        taken(of_blocks(Node([block(3), PermissionDeniedError("no longer a member")])), 2)


def test_pauses_grow_while_nothing_comes_and_start_over() -> None:
    node = Node(*[[DOWN]] * 9, [block(3), DOWN], [block(4)])
    taken(of_blocks(node), 2)
    pauses = [later - earlier for earlier, later in pairwise(node.opened_at)]
    longest = [min(5.0, 0.1 * 2**number) for number in range(9)]
    assert all(most / 2 <= pause <= most for pause, most in zip(pauses[:9], longest, strict=True))
    assert pauses[9] <= 0.1


def test_a_stream_goes_on_at_the_next_gateway() -> None:
    first = Node([event(3, "a"), ConnectionFailed("killed")])
    second = Node([event(3, "a"), event(3, "b")])
    assert taken(of_chaincode(first, second), 2) == [event(3, "a"), event(3, "b")]
    assert [params["from"] for params in second.opened] == ["3"]


def test_a_gateway_that_is_not_on_the_channel_is_passed_over() -> None:
    absent = NotFoundError("this peer is not on the channel 'c'", code="CHANNEL_UNKNOWN")
    assert taken(of_blocks(Node([absent]), Node([block(3)])), 1) == [block(3)]
    with pytest.raises(NotFoundError):
        taken(of_blocks(Node([absent])), 1)


def full(*blocks: Block) -> list[FullBlockEvent]:
    """These blocks as a peer gives them."""
    made = []
    for item in blocks:
        header, count = item.header, len(item.envelopes)
        told = BlockEvent(header.channel, header.number, header.hash, 5, "x", ("t",) * count, (Code.VALID,) * count)
        made.append(FullBlockEvent(told, item))
    return made


def of_full_blocks(*nodes: Any) -> AsyncIterator[FullBlockEvent]:
    return full_block_events(at(*nodes), "shard1", start_block=0, checkpointer=None)


def test_full_blocks_go_on_at_the_next_gateway(tmp_path: Path) -> None:
    paper = PaperNetwork()
    ledger = PaperPeer(tmp_path, paper)
    ledger.commit(paper.transaction({"k": 1}), paper.transaction({"k": 2}))
    first, second = full(*ledger.chain.blocks[:2])
    second_node = Node([second])
    assert taken(of_full_blocks(Node([first, ConnectionFailed("killed")]), second_node), 2) == [first, second]
    assert second_node.opened == [{"from": "1"}]


def test_a_full_block_that_is_another_one_is_refused(tmp_path: Path) -> None:
    paper = PaperNetwork()
    ledger = PaperPeer(tmp_path, paper)
    ledger.commit(paper.transaction({"k": 1}))
    first, second = full(*ledger.chain.blocks[:2])
    changed = Block(second.block.header, (b"another",))
    short = replace(second.event, codes=(), tx_ids=())
    for wrong in (
        FullBlockEvent(second.event, changed),
        FullBlockEvent(second.event, first.block),
        FullBlockEvent(short, second.block),
    ):
        with pytest.raises(CorruptionError, match="block 1 of shard1 is not that block"):
            taken(of_full_blocks(Node([wrong])), 1)
