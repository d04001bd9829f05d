"""Opening an orderer: its data on the disk, its chains, the consensus engine under them, its connections."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import SettingsError
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import Incarnation
from gridledger.protocol import Block
from services.orderer.block_store import check_format
from services.orderer.chain import Chain
from services.orderer.channel_opener import ChannelOpener
from services.orderer.config_judge import ConfigThread
from services.orderer.lives import Lives
from services.orderer.orderer import Orderer
from services.orderer.other_orderers import OtherOrderers
from services.orderer.raft.interface import Consensus, RaftSettings
from services.orderer.raft.node import RaftNode
from services.orderer.settings import OrdererSettings


@asynccontextmanager
async def open_orderer(
    settings: OrdererSettings, *, clock_us: Callable[[], int], random: Random, disk: Disk = SYSTEM_DISK
) -> AsyncIterator[Orderer]:
    """Open an orderer's data, which lies on ``disk``, take part in its channels, and close everything at the end."""
    identity = SigningIdentity.load(settings.identity)
    others = OtherOrderers(settings.name, identity, _read_text(settings.roots), timeout_s=5.0, random=random)
    incarnation = _incarnation(settings, disk).started(f"{random.getrandbits(32):08x}")
    incarnation.write(settings.data, disk)
    others.life = incarnation.life
    # One thread for what is ordered and another for what is submitted: blocks wait for no strangers' updates.
    off_loop, submissions = ConfigThread(), ConfigThread()
    genesis = {name: _read_genesis(settings.genesis / f"{name}.genesis") for name in settings.channels}
    consensus = await RaftNode.open(
        incarnation.raft_id, settings.data / "raft", others, _raft_settings(settings), random=random, disk=disk
    )
    opener = ChannelOpener(settings, identity, others, consensus, clock_us=clock_us, disk=disk, off_loop=off_loop)
    chains: dict[str, Chain] = {}
    orderer = Orderer(
        settings,
        consensus,
        {},
        certificate=identity.certificate,
        clock_us=clock_us,
        peek=others.peek,
        lives=Lives(settings.data, disk),
        off_loop=submissions,
    )
    try:
        for name, block in genesis.items():
            chains[name] = opener.open_chain(block)
        if not incarnation.begun:
            await _begin_logs(settings.name, incarnation, chains, consensus)
            incarnation.with_log().write(settings.data, disk)
        for chain in chains.values():
            orderer.enter(await opener.open(chain))
        yield orderer
    finally:
        orderer.raft_senders.close()
        await consensus.stop()
        for chain in chains.values():
            await opener.close_chain(chain)
        await others.close()
        off_loop.close()
        submissions.close()


async def _begin_logs(node: str, incarnation: Incarnation, chains: dict[str, Chain], consensus: Consensus) -> None:
    for name, chain in chains.items():
        voters = chain.config.orderers.keys() - ({node} if incarnation.joins else set())
        await consensus.create_group(name, sorted(voters))


def _incarnation(settings: OrdererSettings, disk: Disk) -> Incarnation:
    """This orderer's incarnation. A data folder of before there were any is told by its format."""
    for name in settings.channels:
        check_format(settings.data / "blocks" / name, disk)
    return Incarnation.read(settings.data, settings.name, disk)


def _read_genesis(path: Path) -> Block:
    try:
        return Block.from_bytes(path.read_bytes())
    except OSError as error:
        raise SettingsError(f"cannot read the genesis block {path}: {error.strerror}") from None


def _raft_settings(settings: OrdererSettings) -> RaftSettings:
    timing = settings.raft.model_dump()
    return RaftSettings(**timing)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
