"""Which channels an orderer takes part in: those of its settings, those it was told to join, less those it left.

What is joined and left at run time is durable before it is acknowledged (gridledger/channel_record.py). A channel's
log is begun once: by the first start for the channels of the settings, by the join for the others. Where it is missing
later the orderer does not start.
"""

from __future__ import annotations

import asyncio
import logging
from contextlib import AsyncExitStack
from pathlib import Path
from typing import Any, Protocol

from gridledger.channel_record import JOINED, LEAVING, ChannelRecord
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import ConflictError, CorruptionError, LimitError, PermissionDeniedError, SettingsError
from gridledger.identity.msp import Identity
from gridledger.incarnation import Incarnation
from gridledger.protocol import Block
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.errors import ChannelUnknown
from gridledger.protocol.joining import BadJoinBlock, ConfigBlock, Joining, OtherChannel
from services.orderer.chain import Chain
from services.orderer.channel_opener import ChannelOpener
from services.orderer.orderer import Channel, Orderer
from services.orderer.raft.interface import Consensus

MAX_CHANNELS = 1000
_log = logging.getLogger(__name__)


class TrustedRoots(Protocol):
    """The TLS side of this orderer's edge: the part of ServerTLS that a config changes."""

    def extend_roots(self, pem: str) -> None: ...


class StillOrderer(ConflictError):
    """The channel's config still has this orderer: if it left, the others would wait for its votes."""

    code = "STILL_ORDERER"


class Participation:
    """The channels of one orderer. Made, opened and closed by ``open_orderer``."""

    def __init__(
        self,
        orderer: Orderer,
        opener: ChannelOpener,
        record: ChannelRecord,
        incarnation: Incarnation,
        *,
        disk: Disk = SYSTEM_DISK,
        tls: TrustedRoots | None = None,
    ) -> None:
        self._tls = tls
        self._orderer = orderer
        self._settings = orderer.settings
        self._consensus: Consensus = orderer.consensus
        self._opener = opener
        self._record = record
        self._incarnation = incarnation
        self._disk = disk
        self._chains: dict[str, Chain] = {}
        self._changing = asyncio.Lock()
        opener.on_config = self._follow

    # the start and the end

    async def open_all(self) -> None:
        """Take part in all channels, and remove what remains of those that were left."""
        for name in self._record.leaving():
            await self._remove(name)
        genesis = {name: self._genesis_of(name) for name in self._record.channels(self._settings.channels)}
        for name, block in genesis.items():
            self._chains[name] = chain = self._opener.open_chain(block)
            chain.given = self._given(name, block)
        if not self._incarnation.begun:
            for name, chain in self._chains.items():
                if not self._record.entry(name)["state"]:
                    await self._begin_log(chain, self._incarnation.raft_id)
            self._incarnation = self._incarnation.with_log()
            self._incarnation.write(self._settings.data, self._disk)
        for name in genesis:
            await self._enter(name)

    async def close_all(self) -> None:
        """Close all chains; the consensus engine has stopped."""
        async with AsyncExitStack() as stack:
            for chain in self._chains.values():
                stack.push_async_callback(self._opener.close_chain, chain)

    def _genesis_of(self, name: str) -> Block:
        if self._record.entry(name)["state"] == JOINED:
            return Block.from_bytes(self._record.genesis(name))
        path = self._settings.genesis / f"{name}.genesis"
        return Block.from_bytes(_read(path, "the genesis block"))

    async def _begin_log(self, chain: Chain, raft_id: str) -> None:
        """Begin a channel's log, where there is none. Who founds the channel is a voter from its beginning."""
        names = chain.config.orderers.keys()
        voters = names if raft_id == self._settings.name else names - {self._settings.name}
        await self._consensus.create_group(chain.channel, sorted(voters))

    async def _enter(self, name: str) -> None:
        """Open a channel whose chain is open, and serve it."""
        entry, chain = self._record.entry(name), self._chains[name]
        raft_id = self._raft_id(name)
        if entry["state"] == JOINED and not entry["begun"]:
            await self._begin_log(chain, raft_id)
            await asyncio.to_thread(self._record.keep, name, begun=True)
        channel = await self._opener.open(chain, raft_id)
        first = ConfigBlock.of(chain.store.block(0)).config
        channel.was_named = bool(entry.get("named")) or self._settings.name in first.orderers
        self._orderer.enter(channel)
        self._note_named(channel.config)
        if chain.given is not None:
            self._use(chain, chain.given)

    def _given(self, name: str, genesis: Block) -> ConfigBlock | None:
        """The newest config block that this orderer was given of a channel, by a join or beside the genesis block."""
        files = self._record.files(name, self._settings.genesis)
        return ConfigBlock.read_files(files.configs, ConfigBlock.of(genesis)) if files.configs else None

    def _use(self, chain: Chain, given: ConfigBlock) -> None:
        """Find the others by a config block ahead of the chain. The channel stops here where the chain has another."""
        if given.number < chain.height:
            try:
                given.check(chain.header(given.number))
            except CorruptionError as error:
                chain.stop(error)
                self._consensus.break_group(chain.channel, error)
        else:
            self._orderer.raft_senders.learn(given)

    def _follow(self, config: ChannelConfig) -> None:
        """Take a channel's newest config: trust its organisations' roots at the edge."""
        if self._tls is not None:
            # Roots are only added: whom no channel knows any more, the authenticator refuses.
            self._tls.extend_roots(config.msps.roots_pem())
        self._note_named(config)

    def _note_named(self, config: ChannelConfig) -> None:
        """Remember that a channel's config has this orderer, so that one that is removed later is told so."""
        name = config.channel
        channel = self._orderer.channels.get(name)
        if channel is None or channel.was_named or self._settings.name not in config.orderers:
            return
        channel.was_named = True
        if self._record.entry(name)["state"] == JOINED:
            self._record.keep(name, named=True)

    def _raft_id(self, name: str) -> str:
        """By which name Raft knows this orderer in a channel."""
        return self._record.raft_id(name, self._incarnation)

    # joining

    def check_admin(self, caller: Identity) -> None:
        """Raise :class:`PermissionDeniedError` for all but an admin of this orderer's organisation."""
        if not self._orderer.is_own_admin(caller):
            raise PermissionDeniedError(f"only an admin of {self._settings.mspid} changes or lists its nodes' channels")

    async def join(self, body: bytes) -> dict[str, Any]:
        """Join the channel of a genesis block, or take note of a newer config block of a joined one; as :meth:`told`.

        Raises BadJoinBlock, and :class:`OtherChannel` where this orderer has another channel of that name.
        """
        joining = await asyncio.to_thread(Joining.from_bytes, body)
        name = joining.genesis.config.channel
        async with self._changing:
            if name in self._orderer.channels:
                self._check_same(name, joining.genesis, self._chains[name].header(0).hash)
                if joining.newest is not None:
                    await self._renew(self._chains[name], joining.newest)
                return self.told(name)
            await self._join(name, joining)
            return self.told(name)

    async def _renew(self, chain: Chain, newest: ConfigBlock) -> None:
        """Take a newer config block of a joined channel."""
        if newest.number < chain.height:
            try:
                newest.check(chain.header(newest.number))
            except CorruptionError as error:
                raise BadJoinBlock(error.message) from None
        elif chain.given is None or newest.number >= chain.given.number:
            await asyncio.to_thread(self._record.renew, chain.channel, newest.block.to_bytes())
            chain.given = newest
            self._use(chain, newest)

    def _check_same(self, name: str, genesis: ConfigBlock, present: str) -> None:
        if genesis.hash != present:
            raise OtherChannel(
                f"{self._settings.name} has a channel {name} that begins with another genesis block ({present[:16]}); "
                f"the one given is {genesis.hash[:16]}",
                present=present,
                given=genesis.hash,
            )

    async def _join(self, name: str, joining: Joining) -> None:
        entry = self._record.entry(name)
        if entry["state"] == LEAVING:
            await self._remove(name)
        if entry["state"] == JOINED:
            self._check_same(name, joining.genesis, entry["genesis_hash"])
        else:
            if len(self._orderer.channels) >= MAX_CHANNELS:
                raise LimitError(f"{self._settings.name} has {MAX_CHANNELS} channels, which is all it takes")
            raft_id = self._new_raft_id(name, joining.genesis)
            newest = None if joining.newest is None else joining.newest.block.to_bytes()
            await asyncio.to_thread(
                self._record.join,
                name,
                joining.genesis.block.to_bytes(),
                newest,
                genesis_hash=joining.genesis.hash,
                raft_id=raft_id,
                begun=False,
            )
            how = "as one of those that begin it" if raft_id == self._settings.name else "as one that is to be added"
            _log.info("joins the channel %s (%s)", how, raft_id, extra={"channel": name})
        if name not in self._chains:
            chain = await asyncio.to_thread(self._opener.open_chain, joining.genesis.block)
            chain.given = joining.newest
            self._chains[name] = chain
        await self._enter(name)

    def _new_raft_id(self, name: str, genesis: ConfigBlock) -> str:
        """By which name this orderer joins: its own where it is one of the first orderers and cannot have taken part
        before, else one that Raft has not heard of."""
        entry, incarnation = self._record.entry(name), self._incarnation
        node = genesis.config.orderers.get(self._settings.name)
        founds = node is not None and node.mspid == self._settings.mspid
        if founds and not entry["state"] and incarnation.may_begin(genesis.block.header.timestamp_us):
            return incarnation.node
        if entry.get("member") and entry.get("raft_id") == incarnation.joiner_id:
            raise ConflictError(
                f"{incarnation.node} left {name} by force while it took part as {incarnation.joiner_id}, and has "
                f"forgotten how it voted: let it join anew (gridledger orderer readmit {incarnation.node})"
            )
        return incarnation.joiner_id

    # leaving

    async def leave(self, name: str, *, force: bool) -> None:
        """Leave a channel for good: its Raft log and its blocks are removed.

        Raises ChannelUnknown, and :class:`StillOrderer` unless ``force`` where the channel's config has this orderer
        or Raft is about to remove it.
        """
        async with self._changing:
            state = self._record.entry(name)["state"]
            if name not in self._orderer.channels and state not in (JOINED, LEAVING):
                raise ChannelUnknown(f"{self._settings.name} takes no part in a channel {name!r}")
            if state != LEAVING:
                member = name in self._orderer.channels and self._is_member(name)
                if member and not force:
                    raise StillOrderer(
                        f"{name} still has the orderer {self._settings.name}, whose votes the others would miss: "
                        "remove it from the channel's config first, or force it (?force=true)"
                    )
                await self._orderer.hand_over_channel(name)
                kept = {"raft_id": self._raft_id(name), "member": member}
                await asyncio.to_thread(self._record.leave, name, **kept)
                _log.warning("leaves the channel%s", " by force" if member else "", extra={"channel": name})
            await self._remove(name)

    def _is_member(self, name: str) -> bool:
        """Whether the others count on this orderer, as far as it knows: the config has it, or a leader still talks to
        it as to a voter."""
        if self._settings.name in self._config(name).orderers:
            return True
        status = self._consensus.status(name)
        return status.leader is not None and self._raft_id(name) in status.membership.voters

    def _config(self, name: str) -> ChannelConfig:
        """The newest configuration that is known of a channel."""
        return self._orderer.raft_senders.config_of(name)

    async def _remove(self, name: str) -> None:
        """Remove a channel that is noted as left; goes on where it ended last."""
        if name in self._orderer.channels:
            await self._orderer.leave(name)
        chain = self._chains.pop(name, None)
        if chain is not None:
            chain.stop(ChannelUnknown(f"{self._settings.name} has left it"))  # who reads blocks now hears it
        self._opener.forget(name)
        await self._consensus.remove_group(name)
        if chain is not None:
            await self._opener.close_chain(chain)
        await asyncio.to_thread(self._opener.remove_blocks, name)
        self._opener.forget(name)
        await asyncio.to_thread(self._record.forget, name)

    # listing

    def channels(self) -> list[str]:
        """All channels, also one that was joined and could not be opened."""
        return sorted({*self._orderer.channels, *self._record.channels([])})

    def told(self, name: str) -> dict[str, Any]:
        """A channel as Fabric's osnadmin tells of it; ChannelUnknown where this orderer does not take part.

        ``removed``: the config had this orderer, and has it no more. ``onboarding``: it is not a voter yet.
        """
        channel = self._orderer.channels.get(name)
        if channel is None and name not in self.channels():
            raise ChannelUnknown(f"{self._settings.name} takes no part in a channel {name!r}")
        named = channel is not None and self._settings.name in self._config(name).orderers
        return {
            "name": name,
            "status": "failed" if channel is None else self._status(channel, named=named),
            "consensusRelation": "consenter" if named else "follower",
            "height": 0 if channel is None else channel.chain.height,
        }

    def _status(self, channel: Channel, *, named: bool) -> str:
        chain = channel.chain
        raft = self._consensus.status(chain.channel)
        if raft.broken is not None or chain.fault is not None:
            return "failed"
        if named:
            return "active" if channel.raft_id in raft.membership.voters else "onboarding"
        return "removed" if channel.was_named else "onboarding"


def _read(path: Path, what: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise SettingsError(f"cannot read {what} {path}: {error.strerror}") from None
