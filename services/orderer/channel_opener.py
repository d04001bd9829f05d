"""Opening and closing one channel on an orderer: its chain, its Raft group, what orders and checks it, its metrics."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable
from functools import partial
from pathlib import Path

from gridledger.disk import Disk
from gridledger.errors import GridLedgerError
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import no_log
from gridledger.protocol import Block, ChannelConfig
from gridledger.protocol.block import BlockHeader
from services.orderer import metrics
from services.orderer.block_store import BlockStore
from services.orderer.chain import Chain
from services.orderer.clock_bound import ClockBound
from services.orderer.comparing import Comparing
from services.orderer.config_judge import OffLoop
from services.orderer.membership_follower import MembershipFollower
from services.orderer.orderer import Channel
from services.orderer.other_orderers import OtherOrderers
from services.orderer.raft.errors import LogMissing
from services.orderer.raft.interface import Consensus, Leadership
from services.orderer.scrubbing import Scrubbing
from services.orderer.sequencer import Sequencer
from services.orderer.settings import OrdererSettings

_log = logging.getLogger(__name__)


class ChannelOpener:
    """Opens the channels of one orderer, at its start and at run time, and closes them.

    ``off_loop`` judges the config updates that are ordered.
    """

    def __init__(
        self,
        settings: OrdererSettings,
        identity: SigningIdentity,
        others: OtherOrderers,
        consensus: Consensus,
        *,
        clock_us: Callable[[], int],
        disk: Disk,
        off_loop: OffLoop,
    ) -> None:
        self._settings = settings
        self._identity = identity
        self._others = others
        self._consensus = consensus
        self._clock_us = clock_us
        self._disk = disk
        self._off_loop = off_loop
        self.on_config: Callable[[ChannelConfig], None] = lambda _: None
        """Hears each channel's configuration, at its opening and when another one is known."""

    def open_chain(self, genesis: Block) -> Chain:
        """A channel's blocks on the disk. :meth:`open` or :meth:`close_chain` follows."""
        store = BlockStore.open(self._folder(genesis.header.channel), self._disk)
        try:
            chain = Chain.open(store, genesis, self._identity, self._others.fetch, self._off_loop)
        except BaseException:
            store.close()
            raise
        chain.on_block = _count_block
        chain.on_leadership = _note_leadership
        metrics.HEIGHT.labels(chain.channel).set(chain.height)
        return chain

    async def open(self, chain: Chain, raft_id: str) -> Channel:
        """Take part, by this name, in a channel whose chain is open and whose log was created; NoLog where it was
        not."""
        name = chain.channel
        self._follow(chain.config)
        follower = self._follower(chain, raft_id)

        def on_config(config: ChannelConfig) -> None:
            self._follow(config)
            follower.wake()

        chain.on_config = on_config
        bound = ClockBound(name, self._clock_us, self._settings.limits.max_clock_ahead_s)
        scrub = self._settings.checks.scrub_bytes_per_s
        channel = Channel(
            chain,
            self._sequencer(chain),
            self._comparing(chain),
            Scrubbing(chain, scrub, metrics.DAMAGED.labels(name).set),
            follower,
            bound,
            raft_id=raft_id,
        )
        try:
            await self._consensus.add_group(
                name,
                (),
                chain,
                applied=chain.store.applied,
                accepts=bound.accepts,
                create=False,
                node_id=raft_id,
            )
        except LogMissing:
            raise no_log(self._settings.name, self._settings.data, name) from None
        metrics.BROKEN.labels(name).set_function(partial(_broken, self._consensus, name))
        metrics.DENIALS.labels(name).set_function(partial(_denials, self._consensus, name))
        return channel

    def _follow(self, config: ChannelConfig) -> None:
        self._others.follow(config)
        self.on_config(config)

    def _folder(self, name: str) -> Path:
        return self._settings.data / "blocks" / name

    def forget(self, name: str) -> None:
        """Dial a channel's orderers no more, and measure nothing of it."""
        self._others.forget(name)
        metrics.forget(name)

    def remove_blocks(self, name: str) -> None:
        """Remove a channel's blocks, which are closed, for good."""
        BlockStore.remove(self._folder(name), self._disk)

    async def close_chain(self, chain: Chain) -> None:
        """Close a channel's blocks; its group takes no part any more.

        After a failure nothing of this node is declared durable: what its disk holds is read at the next start.
        """
        try:
            if not (self._consensus.failed or chain.store.failed):
                await asyncio.to_thread(chain.store.sync)
        finally:
            chain.store.close()

    def _sequencer(self, chain: Chain) -> Sequencer:
        seconds, envelopes = metrics.BATCH_SECONDS.labels(chain.channel), metrics.BATCH_ENVELOPES.labels(chain.channel)

        def on_batch(count: int, took_s: float) -> None:
            envelopes.observe(count)
            seconds.observe(took_s)

        sequencer = Sequencer(
            chain,
            self._consensus,
            limits=self._settings.limits,
            pacing=self._settings.pacing,
            clock_us=self._clock_us,
            on_batch=on_batch,
        )
        metrics.QUEUED.labels(chain.channel).set_function(lambda: sequencer.queued)
        metrics.BACKLOG.labels(chain.channel).set_function(sequencer.backlog)
        return sequencer

    def _follower(self, chain: Chain, raft_id: str) -> MembershipFollower:
        timing, name, consensus = self._settings.raft, chain.channel, self._consensus
        timeout_s = timing.tick_s * timing.election_ticks
        follower = MembershipFollower(raft_id, chain, consensus, self._others.announce, timeout_s)
        for gauge, value in (
            (metrics.VOTERS, lambda: len(consensus.status(name).membership.voters)),
            (metrics.LEARNERS, lambda: len(consensus.status(name).membership.learners)),
            (metrics.CHANGING, lambda: bool(follower.step)),
            (metrics.CATCH_UP_ROUND, lambda: max((item["round"] for item in follower.learners()), default=0)),
            (metrics.CATCH_UP_BEHIND, lambda: max((item["behind"] for item in follower.learners()), default=0)),
            (metrics.REMOVED, lambda: follower.removed),
        ):
            gauge.labels(name).set_function(value)
        return follower

    def _comparing(self, chain: Chain) -> Comparing:
        def stop(error: GridLedgerError) -> None:
            chain.stop(error)
            self._consensus.break_group(chain.channel, error)

        different = metrics.DIFFERENT.labels(chain.channel)
        return Comparing(
            self._settings.name,
            chain,
            self._others.hashes,
            stop,
            self._settings.checks.compare_s,
            on_found=lambda found: different.set(len(found.differ)),
        )


def _count_block(header: BlockHeader, envelopes: int) -> None:
    metrics.BLOCKS.labels(header.channel).inc()
    metrics.TRANSACTIONS.labels(header.channel).inc(envelopes)
    metrics.HEIGHT.labels(header.channel).set(header.number + 1)


def _note_leadership(leadership: Leadership) -> None:
    metrics.IS_LEADER.labels(leadership.group).set(leadership.is_self)
    metrics.TERM.labels(leadership.group).set(leadership.term)
    _log.info("leader is %s in term %d", leadership.leader, leadership.term, extra={"channel": leadership.group})


def _broken(consensus: Consensus, name: str) -> int:
    return int(consensus.status(name).broken is not None)


def _denials(consensus: Consensus, name: str) -> int:
    return consensus.status(name).denials
