"""One channel's ledger on one peer."""

from __future__ import annotations

import re
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Self

from gridledger.errors import CorruptionError, SettingsError
from gridledger.ledger.errors import LedgerMissing
from gridledger.ledger.lmdb_store import DEFAULT_MAP_BYTES, LmdbStore
from gridledger.ledger.metadata import Head
from gridledger.ledger.snapshot import Snapshot
from gridledger.ledger.store import StateStore
from gridledger.protocol.block import Block
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.transaction_status import Status

if TYPE_CHECKING:
    from gridledger.protocol.config import ChannelConfig

_CHANNEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


class Ledger:
    """A channel's ledger. Opening costs the same for a long chain as for a short one.

    Many processes may hold it open for reading, one for writing (through a
    :class:`~gridledger.ledger.committer.BlockCommitter`). Open it after forking or spawning, never before. All methods
    may be called from any thread; each sees the newest commit, of whichever process. To read several things at one
    height, take a :meth:`snapshot`.
    """

    def __init__(self, channel: str, store: StateStore) -> None:
        """A ledger over an open store; :meth:`open` is the usual way."""
        self.channel = channel
        self.store = store
        self._config: tuple[int, ChannelConfig] | None = None

    @classmethod
    def open(
        cls,
        directory: str | Path,
        channel: str,
        *,
        readonly: bool = False,
        guarded: bool = False,
        map_bytes: int = DEFAULT_MAP_BYTES,
    ) -> Ledger:
        """Open the ledger in ``directory``/``channel``.

        :class:`LedgerMissing` where none was created yet. ``map_bytes`` bounds the ledger's size; readers take over
        the writer's. ``guarded`` is as for an :class:`~gridledger.ledger.lmdb_store.LmdbStore`.
        """
        folder = ledger_folder(directory, channel)
        if not (folder / "data.mdb").exists():
            raise LedgerMissing(f"there is no ledger of channel {channel!r} in {directory}", channel=channel)
        store = LmdbStore(folder, readonly=readonly, guarded=guarded, map_bytes=map_bytes)
        ledger = cls(channel, store)
        try:
            if ledger.height == 0:
                raise LedgerMissing(f"the ledger of channel {channel!r} in {directory} has no block 0", channel=channel)
        except BaseException:
            store.close()
            raise
        return ledger

    @classmethod
    def create(cls, directory: str | Path, genesis: Block, *, map_bytes: int = DEFAULT_MAP_BYTES) -> Ledger:
        """Make the ledger of the channel that ``genesis`` (block 0, trusted as it is) configures, and open it.

        Where this ledger exists it is opened; :class:`LedgerExists` where it began with another block 0. Blocks that
        are no block 0 raise :class:`BlockRejected`.
        """
        from gridledger.ledger.genesis import commit_genesis  # noqa: PLC0415 - readers need no config, no cryptography

        folder = ledger_folder(directory, genesis.header.channel)
        store = LmdbStore(folder, map_bytes=map_bytes)
        try:
            commit_genesis(store, genesis)
        except BaseException:
            store.close()
            raise
        return cls(genesis.header.channel, store)

    def snapshot(self) -> Snapshot:
        """A view of the ledger as it is now. A context manager."""
        return Snapshot(self.store.reader())

    @property
    def head(self) -> Head:
        """Height, hashes and timestamp after the newest block."""
        with self.snapshot() as snapshot:
            return snapshot.head

    @property
    def height(self) -> int:
        """The number of blocks; the newest has the number ``height - 1``."""
        return self.head.height

    @property
    def commit_hash(self) -> str:
        """The commit hash after the newest block, hexadecimal. Equal commit hashes mean equal ledgers."""
        return self.head.commit_hash

    def config(self) -> ChannelConfig:
        """The configuration that the next block is judged under. Parsed once and kept until it changes."""
        with self.snapshot() as snapshot:
            return self.config_of(snapshot)

    def config_of(self, snapshot: Snapshot) -> ChannelConfig:
        """The configuration that holds at a snapshot's height."""
        from gridledger.protocol.config_update import ConfigUpdate  # noqa: PLC0415 - readers need no cryptography

        number = snapshot.head.config_block
        kept = self._config
        if kept is None or kept[0] != number:
            if not snapshot.height:
                raise CorruptionError(f"the ledger of channel {self.channel!r} has no block 0")
            kept = self._config = (number, ConfigUpdate.parse(snapshot.envelope(number, 0)).config)
        return kept[1]

    def config_block_bytes(self) -> bytes:
        """The newest config block as it was ordered: the one that holds the present configuration."""
        with self.snapshot() as snapshot:
            return snapshot.block_bytes(snapshot.head.config_block)

    def block_bytes(self, number: int) -> bytes:
        """A block as it was ordered; :class:`BlockMissing`."""
        with self.snapshot() as snapshot:
            return snapshot.block_bytes(number)

    def block(self, number: int) -> Block:
        """A block, read; :class:`BlockMissing`."""
        with self.snapshot() as snapshot:
            return snapshot.block(number)

    def transaction(self, tx_id: str) -> ProvedTransaction:
        """A transaction by its id, valid or not, with its Merkle proof; :class:`TransactionMissing`."""
        with self.snapshot() as snapshot:
            return snapshot.transaction(tx_id)

    def status(self, tx_id: str) -> Status | None:
        """A transaction's status; None if it is not on the chain (yet)."""
        with self.snapshot() as snapshot:
            return snapshot.status(tx_id)

    def size_bytes(self) -> int:
        """Bytes that the ledger takes up on the disk."""
        return self.store.size_bytes()

    def close(self) -> None:
        """Let the ledger go; closing twice is harmless."""
        self.store.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def ledger_folder(directory: str | Path, channel: str) -> Path:
    """The folder of one channel's ledger; :class:`SettingsError` for a name that cannot be a folder's."""
    if not _CHANNEL.fullmatch(channel):
        raise SettingsError(f"the channel name {channel!r} must be 1 to 128 of A-Z a-z 0-9 . _ -, no dot or dash first")
    return Path(directory) / channel
