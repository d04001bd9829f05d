"""Reading old blocks in the background, slowly, so that a disk that rots is known before somebody needs them."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from dataclasses import dataclass, field

from gridledger.errors import CorruptionError, GridLedgerError
from services.orderer.chain import Chain

_log = logging.getLogger(__name__)

MAX_NAMED = 100
"""Of so many damaged blocks the numbers are kept."""
PAUSE_S = 60.0
"""Between one pass over the chain and the next."""


@dataclass(slots=True)
class Scrubbing:
    """Reads a channel's blocks from the first to the newest and begins anew, at most ``bytes_per_s`` on average.

    ``damaged`` are the blocks that were found damaged since the start; ``on_damage`` is told how many.
    """

    chain: Chain
    bytes_per_s: int
    on_damage: Callable[[int], None] = lambda _: None
    damaged: set[int] = field(default_factory=set)

    async def run(self) -> None:
        """Read until cancelled."""
        while True:
            await self.read_all()
            await asyncio.sleep(PAUSE_S)

    async def read_all(self) -> None:
        """One pass over the blocks that there are at its start."""
        previous: str | None = None
        for number in range(self.chain.height):
            if number >= self.chain.height:
                return  # fetched blocks were cut off again
            size, previous = self._read(number, previous)
            await asyncio.sleep(size / self.bytes_per_s)

    def _read(self, number: int, previous: str | None) -> tuple[int, str | None]:
        """Read a block that follows one with the hash ``previous``; its size, and its own hash where it is sound."""
        try:
            record = self.chain.store.record(number)
            header = record.header()
            if previous is not None and header.previous_hash != previous:
                raise CorruptionError(f"block {number} of {self.chain.channel} does not follow the one before it")
        except GridLedgerError as error:
            if number not in self.damaged and len(self.damaged) < MAX_NAMED:
                self.damaged.add(number)
                _log.error("%s", error, extra={"channel": self.chain.channel})
                self.on_damage(len(self.damaged))
            return 0, None
        return len(record.payload), header.hash
