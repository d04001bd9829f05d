"""Comparing blocks with the other orderers: whoever holds another block than the majority stops the channel here.

Blocks follow from the log alone, so equal logs and sound disks make equal blocks. Hashes chain: where the newest block
that all have agrees, all before it do, and one hash for each channel and round is enough.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Collection, Mapping
from dataclasses import dataclass, field

from gridledger.errors import CorruptionError, GridLedgerError
from services.orderer.chain import Chain

_log = logging.getLogger(__name__)

AskHashes = Callable[[str, int, Collection[str]], Awaitable[Mapping[str, str]]]
"""``ask(channel, number, names)``: the block's hash at each of these orderers that answers and has it. Bounded in
time."""


@dataclass(frozen=True, slots=True)
class Comparison:
    """What a round found about one block: who holds another one, and whether this orderer is in the minority."""

    number: int
    differ: tuple[str, ...] = ()
    minority: bool = False


def compare(number: int, own: str, others: Mapping[str, str], orderers: int) -> Comparison:
    """Judge the hashes of one block, of ``orderers`` on the channel.

    This one is in the minority where a majority of all has one and the same other block: no single liar stops anybody.
    """
    differ = tuple(sorted(name for name, found in others.items() if found != own))
    counts = [sum(found == other for found in others.values()) for other in {others[name] for name in differ}]
    return Comparison(number, differ, minority=max(counts, default=0) > orderers // 2)


@dataclass(slots=True)
class Comparing:
    """Compares a channel's newest block with the other orderers', every ``every_s`` seconds until cancelled.

    ``stop`` ends the channel here, with the error that it is given. ``found`` is the last round's outcome.
    """

    name: str
    chain: Chain
    ask: AskHashes
    stop: Callable[[GridLedgerError], None]
    every_s: float
    on_found: Callable[[Comparison], None] = lambda _: None
    found: Comparison = field(default_factory=lambda: Comparison(0))

    async def run(self) -> None:
        """Compare until cancelled, or until this orderer is found in the minority."""
        number = self.chain.height - 1
        while not self.found.minority:
            await self.compare_at(number)
            number = self.chain.height - 1  # by the next round all that are up have it
            await asyncio.sleep(self.every_s)

    async def compare_at(self, number: int) -> None:
        """One round, about one block."""
        channel, names = self.chain.channel, self.chain.config.orderers.keys()
        others = await self.ask(channel, number, names - {self.name})
        try:
            own = self.chain.header(number).hash
        except GridLedgerError as error:
            _log.error("%s", error, extra={"channel": channel})
            return
        before, self.found = self.found, compare(number, own, others, len(names))
        self.on_found(self.found)
        if self.found.minority:
            self.stop(
                CorruptionError(
                    f"{channel}: block {number} here is another one than a majority of the orderers holds "
                    f"({', '.join(self.found.differ)}): this one's blocks are damaged; let it join anew "
                    "(gridledger orderer readmit)"
                )
            )
        elif self.found.differ and self.found.differ != before.differ:
            told = ", ".join(self.found.differ)
            _log.error("block %d is another one at %s than here", number, told, extra={"channel": channel})
