"""Which channels a peer is on: those of its settings, those it was told to join, less those it left.

What is joined and left at run time is durable before it is acknowledged (gridledger/channel_record.py).
"""

from __future__ import annotations

import asyncio
import logging
import shutil
from pathlib import Path
from typing import Any

from gridledger.channel_record import JOINED, LEAVING, ChannelRecord
from gridledger.errors import CorruptionError, LimitError, PermissionDeniedError
from gridledger.identity.msp import Identity
from gridledger.ledger import Ledger
from gridledger.protocol.errors import ChannelUnknown
from gridledger.protocol.joining import BadJoinBlock, ConfigBlock, Joining, OtherChannel
from services.peer.channel import Channel
from services.peer.committers import Committers
from services.peer.peer import Peer

MAX_CHANNELS = 100
_STATUS = {"peer": "active", "removed": "removed", "awaited": "onboarding"}
_log = logging.getLogger(__name__)


class Participation:
    """The channels of one peer. Made by ``open_peer``."""

    def __init__(self, peer: Peer, committers: Committers, record: ChannelRecord) -> None:
        self._peer = peer
        self._settings = peer.settings
        self._committers = committers
        self._record = record
        self._changing = asyncio.Lock()
        peer.on_config = self._note_named

    async def open_all(self) -> None:
        """Begin with all channels, and remove what remains of those that were left."""
        for name in self._record.leaving():
            await self._remove(name)
        names = self._record.channels(self._settings.channels)
        await self._committers.start(names)
        for name in names:
            self._enter(name)

    def check_admin(self, caller: Identity) -> None:
        """Raise :class:`PermissionDeniedError` for all but an admin of this peer's organisation."""
        if not self._peer.is_own_admin(caller):
            raise PermissionDeniedError(f"only an admin of {self._settings.mspid} changes or lists its nodes' channels")

    async def join(self, body: bytes) -> dict[str, Any]:
        """Join the channel of a genesis block, or take note of a newer config block of a joined one; as :meth:`told`.

        Raises BadJoinBlock, OtherChannel where this peer has another channel of that name, and CommitterFailed.
        """
        joining = await asyncio.to_thread(Joining.from_bytes, body)
        name = joining.genesis.config.channel
        async with self._changing:
            if name in self._peer.channels:
                self._check_same(name, joining.genesis)
                if joining.newest is not None:
                    await self._renew(self._peer.channels[name], joining)
            else:
                await self._join(name, joining)
            return self.told(name)

    async def _renew(self, channel: Channel, joining: Joining) -> None:
        """Take a newer config block of a joined channel: its committer, started again, finds the orderers by it."""
        newest, name = joining.newest, channel.name
        assert newest is not None  # noqa: S101 - the caller looked
        if newest.number < channel.height:
            try:
                newest.check(channel.ledger.block(newest.number).header)
            except CorruptionError as error:
                raise BadJoinBlock(error.message) from None
            return
        known = ConfigBlock.read_files(self._record.files(name, self._settings.genesis).configs, joining.genesis)
        if known is None or newest.number >= known.number:
            await asyncio.to_thread(self._record.renew, name, newest.block.to_bytes())
            await self._committers.renew(name)

    def _check_same(self, name: str, genesis: ConfigBlock) -> None:
        present = self._peer.channels[name].ledger.block(0).header.hash
        if genesis.hash != present:
            raise OtherChannel(
                f"{self._settings.name} has a channel {name} that begins with another genesis block ({present[:16]}); "
                f"the one given is {genesis.hash[:16]}",
                present=present,
                given=genesis.hash,
            )

    async def _join(self, name: str, joining: Joining) -> None:
        state = self._record.entry(name)["state"]
        if state == LEAVING:
            await self._remove(name)
        there = (self._settings.ledger_directory / name).exists()
        if len(self._peer.channels.all()) >= MAX_CHANNELS:
            raise LimitError(f"{self._settings.name} is on {MAX_CHANNELS} channels, which is all it takes")
        if state != JOINED:
            newest = None if joining.newest is None else joining.newest.block.to_bytes()
            await asyncio.to_thread(self._record.join, name, joining.genesis.block.to_bytes(), newest)
        try:
            await self._committers.add(name)
            self._enter(name)
        except BaseException:
            # Nothing of the channel was acknowledged: what there is of it goes again, now or at the next start.
            await asyncio.to_thread(self._record.leave, name)
            await asyncio.shield(self._remove(name, with_ledger=not there))
            raise
        _log.info("%s: this peer has joined", name)
        await self._peer.prepare()

    def _enter(self, name: str) -> None:
        ledger = Ledger.open(self._settings.ledger_directory, name, readonly=True)
        node = self._settings.name
        named = self._record.entry(name).get("named") or node in ConfigBlock.of(ledger.block(0)).config.peers
        channel = Channel(ledger, node, was_named=bool(named))
        self._peer.enter(channel)
        self._note_named(channel)

    def _note_named(self, channel: Channel) -> None:
        """Remember that a channel's config has this peer, so that one that is removed later says so."""
        entry = self._record.entry(channel.name)
        if channel.is_named and entry["state"] == JOINED and not entry.get("named"):
            self._record.keep(channel.name, named=True)

    async def leave(self, name: str, *, force: bool) -> None:
        """Leave a channel for good: its ledger is removed. Raises ChannelUnknown.

        A peer has no vote, and what it held the orderers and other peers hold: it may always leave, ``force`` or not.
        """
        del force
        async with self._changing:
            state = self._record.entry(name)["state"]
            if name not in self._peer.channels and state != LEAVING:
                raise ChannelUnknown(f"{self._settings.name} is not on a channel {name!r}")
            if state != LEAVING:
                await asyncio.to_thread(self._record.leave, name)
                _log.warning("%s: this peer leaves", name)
            await self._remove(name)
            await self._peer.prepare()

    async def _remove(self, name: str, *, with_ledger: bool = True) -> None:
        """Remove a channel that is noted as left; goes on where it ended last."""
        await self._committers.remove(name)
        folder, removed = self._settings.ledger_directory / name, self._settings.data / "removed" / name
        if with_ledger and folder.exists():
            # Away first: chaincode hosts that start meanwhile are given each ledger that there is.
            await asyncio.to_thread(_move, folder, removed)
        await self._peer.leave(name)
        await asyncio.to_thread(shutil.rmtree, removed, ignore_errors=True)
        await asyncio.to_thread(self._record.forget, name)

    def channels(self) -> list[str]:
        """All channels."""
        return [channel.name for channel in self._peer.channels.all()]

    def told(self, name: str) -> dict[str, Any]:
        """A channel as Fabric's osnadmin tells of it; ChannelUnknown where this peer is not on it.

        ``removed``: the config had this peer, and has it no more. ``onboarding``: it has not had it yet.
        """
        channel = self._peer.channels[name]
        return {
            "name": name,
            "status": _STATUS[channel.standing],
            "consensusRelation": "other",
            "height": channel.height,
        }


def _move(folder: Path, to: Path) -> None:
    """Move a folder in place of what may be left of an earlier one."""
    shutil.rmtree(to, ignore_errors=True)
    to.parent.mkdir(exist_ok=True)
    folder.rename(to)
