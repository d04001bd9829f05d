"""Getting envelopes into the channel's order: the queue, and the one task that empties it into consensus."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from gridledger.errors import GridLedgerError, UnavailableError
from services.orderer.block_cutter import BlockCutter, Pending
from services.orderer.chain import Chain, entry_of
from services.orderer.errors import NoLeader
from services.orderer.pace import Pace
from services.orderer.raft.errors import NotLeader
from services.orderer.raft.interface import Consensus
from services.orderer.settings import EdgeLimits, Pacing

log = logging.getLogger("orderer.sequencer")


class Sequencer:
    """Orders one channel's envelopes while this orderer leads it.

    ``clock_us`` gives microseconds since 1970. One batch is on its way at a time; what arrives meanwhile is the next.
    """

    def __init__(
        self,
        chain: Chain,
        consensus: Consensus,
        *,
        limits: EdgeLimits,
        pacing: Pacing,
        clock_us: Callable[[], int],
        on_batch: Callable[[int, float], None] = lambda _count, _seconds: None,
    ) -> None:
        self._chain = chain
        self._consensus = consensus
        self._cutter: BlockCutter[asyncio.Future[None]] = BlockCutter(
            chain.config.batch, max_queued=limits.max_queued, max_queued_bytes=limits.max_queued_bytes
        )
        self._pace = Pace(pacing)
        self._clock_us = clock_us
        self._on_batch = on_batch
        self._arrived = asyncio.Event()

    @property
    def queued(self) -> int:
        """How many envelopes wait."""
        return len(self._cutter)

    def check_leader(self) -> None:
        """Raise :class:`NotLeader` or :class:`NoLeader` unless this orderer leads the channel."""
        leadership = self._chain.leadership
        if leadership is not None and leadership.is_self:
            return
        leader = None if leadership is None else leadership.leader
        if leader is None:
            raise NoLeader(f"{self._chain.channel} has no leader now: try again, or another orderer")
        raise NotLeader(f"{self._chain.channel} is led by {leader}", leader=leader)

    def submit(self, envelope: bytes) -> asyncio.Future[None]:
        """Queue a checked envelope. The future is done when it is in the replicated, durable log.

        Raises :class:`NotLeader`, :class:`NoLeader` or :class:`BusyError` at once; the future fails with what became of
        the batch.
        """
        self.check_leader()
        ordered: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._cutter.add(envelope, ordered)
        self._arrived.set()
        return ordered

    def report_height(self, peer: str, height: int) -> None:
        """A peer says how many blocks it has committed. What it was behind then counts until it reports again: peers
        report while they are behind and once more when they are not, so the growth of the chain since is no lag."""
        self._pace.report(peer, max(0, self._chain.height - height), asyncio.get_running_loop().time())

    def backlog(self) -> int:
        """How many blocks the slowest peer that reported lately is behind."""
        return self._pace.backlog(asyncio.get_running_loop().time())

    async def run(self) -> None:
        """Order batches until cancelled; then fail whatever still waits."""
        loop = asyncio.get_running_loop()
        next_cut = loop.time()
        try:
            while True:
                await self._arrived.wait()
                await asyncio.sleep(max(0.0, next_cut - loop.time()))
                self._cutter.limits = self._chain.config.batch
                batch = self._cutter.next_batch()
                if not batch:
                    self._arrived.clear()
                    continue
                started = loop.time()
                self._pace.cut(len(batch), started)
                next_cut = started + self._pace.interval_s(self._chain.config.batch.min_interval_ms, started)
                await self._order(batch)
                took_s = loop.time() - started
                self._pace.ordered(took_s)
                self._on_batch(len(batch), took_s)
        finally:
            _fail(self._cutter.drain(), UnavailableError("this orderer is stopping", code="ORDERER_STOPPING"))

    async def _order(self, batch: list[Pending[asyncio.Future[None]]]) -> None:
        entry = entry_of(self._clock_us(), [item.envelope for item in batch])
        try:
            await self._consensus.propose(self._chain.channel, entry)
        except GridLedgerError as error:
            log.warning("a batch of %d was not ordered: %s", len(batch), error, extra={"channel": self._chain.channel})
            _fail(batch, error)
            if isinstance(error, NotLeader):
                _fail(self._cutter.drain(), error)
        except asyncio.CancelledError:
            _fail(batch, UnavailableError("this orderer is stopping", code="ORDERER_STOPPING"))
            raise
        else:
            for item in batch:
                if not item.token.done():
                    item.token.set_result(None)


def _fail(batch: list[Pending[asyncio.Future[None]]], error: GridLedgerError) -> None:
    for item in batch:
        if not item.token.done():
            item.token.set_exception(error)
            # A sender that left does not ask; its exception must not be reported as forgotten.
            item.token.exception()
