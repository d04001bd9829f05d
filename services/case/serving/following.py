"""Filling the index: each channel of the desk's own peer, block by block, from where the index is."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Sequence
from random import Random
from typing import Final

from gridledger.backoff import Backoff
from gridledger.errors import AuthenticationError, NotFoundError, UnavailableError
from services.case.errors import IndexMisfit
from services.case.serving import metrics
from services.case.serving.index import Committed, Index, Progress
from services.case.serving.own_peer import Chain, Chains

MAX_WAITING: Final = 256
"""Blocks that wait to be added; the streams wait for room."""
MAX_AT_ONCE: Final = 64
"""Blocks that are added in one transaction of the index."""
_FIRST_PAUSE_S: Final = 0.2
_LONGEST_PAUSE_S: Final = 10.0

_log = logging.getLogger(__name__)


class Following:
    """Follows ``chains`` into ``index``, which it makes anew where it does not fit them."""

    def __init__(self, index: Index, chains: Chains, random: Random) -> None:
        self._index = index
        self._chains = chains
        self._random = random

    async def run(self) -> None:
        """Until this is cancelled."""
        backoff = Backoff(_FIRST_PAUSE_S, _LONGEST_PAUSE_S, self._random)
        while True:
            try:
                await self._follow_all(backoff)
            except* IndexMisfit as group:
                _log.warning("the index is made anew: %s", group.exceptions[0])
                await asyncio.to_thread(self._index.clear)
                metrics.REBUILT.inc()
            except* (UnavailableError, NotFoundError, AuthenticationError) as group:
                _log.warning("the peer's blocks cannot be followed: %s", group.exceptions[0])
            await asyncio.sleep(backoff.failed())

    async def _follow_all(self, backoff: Backoff) -> None:
        waiting: asyncio.Queue[Committed] = asyncio.Queue(MAX_WAITING)
        known = {each.channel: each for each in self._index.progress()}
        async with asyncio.TaskGroup() as group:
            for channel, chain in self._chains.items():
                group.create_task(self._follow(chain, known[channel], waiting))
            group.create_task(self._add_all(waiting, backoff))

    async def _follow(self, chain: Chain, known: Progress, waiting: asyncio.Queue[Committed]) -> None:
        await check_fits(chain, known)
        async for each in chain.full_block_events(start_block=known.height):
            await waiting.put(Committed(each.block, each.event.codes, each.event.commit_hash))

    async def _add_all(self, waiting: asyncio.Queue[Committed], backoff: Backoff) -> None:
        while True:
            blocks = [await waiting.get()]
            while len(blocks) < MAX_AT_ONCE and not waiting.empty():
                blocks.append(waiting.get_nowait())
            rows = await asyncio.to_thread(self._index.add, blocks)
            backoff.succeeded()
            _count(blocks, rows)


async def check_fits(chain: Chain, known: Progress) -> None:
    """Raise :class:`IndexMisfit` unless the peer's chain has the newest block that the index has, with its codes."""
    if not known.height:
        return
    page = await chain.get_headers(known.height - 1, limit=1)
    told = [(item.header.hash, item.commit_hash) for item in page.items]
    if told != [(known.header_hash, known.commit_hash)]:
        raise IndexMisfit(f"the peer has another block {known.height - 1} of {known.channel}, or none")


def _count(blocks: Sequence[Committed], rows: int) -> None:
    metrics.ROWS.inc(rows)
    for each in blocks:
        header = each.block.header
        metrics.HEIGHT.labels(header.channel).set(header.number + 1)
