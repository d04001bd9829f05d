"""The sequencer of a channel: the queue of envelopes, and the task that proposes them to consensus in batches."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from typing import NamedTuple

from gridledger.errors import GridLedgerError
from gridledger.protocol.config_update import CONFIG_PREFIX
from services.orderer.block_cutter import BlockCutter, Pending
from services.orderer.chain import Chain, entry_of
from services.orderer.errors import NoLeader, OrdererStopping
from services.orderer.membership_steps import check_change
from services.orderer.pace import Pace
from services.orderer.raft.errors import NotLeader
from services.orderer.raft.interface import Consensus
from services.orderer.settings import OrdererLimits, Pacing

_log = logging.getLogger(__name__)
SETTLE_S = 5.0
"""How long a config update waits until what was proposed before it is applied."""


class BroadcastReceipt:
    """The outcome of one request's envelopes, each named by its place in the request.

    One object and one future for all of them; ``errors`` has those that were not ordered.
    """

    __slots__ = ("_done", "_waiting", "errors")

    def __init__(self) -> None:
        self.errors: dict[int, GridLedgerError] = {}
        self._waiting = 0
        self._done: asyncio.Future[None] | None = None

    def expect(self) -> None:
        """Count one envelope more that is queued."""
        self._waiting += 1

    def settle(self, place: int, error: GridLedgerError | None) -> None:
        """Note an envelope's outcome: None where it is in the replicated, durable log, else why it will not be."""
        if error is not None:
            self.errors[place] = error
        self._waiting -= 1
        if not self._waiting and self._done is not None and not self._done.done():
            self._done.set_result(None)

    async def wait(self) -> None:
        """Until all that was queued is settled."""
        if self._waiting:
            self._done = asyncio.get_running_loop().create_future()
            await self._done


class _Place(NamedTuple):
    receipt: BroadcastReceipt
    number: int


_Batch = list[Pending[_Place]]


class Sequencer:
    """Orders one channel's envelopes while this orderer leads it.

    ``clock_us`` gives microseconds since 1970. One batch is on its way at a time; what arrives meanwhile is the next.
    """

    def __init__(
        self,
        chain: Chain,
        consensus: Consensus,
        *,
        limits: OrdererLimits,
        pacing: Pacing,
        clock_us: Callable[[], int],
        on_batch: Callable[[int, float], None] = lambda _count, _seconds: None,
    ) -> None:
        self._chain = chain
        self._consensus = consensus
        self._cutter: BlockCutter[_Place] = BlockCutter(
            chain.config.batch, max_queued=limits.max_queued, max_queued_bytes=limits.max_queued_bytes
        )
        self._pace = Pace(pacing)
        self._clock_us = clock_us
        self._on_batch = on_batch
        self._arrived = asyncio.Event()
        self._full = asyncio.Event()
        self._proposed = 0

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

    def submit(self, envelope: bytes, receipt: BroadcastReceipt, number: int) -> None:
        """Queue a checked envelope, whose place in its request is ``number``; its receipt is settled later.

        Raises :class:`NotLeader`, :class:`NoLeader` or :class:`BusyError` at once.
        """
        self.check_leader()
        self._cutter.add(envelope, _Place(receipt, number))
        receipt.expect()
        self._arrived.set()
        if self._cutter.full:
            self._full.set()

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
                await self._wait_until(next_cut)
                self._cutter.limits = self._chain.config.batch
                batch = self._cutter.next_batch()
                if not batch:
                    self._arrived.clear()
                    continue
                started = loop.time()
                self._pace.cut(len(batch), started)
                limits = self._chain.config.batch
                latest = started + limits.batch_timeout_ms / 1000
                next_cut = min(self._pace.next_cut(limits.min_interval_ms, started), latest)
                await self._order(batch)
                took_s = loop.time() - started
                self._pace.ordered(took_s)
                self._on_batch(len(batch), took_s)
        finally:
            _settle(self._cutter.drain(), OrdererStopping("this orderer is stopping"))

    async def _wait_until(self, next_cut: float) -> None:
        """Until the next batch may be cut: at this time, or as soon as it is whole if no peer is behind."""
        loop = asyncio.get_running_loop()
        if next_cut <= loop.time():
            await asyncio.sleep(0)  # what this turn of the loop brings goes along
            return
        try:
            async with asyncio.timeout_at(next_cut):
                while not self._cutter.full or self._pace.backlog(loop.time()) > 1:
                    self._full.clear()
                    await self._full.wait()
        except TimeoutError:
            pass

    async def _order(self, batch: _Batch) -> None:
        entry = entry_of(self._clock_us(), [item.envelope for item in batch])
        try:
            if batch[0].envelope.startswith(CONFIG_PREFIX):
                await self._check_orderers(batch[0].envelope)
            self._proposed = await self._consensus.propose(self._chain.channel, entry)
        except GridLedgerError as error:
            _log.warning("a batch of %d was not ordered: %s", len(batch), error, extra={"channel": self._chain.channel})
            _settle(batch, error)
            if isinstance(error, NotLeader):
                _settle(self._cutter.drain(), error)
        except asyncio.CancelledError:
            _settle(batch, OrdererStopping("this orderer is stopping"))
            raise
        else:
            _settle(batch, None)

    async def _check_orderers(self, envelope: bytes) -> None:
        """Raise :class:`OrderersChanging` where a config update changes the orderers before Raft has followed the last
        one. Judged when all that was proposed before is applied, by the configuration that then holds."""
        chain, channel = self._chain, self._chain.channel
        ready = self._consensus.leadership(channel).ready
        if not (ready and await chain.wait_applied(self._proposed, SETTLE_S)):
            raise NoLeader(f"the leader of {channel} has not applied what came before: try again")
        following, departing = await chain.orderers_in(envelope)
        config, membership = chain.config, self._consensus.status(channel).membership
        forgotten = config.departing_orderers.keys() - departing
        check_change(config.orderers.keys(), following, membership, forgotten)


def _settle(batch: _Batch, error: GridLedgerError | None) -> None:
    for item in batch:
        item.token.receipt.settle(item.token.number, error)
