"""Fetches a channel's blocks from one orderer at a time; from another one when it fails, sends bad blocks or lags."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random

from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.protocol.block import SignedBlock
from services.peer.committer.buffer import BlockBuffer, Delivered
from services.peer.committer.orderers import Orderers

DISTRUST_S = 30.0
"""How long an orderer that delivered a block which was rejected is asked only when there is no other."""

_log = logging.getLogger(__name__)


class SourceLost(UnavailableError):
    """The orderer ended the stream, went on with another block than the next, or is behind the others."""

    code = "SOURCE_LOST"


class BlockSource:
    """Fills a buffer with a channel's blocks, from ``height`` on, without gaps.

    ``clock`` is monotonic, in seconds; ``tell`` is told the orderer's name, or None and why there is none.
    """

    def __init__(
        self,
        channel: str,
        height: int,
        orderers: Orderers,
        buffer: BlockBuffer,
        *,
        backoff: Backoff,
        stall_s: float,
        clock: Callable[[], float],
        random: Random,
        tell: Callable[[str | None, str], None],
    ) -> None:
        self.channel = channel
        self.next_number = height
        self._orderers = orderers
        self._buffer = buffer
        self._backoff = backoff
        self._stall_s = stall_s
        self._clock = clock
        self._random = random
        self._tell = tell
        self._distrusted: dict[str, float] = {}
        self._last: str | None = None
        self._fed_at = 0.0
        self._reason = ""
        self._pulling: asyncio.Future[None] | None = None

    async def run(self) -> None:
        """Fetch until cancelled."""
        while True:
            orderer = self._choose()
            if orderer is None:
                self._lost("the channel's config names no orderer")
            else:
                error = await self._fetch_from(orderer)
                self._lost(f"{orderer}: {error.message}")
            await asyncio.sleep(self._backoff.failed())

    def accepted(self) -> None:
        """Blocks of the present orderer were committed."""
        self._backoff.succeeded()

    def reject(self, orderer: str, height: int) -> None:
        """A block that this orderer delivered was rejected: start again at ``height``, with another orderer."""
        self._distrusted[orderer] = self._clock() + DISTRUST_S
        # Before the buffer is emptied: a pull that waits for room in it must not add a block afterwards.
        if self._pulling is not None:
            self._pulling.cancel()
        self._buffer.clear()
        self.next_number = height

    def _choose(self) -> str | None:
        """An orderer at random; not the one that failed last, and none that is distrusted, if there are others."""
        now = self._clock()
        self._distrusted = {name: until for name, until in self._distrusted.items() if until > now}
        names = list(self._orderers.names())
        preferred = [name for name in names if name not in self._distrusted and name != self._last]
        fallback = [name for name in names if name not in self._distrusted] or names
        return self._random.choice(preferred or fallback) if names else None

    def _lost(self, reason: str) -> None:
        self._tell(None, reason)
        if reason != self._reason:
            self._reason = reason
            _log.warning("%s: no blocks: %s", self.channel, reason)

    async def _fetch_from(self, orderer: str) -> GridLedgerError:
        """Fetch until something is wrong with this orderer; returns the error."""
        self._last = orderer
        self._fed_at = self._clock()
        pull = self._pulling = asyncio.ensure_future(self._pull(orderer))
        try:
            while True:
                await asyncio.wait((pull,), timeout=max(0.0, self._fed_at + self._stall_s - self._clock()))
                if pull.cancelled():
                    return SourceLost("a block that it delivered was rejected")
                if pull.done():
                    pull.result()
                    return SourceLost("it ended the stream")
                if self._clock() < self._fed_at + self._stall_s:
                    continue
                self._fed_at = self._clock()
                # If the buffer holds blocks, this peer is slow, not the orderer.
                if not len(self._buffer) and await self._others_are_ahead(orderer):
                    return SourceLost(f"it has no block {self.next_number}, others have")
        except GridLedgerError as error:
            return error
        finally:
            self._pulling = None
            pull.cancel()
            await asyncio.gather(pull, return_exceptions=True)

    async def _pull(self, orderer: str) -> None:
        told = False
        async for frame in self._orderers.deliver(orderer, self.next_number):
            block = SignedBlock.from_bytes(frame)
            if block.block.header.number != self.next_number:
                raise SourceLost(f"it delivered block {block.block.header.number} where {self.next_number} follows")
            if not told:
                told = True
                self._reason = ""
                self._tell(orderer, "")
            await self._buffer.put(Delivered(block, orderer, len(frame)))
            self.next_number += 1
            self._fed_at = self._clock()

    async def _others_are_ahead(self, orderer: str) -> bool:
        others = [name for name in self._orderers.names() if name != orderer]
        if not others:
            return False
        other = self._random.choice(others)
        try:
            return await self._orderers.height(other) > self.next_number
        except GridLedgerError:
            return False
