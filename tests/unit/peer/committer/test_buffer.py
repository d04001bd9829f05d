"""The queue of blocks between the network and the ledger: bounded in bytes, taken in order, kept until committed."""

from __future__ import annotations

import asyncio

import pytest

from services.peer.committer.buffer import BlockBuffer, Delivered
from tests.support.paper import PaperChain, PaperNetwork


@pytest.fixture(scope="module")
def blocks() -> list[Delivered]:
    """Four blocks of 100 bytes, as it were."""
    chain = PaperChain(PaperNetwork())
    return [Delivered(chain.next(), "o1", 100) for _ in range(4)]


async def waits(task: asyncio.Task[None]) -> bool:
    """Whether it still waits after a turn of the loop."""
    await asyncio.sleep(0)
    return not task.done()


async def test_one_oversized_block_is_taken_and_the_next_waits(blocks: list[Delivered]) -> None:
    buffer = BlockBuffer(50)
    await buffer.put(blocks[0])
    putting = asyncio.create_task(buffer.put(blocks[1]))
    assert await waits(putting)
    assert list(await buffer.head(10, 1000)) == [blocks[0]]
    buffer.drop(1)
    await putting
    assert list(await buffer.head(10, 1)) == [blocks[1]]


async def test_blocks_are_put_while_there_is_room(blocks: list[Delivered]) -> None:
    buffer = BlockBuffer(300)
    for block in blocks[:3]:
        await buffer.put(block)
    putting = asyncio.create_task(buffer.put(blocks[3]))
    assert await waits(putting)
    buffer.drop(1)
    await putting
    assert list(await buffer.head(10, 1000)) == blocks[1:]


async def test_the_head_is_bounded_and_stays(blocks: list[Delivered]) -> None:
    buffer = BlockBuffer(1000)
    for block in blocks:
        await buffer.put(block)
    assert list(await buffer.head(2, 1000)) == blocks[:2]
    assert list(await buffer.head(10, 350)) == blocks[:3]
    assert list(await buffer.head(10, 1)) == blocks[:1]
    assert len(buffer) == 4


async def test_who_takes_waits_for_a_block(blocks: list[Delivered]) -> None:
    buffer = BlockBuffer(1000)
    taking = asyncio.create_task(buffer.head(10, 1000))
    await asyncio.sleep(0)
    assert not taking.done()
    await buffer.put(blocks[0])
    assert list(await taking) == [blocks[0]]


async def test_rejected_blocks_make_room(blocks: list[Delivered]) -> None:
    buffer = BlockBuffer(200)
    await buffer.put(blocks[0])
    await buffer.put(blocks[1])
    putting = asyncio.create_task(buffer.put(blocks[2]))
    assert await waits(putting)
    buffer.clear()
    await putting
    async with asyncio.timeout(5):
        await buffer.put(blocks[3])
    assert list(await buffer.head(10, 1000)) == blocks[2:]
