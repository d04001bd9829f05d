"""Opening an orderer: its data on the disk, its chains, the consensus engine under them, its connections."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random

from gridledger.channel_record import ChannelRecord
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import SettingsError
from gridledger.identity.local_msp import LocalMSP
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import Incarnation
from services.orderer.block_store import check_format
from services.orderer.channel_opener import ChannelOpener
from services.orderer.config_judge import ConfigThread
from services.orderer.lives import Lives
from services.orderer.orderer import Orderer
from services.orderer.other_orderers import OtherOrderers
from services.orderer.participation import Participation, TrustedRoots
from services.orderer.raft.interface import RaftSettings
from services.orderer.raft.node import RaftNode
from services.orderer.settings import OrdererSettings


@asynccontextmanager
async def open_orderer(
    settings: OrdererSettings,
    *,
    clock_us: Callable[[], int],
    random: Random,
    disk: Disk = SYSTEM_DISK,
    tls: TrustedRoots | None = None,
    clock: Callable[[], float] = time.monotonic,
    thread_clock: Callable[[], float] = time.thread_time,
) -> AsyncIterator[Orderer]:
    """Open an orderer's data, which lies on ``disk``, take part in its channels, and close everything at the end.

    ``tls``: its edge, which trusts the roots of all organisations of its channels, of those that join later too.
    ``clock``, ``thread_clock``: as :class:`Orderer` has them.
    """
    identity = SigningIdentity.load(settings.identity)
    local = LocalMSP.open(settings.identity, settings.mspid)
    others = OtherOrderers(settings.name, identity, _read_text(settings.roots), timeout_s=5.0, random=random)
    record = ChannelRecord(settings.data, disk)
    incarnation = _incarnation(settings, record, disk).started(f"{random.getrandbits(32):08x}", clock_us())
    incarnation.write(settings.data, disk)
    others.life = incarnation.life
    # One thread for what is ordered and another for what is submitted: blocks wait for no strangers' updates.
    off_loop, submissions = ConfigThread(), ConfigThread()
    consensus = await RaftNode.open(
        incarnation.raft_id, settings.data / "raft", others, _raft_settings(settings), random=random, disk=disk
    )
    opener = ChannelOpener(settings, identity, others, consensus, clock_us=clock_us, disk=disk, off_loop=off_loop)
    orderer = Orderer(
        settings,
        consensus,
        {},
        certificate=identity.certificate,
        local=local,
        clock_us=clock_us,
        peek=others.peek,
        lives=Lives(settings.data, disk),
        off_loop=submissions,
        clock=clock,
        thread_clock=thread_clock,
    )
    participation = Participation(orderer, opener, record, incarnation, disk=disk, tls=tls)
    orderer.participation = participation
    try:
        await participation.open_all()
        yield orderer
    finally:
        orderer.raft_senders.close()
        await consensus.stop()
        await participation.close_all()
        await others.close()
        off_loop.close()
        submissions.close()


def _incarnation(settings: OrdererSettings, record: ChannelRecord, disk: Disk) -> Incarnation:
    """This orderer's incarnation. A data folder of before there were any is told by its format."""
    for name in record.channels(settings.channels):
        check_format(settings.data / "blocks" / name, disk)
    return Incarnation.read(settings.data, settings.name, disk)


def _raft_settings(settings: OrdererSettings) -> RaftSettings:
    timing = settings.raft.model_dump()
    return RaftSettings(**timing)


def _read_text(path: Path) -> str:
    try:
        return path.read_text(encoding="ascii")
    except OSError as error:
        raise SettingsError(f"cannot read {path}: {error.strerror}") from None
