"""Commits one channel's blocks in the committer's process: from the buffer to the ledger, and a report to the edge."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable, Sequence
from concurrent.futures import Executor
from functools import partial
from typing import Any, TypeVar

from gridledger.backoff import Backoff
from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.ledger import BlockRejected, StorageFailed, StorageFull
from gridledger.ledger.committer import BlockCommitter
from gridledger.protocol.errors import CapabilityUnknown
from gridledger.protocol.joining import ConfigBlock
from services.peer.committer.buffer import BlockBuffer, Delivered
from services.peer.committer.messages import BlockCommitted, CommitterReport, SourceChanged
from services.peer.committer.orderers import Orderers
from services.peer.committer.source import BlockSource

BEHIND = 4
"""Orderers are told when this many blocks wait for their commit, and once more when none does."""

INDEX_PAUSE = 3.0
"""An index that is built afterwards rests so many times as long as each of its steps took."""

INDEX_TELL_S = 30.0
"""How often it is told how far that is."""

_T = TypeVar("_T")
_log = logging.getLogger(__name__)


class ChainCommitter:
    """Commits one channel's blocks as they come. ``tell`` sends a report to the edge and waits until it takes it.

    The work is done in ``executor``, so that the event loop goes on reading from the network meanwhile.
    """

    def __init__(
        self,
        committer: BlockCommitter,
        source: BlockSource,
        buffer: BlockBuffer,
        orderers: Orderers,
        executor: Executor,
        *,
        tell: Callable[[CommitterReport], Awaitable[None]],
        clock: Callable[[], float],
        backoff: Backoff,
        max_blocks: int,
        max_bytes: int,
        progress_interval_s: float,
        given: ConfigBlock | None = None,
    ) -> None:
        """``given`` is the newest config block that this peer was given: the chain must lead to it."""
        self._given = given
        self._told_given = False
        self.channel = committer.ledger.channel
        self._committer = committer
        self._source = source
        self._buffer = buffer
        self._orderers = orderers
        self._executor = executor
        self._tell = tell
        self._clock = clock
        self._backoff = backoff
        self._max_blocks = max_blocks
        self._max_bytes = max_bytes
        self._progress_interval_s = progress_interval_s
        self._next_progress = 0.0
        self._told_behind = False
        self._progress: asyncio.Task[None] | None = None
        self._writing = asyncio.Lock()
        """Held by whoever has the ledger written: blocks, or the index of a ledger that an earlier version wrote."""

    async def run(self) -> None:
        """Fetch and commit until cancelled. Raises what makes it impossible to go on."""
        ledger, given = self._committer.ledger, self._given
        if given is not None and given.number < ledger.height:
            try:
                given.check(ledger.block(given.number).header)
            except CorruptionError as error:
                await self._stop_at(error)
        await self._orderers.follow(ledger.config())
        work = (self._source.run(), self._commit_all(), self._build_index())
        running = {asyncio.ensure_future(each) for each in work}
        try:
            done, _ = await asyncio.wait(running, return_when=asyncio.FIRST_COMPLETED)
            for task in done:
                task.result()
        finally:
            if self._progress is not None:
                running.add(self._progress)
            for task in running:
                task.cancel()
            await asyncio.gather(*running, return_exceptions=True)

    async def _commit_all(self) -> None:
        while True:
            await self._commit_some()

    async def _commit_some(self) -> None:
        """Wait for blocks and commit as many as one commit takes."""
        items = await self._buffer.head(self._max_blocks, self._max_bytes)
        if self._given is not None:
            items = self._leading_to(self._given, items)
            if not items:
                return
        started = self._clock()
        try:
            async with self._writing:
                committed = await self._written(self._committer.process, [item.block for item in items])
        except BlockRejected as error:
            _log.error("%s: block from %s rejected: %s", self.channel, items[0].orderer, error.message)
            self._source.reject(items[0].orderer, self._committer.ledger.height)
            return
        except CapabilityUnknown as error:
            await self._stop_at(error)
            return
        except StorageFull as error:
            delay_s = self._backoff.failed()
            _log.error("%s: %s; trying again in %.1f s", self.channel, error.message, delay_s)
            await asyncio.sleep(delay_s)
            return
        self._backoff.succeeded()
        self._source.accepted()
        self._buffer.drop(len(committed))
        work_s = (self._clock() - started) / len(committed)
        for block in committed:
            await self._tell(BlockCommitted(block, work_s, len(self._buffer)))
            if block.config_changed:
                await self._orderers.follow(self._committer.ledger.config())
        self._report_progress(committed[-1].number + 1)

    async def _written(self, write: Callable[..., _T], *args: Any) -> _T:
        """What a write in the commit thread gives. One that has begun is finished even when this task is cancelled: the
        next start finds it."""
        work = asyncio.get_running_loop().run_in_executor(self._executor, partial(write, *args))
        try:
            return await asyncio.shield(work)
        except asyncio.CancelledError:
            await asyncio.wait((work,))
            raise

    async def _build_index(self) -> None:
        """Index what an earlier version has committed, a little at a time beside the commits; then there is nothing to
        do any more, and this waits to be cancelled."""
        ledger, tell_at = self._committer.ledger, self._clock() + INDEX_TELL_S
        with ledger.snapshot() as snapshot:
            height, behind = snapshot.index_head.height, snapshot.index_head.height < snapshot.height
        while height < ledger.height:
            started = self._clock()
            try:
                async with self._writing:
                    height = (await self._written(self._committer.build_index)).height
            except StorageFull as error:
                _log.error("%s: %s; the index goes on in %.0f s", self.channel, error.message, INDEX_TELL_S)
                await asyncio.sleep(INDEX_TELL_S)
                continue
            except StorageFailed:
                raise
            except CorruptionError as error:
                # What is committed is served all the same, and new blocks do not need the old one.
                _log.error("%s: the index of transactions stops at %d blocks: %s", self.channel, height, error.message)
                break
            now = self._clock()
            if now >= tell_at:
                tell_at = now + INDEX_TELL_S
                _log.info("%s: the index of transactions has %d of %d blocks", self.channel, height, ledger.height)
            await asyncio.sleep((now - started) * INDEX_PAUSE)
        else:
            if behind:
                _log.info("%s: the index of transactions has all blocks", self.channel)
        await asyncio.get_running_loop().create_future()

    def _leading_to(self, given: ConfigBlock, items: Sequence[Delivered]) -> Sequence[Delivered]:
        """The blocks before one that is not the config block that this peer was given. That one is nobody's to commit:
        another orderer may have the right one, and where none has, the channel goes no further here."""
        for position, item in enumerate(items):
            try:
                given.check(item.block.block.header)
            except CorruptionError as error:
                if not self._told_given:
                    self._told_given = True
                    _log.error("%s stops before block %d: %s", self.channel, given.number, error.message)
                if not position:
                    self._source.reject(item.orderer, self._committer.ledger.height)
                return items[:position]
        return items

    async def _stop_at(self, error: CapabilityUnknown | CorruptionError) -> None:
        """Commit nothing more of this channel until this process is started anew; the other channels go on."""
        _log.error("%s stops at block %d: %s", self.channel, self._committer.ledger.height, error.message)
        await self._tell(SourceChanged(self.channel, None, error.message))
        await asyncio.get_running_loop().create_future()

    def _report_progress(self, height: int) -> None:
        """Tell the orderers that this peer is behind, or no longer is, so that they adapt how fast they cut blocks."""
        behind = len(self._buffer) >= BEHIND
        recovered = self._told_behind and not len(self._buffer)
        now = self._clock()
        if (behind or recovered) and now >= self._next_progress and self._progress is None:
            self._next_progress = now + self._progress_interval_s
            self._told_behind = behind
            self._progress = asyncio.ensure_future(self._send_progress(height))

    async def _send_progress(self, height: int) -> None:
        try:
            sending = [self._orderers.progress(name, height) for name in self._orderers.names()]
            for outcome in await asyncio.gather(*sending, return_exceptions=True):
                if isinstance(outcome, BaseException) and not isinstance(outcome, GridLedgerError):
                    raise outcome
        finally:
            self._progress = None
