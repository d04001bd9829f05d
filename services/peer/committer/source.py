"""Fetches a channel's blocks from one orderer at a time; from another one when it fails, sends bad blocks or lags.

An orderer that hangs looks like a channel without transactions. So when blocks stop coming all orderers are asked how
many they have, soon and then less and less often: one that does not answer, while another does, or has fewer, is left.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from random import Random

from gridledger.backoff import Backoff
from gridledger.errors import BusyError, GridLedgerError, UnavailableError
from gridledger.protocol.block import SignedBlock
from services.peer.committer.buffer import BlockBuffer, Delivered
from services.peer.committer.orderers import Orderers

DISTRUST_S = 30.0
"""How long an orderer that delivered a block which was rejected is asked only when there is no other."""

BUSY_S = 5.0
"""How long one that had no place for this peer's stream (429) is, likewise."""

DOUBT_S = 0.3
"""How long after a block the silence is looked into for the first time."""
ANSWER_WITHIN_S = 0.5
GRACE_S = 0.1
"""How long a block that another orderer has may take to come from this one."""
_SLOWER = 1.5

_log = logging.getLogger(__name__)


class SourceLost(UnavailableError):
    """The orderer ended the stream, went on with another block than the next, or is behind the others."""

    code = "SOURCE_LOST"


class BlockSource:
    """Fills a buffer with a channel's blocks, from ``height`` on, without gaps.

    After ``stall_s`` without a block only one other orderer is asked, each time after as long again. ``clock`` is
    monotonic, in seconds; ``tell`` is told the orderer's name, or None and why there is none.
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
                if isinstance(error, BusyError):
                    until = self._clock() + BUSY_S
                    self._distrusted[orderer] = max(until, self._distrusted.get(orderer, until))
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
        fed_at, silence_s = self._fed_at, DOUBT_S
        try:
            while True:
                await asyncio.wait((pull,), timeout=max(0.0, fed_at + silence_s - self._clock()))
                if pull.cancelled():
                    return SourceLost("a block that it delivered was rejected")
                if pull.done():
                    pull.result()
                    return SourceLost("it ended the stream")
                if self._fed_at != fed_at:
                    fed_at, silence_s = self._fed_at, DOUBT_S
                    continue
                # If the buffer holds blocks, this peer is slow, not the orderer.
                lost = "" if len(self._buffer) else await self._doubt(orderer, silence_s)
                if lost and self._fed_at == fed_at and not pull.done():
                    return SourceLost(lost)
                silence_s = self._clock() - fed_at + min(self._stall_s, max(DOUBT_S, silence_s * (_SLOWER - 1)))
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

    async def _doubt(self, orderer: str, silence_s: float) -> str:
        """What is wrong with an orderer that has been silent so long; "" where the channel seems to be idle."""
        others = [name for name in self._orderers.names() if name != orderer]
        if not others:
            return ""
        before, is_long = self.next_number, silence_s >= self._stall_s
        heights = await self._heights([self._random.choice(others)] if is_long else [orderer, *others])
        if max(heights.values(), default=0) > before:
            await asyncio.sleep(GRACE_S)
            return f"it does not deliver block {before}, which there is" if self.next_number == before else ""
        if heights and orderer not in heights and not is_long:
            return f"it does not answer within {ANSWER_WITHIN_S} s"
        return ""

    async def _heights(self, names: list[str]) -> dict[str, int]:
        """How many blocks these orderers have, 0 for one that answers with an error. Those that do not answer in time
        are left out; and nobody is waited for once somebody has the next block."""
        asking = {asyncio.ensure_future(self._orderers.height(name)): name for name in names}
        heights: dict[str, int] = {}
        try:
            async with asyncio.timeout(ANSWER_WITHIN_S):
                waiting = set(asking)
                while waiting and max(heights.values(), default=0) <= self.next_number:
                    done, waiting = await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
                    heights |= {asking[task]: _height_of(task) for task in done}
        except TimeoutError:
            pass
        finally:
            for task in asking:
                task.cancel()
            await asyncio.gather(*asking, return_exceptions=True)
        return heights


def _height_of(task: asyncio.Future[int]) -> int:
    try:
        return task.result()
    except GridLedgerError:
        return 0
