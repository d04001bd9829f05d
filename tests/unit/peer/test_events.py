"""Event streams over a real ledger: from any block, live, resumed, bounded, ended when access ends."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from gridledger import jsontext
from gridledger.errors import PermissionDeniedError
from gridledger.framing import FrameBuffer
from gridledger.protocol.events import FullBlockEvent
from gridledger.protocol.result import Event
from gridledger.protocol.transaction import Transaction
from services.peer import events as events_module
from services.peer.channel import Channel
from services.peer.committer.messages import BlockCommitted
from services.peer.events import ChannelEvents
from tests.support.paper import PaperNetwork, PaperPeer


class House:
    def __init__(self, folder: Path) -> None:
        self.paper = PaperNetwork()
        self.peer = PaperPeer(folder, self.paper)
        self.channel = Channel(self.peer.ledger)
        self.events = ChannelEvents(self.channel)

    def commit(self, *envelopes: Transaction | bytes) -> None:
        block = self.peer.commit(*envelopes)
        self.channel.committed(block)
        self.events.committed(BlockCommitted(block))

    def announce(self, value: Any, name: str = "Put") -> Transaction:
        """Commit a transaction with an event."""
        made = self.paper.transaction({"k": value}, event=Event(name, value))
        self.commit(made)
        return made


def always() -> None:
    return


async def take(stream: AsyncIterator[bytes], count: int) -> list[Any]:
    """The next values of a stream, heartbeats left out."""
    found: list[Any] = []
    async with asyncio.timeout(10):
        while len(found) < count:
            found += [jsontext.loads(line) for line in (await anext(stream)).splitlines() if line]
    return found


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_blocks_from_the_first_and_then_live(house: House) -> None:
    announced = house.announce("a")
    stream = house.events.blocks(0, always)
    old = await take(stream, 2)
    assert [item["number"] for item in old] == [0, 1]
    assert old[1]["transactions"] == [{"tx_id": announced.tx_id, "code": 0}]
    assert old[1]["commit_hash"] == house.peer.ledger.commit_hash
    live = asyncio.create_task(take(stream, 1))
    await asyncio.sleep(0)
    house.announce("b")
    assert (await live)[0]["number"] == 2


async def test_ledger_and_memory_tell_the_same(house: House) -> None:
    announced = house.announce("a")
    twice = house.paper.transaction({"x": 1})
    house.commit(twice, twice, b"rubbish")
    fresh = await take(house.events.blocks(0, always), 3)
    again = await take(ChannelEvents(house.channel).blocks(0, always), 3)
    assert fresh == again
    assert [item["code"] for item in fresh[2]["transactions"]] == [0, 9, 2]
    assert fresh[2]["transactions"][2]["tx_id"] == ""
    for source in (house.events, ChannelEvents(house.channel)):
        assert await take(source.chaincode(0, "kv", None, always), 1) == [
            {
                "chaincode": "kv",
                "name": "Put",
                "payload": "a",
                "tx_id": announced.tx_id,
                "block": 1,
                "index": 0,
                "timestamp": house.peer.chain.blocks[1].header.timestamp_us,
            }
        ]


async def test_events_are_chosen_by_chaincode_and_name(house: House) -> None:
    house.announce("a")
    house.announce("b", name="Other")
    house.announce("c")
    assert [item["payload"] for item in await take(house.events.chaincode(0, "kv", "Put", always), 2)] == ["a", "c"]
    assert [item["payload"] for item in await take(house.events.chaincode(2, "kv", None, always), 2)] == ["b", "c"]


async def test_event_of_an_invalid_transaction_is_not_told(house: House) -> None:
    house.commit(house.announce("a"))  # a duplicate
    house.announce("b")
    for source in (house.events, ChannelEvents(house.channel)):
        assert [item["payload"] for item in await take(source.chaincode(0, "kv", None, always), 2)] == ["a", "b"]


async def test_heartbeat_when_nothing_happens(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 0.01)
    stream = house.events.chaincode(1, "kv", None, always)
    assert await anext(stream) == b"\n"
    assert await anext(stream) == b"\n"
    assert house.channel._waiting == []


async def test_stream_ends_when_its_reader_loses_access(house: House) -> None:
    calls = iter([None, None])

    def allowed() -> None:
        if next(calls, "over") == "over":
            raise PermissionDeniedError("no longer a member")

    house.announce("a")
    stream = house.events.blocks(0, allowed)
    await take(stream, 2)
    house.announce("b")
    await take(stream, 1)
    with pytest.raises(PermissionDeniedError):
        await anext(stream)


async def test_recent_blocks_are_bounded(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "MAX_RECENT_BLOCKS", 3)
    for number in range(1, 8):
        house.announce(number)
    assert list(house.events._recent) == [5, 6, 7]
    assert [item["number"] for item in await take(house.events.blocks(0, always), 8)] == list(range(8))


async def test_chunks_are_bounded_for_slow_readers(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "MAX_CHUNK_BYTES", 400)
    for number in range(1, 8):
        house.announce(number)
    chunk = await anext(house.events.blocks(0, always))
    assert 1 <= chunk.count(b"\n") <= 2


async def test_full_blocks_have_their_envelopes(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    announced = house.announce("a")
    house.commit(house.paper.transaction({"x": 1}), b"rubbish")
    # However small a chunk may be, a block comes whole.
    monkeypatch.setattr(events_module, "MAX_CHUNK_BYTES", 1)
    buffer = FrameBuffer(10**6)
    found: list[FullBlockEvent] = []
    async with asyncio.timeout(10):
        stream = house.events.full_blocks(0, always)
        while len(found) < 3:
            frames = buffer.feed(await anext(stream))
            assert len(frames) == 1
            found += [FullBlockEvent.from_bytes(data) for data in frames if data]
    assert [item.event.number for item in found] == [0, 1, 2]
    assert all(item.holds() for item in found)
    assert found[1].block.envelopes == (announced.to_bytes(),)
    assert found[2].block.envelopes[1] == b"rubbish"
    assert found[2].event.codes[0] == 0


async def test_a_stream_of_full_blocks_beats_with_empty_frames(house: House, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(events_module, "HEARTBEAT_S", 0.01)
    async with asyncio.timeout(10):
        assert FrameBuffer(10).feed(await anext(house.events.full_blocks(1, always))) == [b""]
