"""The index follows the peer's channels, goes on after failures, and is made anew where it does not fit them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping
from random import Random

import pytest

from gridledger.errors import UnavailableError
from gridledger.protocol.events import BlockEvent, FullBlockEvent
from gridledger.protocol.headers import CommittedHeader, HeadersPage
from services.case.questions import Question, Scope
from services.case.serving.following import Following
from services.case.serving.index import Committed, Index
from services.case.serving.searching import search
from tests.support.case_blocks import PLACES
from tests.support.case_chains import Chains, opening
from tests.support.contract_channel import START_US
from tests.support.waiting import eventually

EVERYTHING = Scope(PLACES.channels, 0, 10**16 - 1, None, None, None)


class PeersChain:
    """One channel of a peer: gives its blocks, then waits; ``fails``: how often a stream breaks before its first."""

    def __init__(self, blocks: list[Committed], fails: int = 0) -> None:
        self.blocks = blocks
        self.fails = fails
        self.begun: list[int] = []

    async def get_headers(self, start: int = 0, *, limit: int = 1000) -> HeadersPage:
        found = self.blocks[start : start + limit]
        items = tuple(CommittedHeader(each.block.header, None, each.commit_hash) for each in found)
        return HeadersPage(items, len(self.blocks))

    async def full_block_events(self, *, start_block: int | None = None) -> AsyncIterator[FullBlockEvent]:
        number = start_block or 0
        self.begun.append(number)
        if self.fails:
            self.fails -= 1
            raise UnavailableError("the peer is away")
        while True:
            while number < len(self.blocks):
                each, number = self.blocks[number], number + 1
                header = each.block.header
                ids = ("",) * len(each.codes)
                event = BlockEvent(
                    header.channel,
                    header.number,
                    header.hash,
                    header.timestamp_us,
                    each.commit_hash,
                    ids,
                    tuple(each.codes),
                )
                yield FullBlockEvent(event, each.block)
            await asyncio.sleep(0.005)


def event_of(each: Committed) -> BlockEvent:
    header, codes = each.block.header, tuple(each.codes)
    times = (header.hash, header.timestamp_us, each.commit_hash)
    return BlockEvent(header.channel, header.number, *times, ("",) * len(codes), codes)


def chain_of(*sessions: str, operator: str = "ivan") -> list[Committed]:
    chains = Chains()
    return [chains.add("access", START_US + i, [opening(name, operator, "t")]) for i, name in enumerate(sessions)]


def sessions(index: Index) -> list[str | None]:
    rows = search(index.reader(), index.channels, Question(), EVERYTHING).rows
    return [row.session for row in rows]


async def followed(index: Index, access: PeersChain, expected: list[str], commit_hash: str = "") -> None:
    """Follow until the index has these sessions, the last under this commit hash if one is named."""
    chains: Mapping[str, PeersChain] = {name: PeersChain([]) for name in PLACES.channels} | {"access": access}
    task = asyncio.create_task(Following(index, chains, Random(1)).run())
    try:

        async def has() -> bool:
            assert not task.done(), task.exception()
            told = [each.commit_hash for each in index.progress() if each.channel == "access"]
            return sessions(index) == expected and (not commit_hash or told == [commit_hash])

        await eventually(has, within_s=20, what=f"the index has {expected}")
    finally:
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task


async def test_it_follows_from_where_the_index_is(index: Index) -> None:
    chain = chain_of("s-1", "s-2", "s-3")
    await followed(index, PeersChain(chain[:2]), ["s-1", "s-2"])
    later = PeersChain(chain)
    await followed(index, later, ["s-1", "s-2", "s-3"])
    assert later.begun == [2]


async def test_it_goes_on_when_the_peer_was_away(index: Index) -> None:
    access = PeersChain(chain_of("s-1"), fails=2)
    await followed(index, access, ["s-1"])
    assert len(access.begun) == 3


async def test_it_is_made_anew_where_the_peer_has_another_chain(index: Index) -> None:
    await followed(index, PeersChain(chain_of("s-1", "s-2")), ["s-1", "s-2"])
    await followed(index, PeersChain(chain_of("o-1", "o-2", "o-3", operator="olha")), ["o-1", "o-2", "o-3"])


async def test_it_is_made_anew_where_the_peer_has_fewer_blocks_or_other_codes(index: Index) -> None:
    chain = chain_of("s-1", "s-2")
    await followed(index, PeersChain(chain), ["s-1", "s-2"])
    await followed(index, PeersChain(chain[:1]), ["s-1"])
    access = PeersChain([Committed(chain[0].block, chain[0].codes, "ab" * 32)])
    await followed(index, access, ["s-1"], commit_hash="ab" * 32)
    assert access.begun == [0]
