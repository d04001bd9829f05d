"""Opening an orderer: its data on the disk, its chains, the consensus engine under them, its connections."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path
from random import Random

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import GridLedgerError, SettingsError
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import Incarnation, no_log
from gridledger.protocol import Block
from gridledger.protocol.block import BlockHeader
from services.orderer import metrics
from services.orderer.block_store import BlockStore, check_format
from services.orderer.chain import Chain
from services.orderer.clock_bound import ClockBound
from services.orderer.comparing import AskHashes, Comparing
from services.orderer.config_judge import ConfigThread, OffLoop
from services.orderer.lives import Lives
from services.orderer.orderer import Channel, Orderer
from services.orderer.other_orderers import OtherOrderers
from services.orderer.raft.errors import LogMissing
from services.orderer.raft.interface import Consensus, Leadership, RaftSettings
from services.orderer.raft.node import RaftNode
from services.orderer.scrubbing import Scrubbing
from services.orderer.sequencer import Sequencer
from services.orderer.settings import OrdererSettings

_log = logging.getLogger(__name__)


@asynccontextmanager
async def open_orderer(
    settings: OrdererSettings, *, clock_us: Callable[[], int], random: Random, disk: Disk = SYSTEM_DISK
) -> AsyncIterator[Orderer]:
    """Open an orderer's data, which lies on ``disk``, take part in its channels, and close everything at the end."""
    identity = SigningIdentity.load(settings.identity)
    roots = _read_text(settings.roots)
    others = OtherOrderers(settings.name, identity, roots, timeout_s=5.0, random=random)
    incarnation = _incarnation(settings, disk).started(f"{random.getrandbits(32):08x}")
    incarnation.write(settings.data, disk)
    others.life = incarnation.life
    # One thread for what is ordered and another for what is submitted: blocks wait for no strangers' updates.
    off_loop, submissions = ConfigThread(), ConfigThread()
    chains = {
        name: _open_chain(settings, name, identity, others, disk=disk, off_loop=off_loop) for name in settings.channels
    }
    consensus = await RaftNode.open(
        incarnation.raft_id, settings.data / "raft", others, _raft_settings(settings), random=random, disk=disk
    )
    try:
        if not incarnation.begun:
            for name, chain in chains.items():
                voters = chain.config.orderers.keys() - ({settings.name} if incarnation.joins else set())
                await consensus.create_group(name, sorted(voters))
            incarnation.with_log().write(settings.data, disk)
        channels = {}
        for name, chain in chains.items():
            others.follow(chain.config)
            chain.on_config = others.follow
            bound = ClockBound(name, clock_us, settings.limits.max_clock_ahead_s)
            channels[name] = Channel(
                chain,
                _sequencer(chain, consensus, settings, clock_us),
                _comparing(chain, consensus, settings, others.hashes),
                Scrubbing(
                    chain, max(1, settings.checks.scrub_bytes_per_s // len(chains)), metrics.DAMAGED.labels(name).set
                ),
                bound,
            )
            try:
                await consensus.add_group(
                    name, (), chain, applied=chain.store.applied, accepts=bound.accepts, create=False
                )
            except LogMissing:
                raise no_log(settings.name, settings.data, name) from None
        orderer = Orderer(
            settings,
            consensus,
            channels,
            certificate=identity.certificate,
            clock_us=clock_us,
            peek=others.peek,
            lives=Lives(settings.data, disk),
            off_loop=submissions,
        )
        for name in channels:
            metrics.BROKEN.labels(name).set_function(partial(_broken, consensus, name))
            metrics.CLOCK_OFF.labels(name).set_function(partial(_clock_off, orderer, name))
            metrics.DENIALS.labels(name).set_function(partial(_denials, consensus, name))
        try:
            yield orderer
        finally:
            orderer.raft_senders.close()
    finally:
        await consensus.stop()
        for chain in chains.values():
            # After a failure nothing of this node is declared durable: what its disk holds is read at the next start.
            if not (consensus.failed or chain.store.failed):
                await asyncio.to_thread(chain.store.sync)
            chain.store.close()
        await others.close()
        off_loop.close()
        submissions.close()


def _incarnation(settings: OrdererSettings, disk: Disk) -> Incarnation:
    """This orderer's incarnation. A data folder of before there were any is told by its format."""
    for name in settings.channels:
        check_format(settings.data / "blocks" / name, disk)
    return Incarnation.read(settings.data, settings.name, disk)


def _open_chain(
    settings: OrdererSettings,
    name: str,
    identity: SigningIdentity,
    others: OtherOrderers,
    *,
    disk: Disk,
    off_loop: OffLoop,
) -> Chain:
    path = settings.genesis / f"{name}.genesis"
    try:
        genesis = Block.from_bytes(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read the genesis block {path}: {error.strerror}") from None
    store = BlockStore.open(settings.data / "blocks" / name, disk)
    chain = Chain.open(store, genesis, identity, others.fetch, off_loop)
    chain.on_block = _count_block
    chain.on_leadership = _note_leadership
    metrics.HEIGHT.labels(name).set(chain.height)
    return chain


def _sequencer(chain: Chain, consensus: Consensus, settings: OrdererSettings, clock_us: Callable[[], int]) -> Sequencer:
    seconds, envelopes = metrics.BATCH_SECONDS.labels(chain.channel), metrics.BATCH_ENVELOPES.labels(chain.channel)

    def on_batch(count: int, took_s: float) -> None:
        envelopes.observe(count)
        seconds.observe(took_s)

    sequencer = Sequencer(
        chain, consensus, limits=settings.limits, pacing=settings.pacing, clock_us=clock_us, on_batch=on_batch
    )
    metrics.QUEUED.labels(chain.channel).set_function(lambda: sequencer.queued)
    metrics.BACKLOG.labels(chain.channel).set_function(sequencer.backlog)
    return sequencer


def _comparing(chain: Chain, consensus: Consensus, settings: OrdererSettings, ask: AskHashes) -> Comparing:
    def stop(error: GridLedgerError) -> None:
        chain.stop(error)
        consensus.break_group(chain.channel, error)

    different = metrics.DIFFERENT.labels(chain.channel)
    return Comparing(
        settings.name,
        chain,
        ask,
        stop,
        settings.checks.compare_s,
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


def _clock_off(orderer: Orderer, name: str) -> int:
    return int(orderer.clock_fault(name) is not None)


def _raft_settings(settings: OrdererSettings) -> RaftSettings:
    timing = settings.raft.model_dump()
    return RaftSettings(**timing)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
