"""A channel's queue of blocks between the network and the ledger, bounded in bytes."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Sequence
from typing import NamedTuple

from gridledger.protocol.block import SignedBlock


class Delivered(NamedTuple):
    """A block, who delivered it, and its size in bytes."""

    block: SignedBlock
    orderer: str
    size: int


class BlockBuffer:
    """Holds blocks until they are committed. A block larger than the bound is taken when the buffer is empty."""

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._items: deque[Delivered] = deque()
        self._bytes = 0
        self._changed = asyncio.Event()

    def __len__(self) -> int:
        return len(self._items)

    async def put(self, item: Delivered) -> None:
        """Add a block; waits while the buffer is full."""
        while self._items and self._bytes + item.size > self._max_bytes:
            await self._wait()
        self._items.append(item)
        self._bytes += item.size
        self._changed.set()

    async def head(self, max_blocks: int, max_bytes: int) -> Sequence[Delivered]:
        """The first blocks, at least one, which stay in the buffer; waits while there is none."""
        while not self._items:
            await self._wait()
        taken: list[Delivered] = []
        size = 0
        for item in self._items:
            size += item.size
            if taken and (len(taken) == max_blocks or size > max_bytes):
                break
            taken.append(item)
        return taken

    def drop(self, count: int) -> None:
        """Remove the first blocks: they are committed."""
        for _ in range(min(count, len(self._items))):
            self._bytes -= self._items.popleft().size
        self._changed.set()

    def clear(self) -> None:
        """Remove all blocks: they were rejected."""
        self._items.clear()
        self._bytes = 0
        self._changed.set()

    async def _wait(self) -> None:
        # The one that adds and the one that takes share this event; each checks its own condition again.
        self._changed.clear()
        await self._changed.wait()
