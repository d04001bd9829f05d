"""A channel's blocks as a stream: from any number, bounded in chunks, with heartbeats while there is nothing."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Iterator
from pathlib import Path

import pytest

from gridledger import framing
from gridledger.errors import PermissionDeniedError
from gridledger.protocol.block import SignedBlock
from services.orderer import deliver as module
from services.orderer.block_store import BlockStore
from services.orderer.catching_up import Fetched
from services.orderer.chain import Chain, entry_of
from services.orderer.deliver import HEARTBEAT, deliver
from services.orderer.raft.interface import CommittedEntry
from tests.support.paper import NOW_US, PaperNetwork


async def nowhere(
    channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
) -> Fetched:
    raise AssertionError("nothing is to be fetched here")


@pytest.fixture
def chain(tmp_path: Path) -> Iterator[Chain]:
    paper = PaperNetwork()
    store = BlockStore.open(tmp_path)
    yield Chain.open(store, paper.genesis, paper.orderers["orderer1"], nowhere)
    store.close()


async def add(chain: Chain, *numbers: int) -> None:
    """Order one envelope of 100 bytes for each block."""
    await chain.apply([CommittedEntry(n, 1, entry_of(NOW_US + n, [b"%100d" % n])) for n in numbers])


def stream(chain: Chain, start: int, count: int | None = None, chunk: int = 1 << 20) -> AsyncIterator[bytes]:
    return deliver(chain, start, count=count, max_chunk_bytes=chunk, allowed=lambda: None)


def numbers(chunk: bytes) -> list[int]:
    blocks = [SignedBlock.from_bytes(frame).block for frame in framing.unpack(chunk, max_frames=100)]
    return [block.header.number for block in blocks]


async def test_a_count_of_blocks_ends_the_stream(chain: Chain) -> None:
    await add(chain, 1, 2, 3, 4)
    assert [numbers(chunk) async for chunk in stream(chain, 1, count=3)] == [[1, 2, 3]]
    assert [numbers(chunk) async for chunk in stream(chain, 0, count=5)] == [[0, 1, 2, 3, 4]]
    assert [numbers(chunk) async for chunk in stream(chain, 2, count=0)] == []


async def test_chunks_are_bounded(chain: Chain) -> None:
    await add(chain, 1, 2, 3)
    chunks = [numbers(chunk) async for chunk in stream(chain, 1, count=3, chunk=1)]
    assert chunks == [[1], [2], [3]]


async def test_a_stream_goes_on_with_blocks_as_they_come(chain: Chain) -> None:
    await add(chain, 1)
    following = stream(chain, 1)
    assert numbers(await anext(following)) == [1]
    waiting = asyncio.ensure_future(anext(following))
    await asyncio.sleep(0)
    assert not waiting.done()
    await add(chain, 2, 3)
    assert numbers(await waiting) == [2, 3]


async def test_a_block_to_come_is_waited_for(chain: Chain) -> None:
    waiting = asyncio.ensure_future(anext(stream(chain, 2)))
    await add(chain, 1)
    await asyncio.sleep(0)
    assert not waiting.done()
    await add(chain, 2)
    assert numbers(await waiting) == [2]


async def test_heartbeats_come_while_there_is_nothing(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)
    following = stream(chain, 1)
    assert [await anext(following), await anext(following)] == [HEARTBEAT, HEARTBEAT]
    await add(chain, 1)
    chunks = [HEARTBEAT]
    while chunks[-1] == HEARTBEAT:
        chunks.append(await anext(following))
    assert numbers(chunks[-1]) == [1]


async def test_a_reader_that_lost_its_right_gets_no_block_more(chain: Chain) -> None:
    may_read = True

    def allowed() -> None:
        if not may_read:
            raise PermissionDeniedError("revoked")

    await add(chain, 1, 2)
    following = deliver(chain, 1, count=None, max_chunk_bytes=1, allowed=allowed)
    assert numbers(await anext(following)) == [1]
    may_read = False
    with pytest.raises(PermissionDeniedError):
        await anext(following)


async def test_a_reader_that_lost_its_right_gets_no_heartbeat(chain: Chain, monkeypatch: pytest.MonkeyPatch) -> None:
    def allowed() -> None:
        raise PermissionDeniedError("revoked")

    monkeypatch.setattr(module, "HEARTBEAT_S", 0.01)
    with pytest.raises(PermissionDeniedError):
        await anext(deliver(chain, 1, count=None, max_chunk_bytes=1, allowed=allowed))
