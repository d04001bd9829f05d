"""Where two ledgers part, and the past events of a chain."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.cli import reading
from gridledger.cli.connection import only_peers_of
from gridledger.cli.reading import first_difference, past_events
from gridledger.client.profile import ChannelEntry, load_profile
from gridledger.errors import CorruptionError, MalformedMessage, NotFoundError
from gridledger.network.bootstrap import connection_profile
from gridledger.network.schema import load_network_config
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.events import BlockEvent, FullBlockEvent
from gridledger.protocol.opened_block import open_block
from gridledger.protocol.result import Event
from tests.support.paper import PaperNetwork
from tests.support.paper.chain import PaperChain
from tests.support.processes import REPOSITORY


async def part(height: int, at: int | None) -> tuple[int | None, int]:
    """What is found of two ledgers whose commit hashes differ from block ``at`` on, and how often was asked."""
    asked = 0

    async def one(number: int) -> str:
        nonlocal asked
        asked += 1
        assert asked <= height.bit_length() + 1
        return f"{number}"

    async def other(number: int) -> str:
        assert 0 <= number < height
        return f"{number}" if at is None or number < at else f"other {number}"

    return await first_difference(height, one, other), asked


@given(st.data(), st.integers(1, 100_000))
async def test_the_first_difference_is_found_by_bisection(data: st.DataObject, height: int) -> None:
    at = data.draw(st.integers(0, height - 1))
    assert (await part(height, at))[0] == at


async def test_equal_ledgers_have_no_difference() -> None:
    assert await part(1000, None) == (None, 1)
    assert await part(0, None) == (None, 0)


def block(**changes: object) -> dict[str, Any]:
    transactions = [{"tx_id": "aa", "code": 0, "code_name": "VALID"}, {"tx_id": "bb", "code": 0, "code_name": "VALID"}]
    return {"hash": "h1", "commit_hash": "c1", "transactions": transactions, **changes}


def test_a_difference_is_told_in_the_blocks_the_codes_or_the_writes() -> None:
    assert reading._differences(block(), block(hash="h2")) == ["the blocks are not the same: hash h1 and h2"]
    other = [block()["transactions"][0], {"tx_id": "bb", "code": 11, "code_name": "MVCC_READ_CONFLICT"}]
    assert reading._differences(block(), block(transactions=other, commit_hash="c2")) == [
        "transaction 1 (bb) is VALID and MVCC_READ_CONFLICT"
    ]
    assert reading._differences(block(), block(commit_hash="c2")) == ["the same block and codes, commit hash c1 and c2"]


class Told:
    """A peer with block 1 that shows it, opened, as the test says."""

    def __init__(self, block: Block, opened: Any) -> None:
        self._block = block
        self.opened = opened

    async def get(self, path: str, *, params: dict[str, str]) -> bytes:
        return self._block.to_bytes()

    async def get_json(self, path: str) -> Any:
        return self.opened


async def test_a_block_is_opened_from_its_own_bytes() -> None:
    paper = PaperNetwork()
    made = paper.transaction({"k": 1})
    block = PaperChain(paper).next(made, b"rubbish").block
    true = open_block(block, (Code.VALID, Code.BAD_PAYLOAD), commit_hash="c1", orderer="ab")
    node: Any = Told(block, true)
    assert await reading.read_opened_block(node, "shard1", 1) == true
    forged = {"code": 0, "tx_id": "forged", "proposal": {"function": "other"}}
    node.opened = {**true, "transactions": [forged, {"code": 255}]}
    shown = await reading.read_opened_block(node, "shard1", 1)
    assert shown["transactions"][0] == true["transactions"][0]
    assert shown["transactions"][1]["code_name"] == "INVALID_OTHER_REASON"


@pytest.mark.parametrize(
    "wrong",
    [{"hash": "other"}, {"hash": 5}, {"transactions": []}, {"transactions": 7}, {"transactions": [1, 2]}]
    + [{"transactions": [{"code": code}] * 2} for code in (None, "0", 77, 0.5, True)]
    + [{"commit_hash": None}, {"orderer": 5}],
)
async def test_a_malformed_block_is_one_line(wrong: dict[str, Any]) -> None:
    paper = PaperNetwork()
    block = PaperChain(paper).next(paper.transaction({"k": 1}), b"rubbish").block
    true = open_block(block, (Code.VALID, Code.BAD_PAYLOAD), commit_hash="c1", orderer="ab")
    for opened in ({**true, **wrong}, [true], None, {}):
        node: Any = Told(block, opened)
        with pytest.raises((MalformedMessage, CorruptionError)):
            await reading.read_opened_block(node, "shard1", 1)


class PaperStream:
    """A channel whose full blocks are these; beyond them a stream would wait for more."""

    def __init__(self, blocks: Sequence[Block], code: Code) -> None:
        self._blocks = blocks
        self._code = code

    async def full_block_events(self, *, start_block: int) -> AsyncIterator[FullBlockEvent]:
        for item in self._blocks[start_block:]:
            header, count = item.header, len(item.envelopes)
            codes = (Code.VALID, self._code)[:count]
            yield FullBlockEvent(
                BlockEvent(header.channel, header.number, header.hash, 5, "x", ("t",) * count, codes), item
            )
        raise AssertionError("it reads beyond the height")


async def test_past_events_are_those_of_valid_transactions_below_the_height() -> None:
    paper = PaperNetwork()
    chain = PaperChain(paper)
    told = paper.transaction({"k": 1}, event=Event("Put", {"k": 1}))
    chain.next(told, paper.transaction({"k": 2}, event=Event("Put", {"k": 2})))
    chain.next(paper.transaction({"k": 3}))
    network: Any = PaperStream(chain.blocks, Code.MVCC_READ_CONFLICT)
    found = [event async for event in past_events(network, 0, 3)]
    assert [(event.name, event.payload, event.tx_id, event.block, event.index) for event in found] == [
        ("Put", {"k": 1}, told.tx_id, 1, 0)
    ]
    assert [event async for event in past_events(network, 2, 3)] == []
    assert [event async for event in past_events(network, 3, 3)] == []
    both: Any = PaperStream(chain.blocks, Code.VALID)
    assert len([event async for event in past_events(both, 1, 3)]) == 2


def test_a_profile_may_name_peers_that_it_does_not_know(tmp_path: Path) -> None:
    config = load_network_config(REPOSITORY / "network-config" / "three-shards.yaml")
    (tmp_path / "connection.json").write_text(json.dumps(connection_profile(config, {})))
    profile = load_profile(tmp_path)
    assert list(only_peers_of(profile, "shard2").peers) == ["peer3", "peer4"]
    channels = {"shard2": ChannelEntry(peers=("peer3", "gone")), "lost": ChannelEntry(peers=("gone",))}
    profile = profile.model_copy(update={"channels": channels})
    assert list(only_peers_of(profile, "shard2").peers) == ["peer3"]
    with pytest.raises(NotFoundError, match="names no peer of lost"):
        only_peers_of(profile, "lost")
    with pytest.raises(NotFoundError, match="there are: shard2, lost"):
        only_peers_of(profile, "nowhere")
