"""One channel on one orderer: the state machine that turns committed entries into blocks.

An entry is a timestamp and a batch of envelopes. Every orderer derives the same block from it, so blocks need no vote
of their own; it signs those that are made while the channel names it. A config transaction that follows from the
present configuration changes what is judged from then on.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from gridledger import framing, jsontext
from gridledger.disk import Piece
from gridledger.errors import CorruptionError, GridLedgerError, InputError, MalformedMessage
from gridledger.identity.signer import SigningIdentity
from gridledger.incarnation import node_of
from gridledger.protocol import Block, ChannelConfig, ConfigUpdate, HeaderSignature
from gridledger.protocol.block import MAX_ENVELOPES, BlockHeader, SignedBlock
from gridledger.protocol.config_update import is_config_block
from gridledger.protocol.errors import CapabilityUnknown
from gridledger.protocol.fields import MAX_INTEGER
from gridledger.protocol.joining import ConfigBlock
from services.orderer.block_store import BlockStore
from services.orderer.catching_up import CatchUp, FetchBlocks
from services.orderer.config_judge import OffLoop, judge_update
from services.orderer.errors import ChannelStopped
from services.orderer.other_signatures import OtherSignatures
from services.orderer.raft.interface import CommittedEntry, Leadership, Snapshot

_TIMESTAMP_BYTES = 8
_log = logging.getLogger(__name__)


class Chain:
    """The blocks of one channel, its configuration, and who waits for the next block.

    Implements the consensus engine's ``StateMachine``.
    """

    def __init__(
        self, channel: str, store: BlockStore, signer: SigningIdentity, fetch: FetchBlocks, off_loop: OffLoop
    ) -> None:
        self.channel = channel
        self.store = store
        self._signer = signer
        self._elsewhere = OtherSignatures(channel, fetch)
        self.config = self._stored_config()
        self.leadership: Leadership | None = None
        self.fault: GridLedgerError | None = None
        self.given: ConfigBlock | None = None
        """The newest config block that this orderer was given: the chain must lead to it."""
        self.on_leadership: Callable[[Leadership], None] = lambda _: None
        self.on_config: Callable[[ChannelConfig], None] = lambda _: None
        self.on_block: Callable[[BlockHeader, int], None] = lambda _header, _envelopes: None
        self._fetch = fetch
        self._off_loop = off_loop
        self._grown = asyncio.Event()

    @classmethod
    def open(
        cls,
        store: BlockStore,
        genesis: Block,
        signer: SigningIdentity,
        fetch: FetchBlocks,
        off_loop: OffLoop = asyncio.to_thread,
    ) -> Chain:
        """Open a channel. A store that is new begins with the genesis block; another one must have the same."""
        if store.height == 0:
            signature = _signed(signer, genesis.header).to_bytes()
            store.append(genesis.header, genesis.to_bytes(), signature, raft_index=0, config_block=0)
            store.sync()
        elif store.block(0).header.hash != genesis.header.hash:
            raise CorruptionError(
                f"{genesis.header.channel}: the stored chain begins with another genesis block; "
                "this data folder belongs to another network"
            )
        return cls(genesis.header.channel, store, signer, fetch, off_loop)

    @property
    def height(self) -> int:
        """How many blocks the channel has here."""
        return self.store.height

    @property
    def last_header(self) -> BlockHeader:
        """The newest block's header."""
        assert self.store.last_header is not None  # noqa: S101 - a chain has its genesis block
        return self.store.last_header

    def stop(self, error: GridLedgerError) -> None:
        """Serve no blocks any more: they are not the channel's."""
        self.fault = error
        self._announce()

    def check(self) -> None:
        """Raise what :meth:`stop` was called with."""
        if self.fault is not None:
            raise ChannelStopped(f"{self.channel} has stopped on this orderer: {self.fault.message}")

    async def wait_beyond(self, height: int, timeout_s: float) -> bool:
        """Wait until the channel has more than ``height`` blocks; False when it has not after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.height <= height and self.fault is None:
                    await self._grown.wait()
        except TimeoutError:
            return False
        return True

    async def wait_applied(self, index: int, timeout_s: float) -> bool:
        """Wait until the block of a Raft entry, and all before it, are here; False when not after ``timeout_s``."""
        try:
            async with asyncio.timeout(timeout_s):
                while self.store.applied < index and self.fault is None:
                    await self._grown.wait()
        except TimeoutError:
            return False
        return self.fault is None

    async def orderers_in(self, envelope: bytes) -> tuple[frozenset[str], frozenset[str]]:
        """The names of the orderers, and of those that depart, in a config transaction whose shape was checked."""
        return await self._off_loop(_orderers_in, envelope)

    async def apply(self, entries: Sequence[CommittedEntry]) -> None:
        """Make the block of each entry (``StateMachine``)."""
        durable = True
        for position, entry in enumerate(entries):
            durable &= self._may_sign
            await self._append(entry, len(entries) - position)
        if not durable:
            # What others signed is durable before it counts as applied: they may be gone when it is lost.
            await asyncio.to_thread(self.store.sync)
        self._announce()

    async def take_snapshot(self) -> bytes:
        """Make all blocks durable and name the last (``StateMachine``)."""
        await asyncio.to_thread(self.store.sync)
        return jsontext.dumps({"height": self.height, "hash": self.last_header.hash})

    async def install_snapshot(self, snapshot: Snapshot) -> None:
        """Fetch the blocks up to a snapshot from the other orderers and verify them (``StateMachine``)."""
        target: dict[str, Any] = jsontext.loads(snapshot.data)
        await CatchUp(self, self._fetch, target["height"], target["hash"], snapshot.index).run()
        self.store.applied = max(self.store.applied, snapshot.index)
        await asyncio.to_thread(self.store.sync)
        self._announce()

    def leadership_changed(self, leadership: Leadership) -> None:
        """Note who leads (``StateMachine``)."""
        leader = leadership.leader
        self.leadership = replace(leadership, leader=leader and node_of(leader))
        self.on_leadership(self.leadership)

    async def _append(self, entry: CommittedEntry, most: int) -> None:
        try:
            timestamp_us, envelopes = read_entry(entry.data)
        except InputError as error:
            # No orderer makes a block of it, so the chain goes on, alike everywhere.
            _log.error("entry %d is no batch: %s", entry.index, error, extra={"channel": self.channel})
            return
        last = self.last_header
        block = Block.build(
            channel=self.channel,
            number=self.height,
            previous_hash=last.hash,
            # A new leader's clock may be behind the old one's; a channel's time never goes back.
            timestamp_us=max(timestamp_us, last.timestamp_us),
            envelopes=envelopes,
        )
        # Behind its header a block is what the entry is behind its timestamp.
        behind = memoryview(entry.data)[4 + _TIMESTAMP_BYTES :]
        pieces = (framing.frame(block.header.text.encode()), behind)
        await self._store_block(block, pieces, await self._signature(block, most), entry.index)
        self.on_block(block.header, len(envelopes))

    def header(self, number: int) -> BlockHeader:
        """One block's header."""
        return self.store.record(number).header()

    async def _signature(self, block: Block, most: int) -> HeaderSignature:
        """Under which to keep a block that was derived from the log: this orderer's, where the channel names it."""
        if self._may_sign:
            return _signed(self._signer, block.header)
        while True:
            found = await self._elsewhere.find(block, most, self.check_fetched)
            if found is not None:
                return found
            subject = self._signer.certificate.subject_der
            if any(node.certificate.subject_der == subject for node in self.config.orderers.values()):
                return _signed(self._signer, block.header)  # it is named, under a certificate that it had before

    @property
    def config(self) -> ChannelConfig:
        """The configuration that holds after the newest block."""
        return self._config

    @config.setter
    def config(self, config: ChannelConfig) -> None:
        self._config = config
        self._may_sign = self._signer.fingerprint in config.orderers_by_fingerprint

    def check_fetched(self, record: bytes) -> SignedBlock:
        """The block in a record from another orderer, where it is the next one."""
        signed = fetched_block(self.config, self.last_header, record)
        if self.given is not None:
            self.given.check(signed.block.header)
        return signed

    async def take_fetched(self, signed: SignedBlock, raft_index: int) -> None:
        """Append a checked block from another orderer; ``raft_index`` is 0 for all but a snapshot's last."""
        await self._store_block(signed.block, (signed.block.to_bytes(),), signed.signature, raft_index)

    def cut_fetched(self) -> int:
        """Cut off the blocks that were fetched ahead of a snapshot that is not complete; how many."""
        gone = self.store.cut_fetched()
        if gone:
            self.config = self._stored_config()
            self.on_config(self.config)
        return gone

    def _stored_config(self) -> ChannelConfig:
        return ConfigUpdate.parse(self.store.block(self.store.config_block).envelopes[0]).config

    async def _store_block(
        self, block: Block, data: Sequence[Piece], signature: HeaderSignature, raft_index: int
    ) -> None:
        if self.given is not None:
            self.given.check(block.header)
        following = await self.config_after(self.config, block)
        self.store.append_pieces(
            block.header,
            data,
            signature.to_bytes(),
            raft_index=raft_index,
            config_block=self.store.config_block if following is None else block.header.number,
        )
        if following is not None:
            self.config = following
            self.on_config(following)
            _log.info("configuration %d holds", following.sequence, extra={"channel": self.channel})

    async def config_after(self, config: ChannelConfig, block: Block) -> ChannelConfig | None:
        """The configuration that a block brings, None if it brings none that follows from ``config``. Raises
        CapabilityUnknown, which stops the channel here: newer orderers may judge on by that block."""
        if not is_config_block(block):
            return None
        try:
            return await self._off_loop(judge_update, block.envelopes[0], config, block.header.timestamp_us)
        except CapabilityUnknown:
            raise
        except GridLedgerError as error:
            # Two updates made from one configuration: the second is on the chain, and no peer takes it either.
            _log.info("config transaction without effect: %s", error, extra={"channel": self.channel})
            return None

    def _announce(self) -> None:
        self._grown.set()
        self._grown = asyncio.Event()


def _orderers_in(envelope: bytes) -> tuple[frozenset[str], frozenset[str]]:
    plain = ConfigUpdate.parse(envelope).plain
    return frozenset(plain["orderers"]), frozenset(plain.get("departing_orderers", ()))


def entry_of(timestamp_us: int, envelopes: Sequence[bytes]) -> bytes:
    """A Raft entry: the leader's clock and a batch."""
    return framing.pack((timestamp_us.to_bytes(_TIMESTAMP_BYTES, "big"), *envelopes))


def entry_time_us(data: bytes) -> int | None:
    """The clock in what :func:`entry_of` wrote, read without the rest; None where there is none."""
    if int.from_bytes(data[:4], "big") != _TIMESTAMP_BYTES or len(data) < 4 + _TIMESTAMP_BYTES:
        return None
    return int.from_bytes(data[4 : 4 + _TIMESTAMP_BYTES], "big")


def read_entry(data: bytes) -> tuple[int, list[bytes]]:
    """What :func:`entry_of` wrote; :class:`InputError` where it is none."""
    frames = framing.unpack(data, max_frames=MAX_ENVELOPES + 1)
    if not frames or len(frames[0]) != _TIMESTAMP_BYTES:
        raise MalformedMessage("an entry begins with a timestamp of 64 bits")
    timestamp_us = int.from_bytes(frames[0], "big")
    if timestamp_us > MAX_INTEGER:
        raise MalformedMessage(f"an entry's timestamp is at most {MAX_INTEGER}")
    return timestamp_us, frames[1:]


def fetched_block(config: ChannelConfig, last: BlockHeader, record: bytes) -> SignedBlock:
    """The block in a record from another orderer; :class:`CorruptionError` unless it follows ``last`` under
    ``config``: its place, its data and the signature of one of the configuration's orderers."""
    block, signed = SignedBlock.from_bytes(record)
    header = block.header
    orderer = config.orderers_by_fingerprint.get(signed.orderer)
    if (
        header.channel != config.channel
        or header.number != last.number + 1
        or header.previous_hash != last.hash
        or not block.data_hash_holds()
        or orderer is None
        or not orderer.certificate_with(signed.orderer).verify(signed.signature, header.text.encode())
    ):
        raise CorruptionError(f"{config.channel}: block {header.number} from another orderer does not fit the chain")
    return SignedBlock(block, signed)


def _signed(signer: SigningIdentity, header: BlockHeader) -> HeaderSignature:
    return HeaderSignature(signer.fingerprint, signer.sign(header.text.encode()))
