"""One consistent view of a ledger: world state, history, transactions, blocks, all at one height."""

from __future__ import annotations

from collections.abc import Iterator
from functools import cached_property
from itertools import islice
from types import TracebackType
from typing import Any, Self

from gridledger.errors import CorruptionError
from gridledger.ledger import codec
from gridledger.ledger.blocks import place_of, read_block, read_header, read_segment
from gridledger.ledger.codec import Table
from gridledger.ledger.errors import BlockMissing, TransactionMissing
from gridledger.ledger.index import INDEX, IndexHead, block_hash_key
from gridledger.ledger.metadata import EMPTY_HEAD, BlockMetadata, Head
from gridledger.ledger.store import Reader
from gridledger.protocol import merkle
from gridledger.protocol.block import Block, BlockHeader
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.fields import decoded
from gridledger.protocol.headers import CommittedHeader
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.result import Version
from gridledger.protocol.transaction import Transaction
from gridledger.protocol.transaction_status import Status
from gridledger.protocol.world_state import HistoryEntry, VersionedValue

_AFTER_ALL = Version(2**64 - 1, 2**32 - 1)


class Snapshot:
    """A view of one ledger that no commit changes. A context manager; close it soon, and use it in one thread.

    It costs one LMDB read transaction, about a microsecond.
    """

    def __init__(self, reader: Reader) -> None:
        self._reader = reader
        # What was read last: transactions that are read one after the other often lie side by side.
        self._metadata: tuple[int, BlockMetadata] | None = None
        self._segment: tuple[int, int, bytes] | None = None

    @cached_property
    def head(self) -> Head:
        """Where the ledger stands."""
        data = self._reader.get(Table.META, codec.HEAD)
        return EMPTY_HEAD if data is None else Head.from_bytes(data)

    @property
    def height(self) -> int:
        """The number of blocks."""
        return self.head.height

    def get(self, namespace: str, key: str) -> VersionedValue | None:
        """The value of ``key`` in a chaincode's namespace, None if there is none."""
        stored = codec.cut_key(codec.whole_key(namespace, key))
        entry = self._reader.get(Table.STATE, stored)
        return None if entry is None else VersionedValue(codec.state_value(stored, entry), codec.state_version(entry))

    def version(self, namespace: str, key: str) -> Version | None:
        """The version of ``key``, None if it does not exist."""
        entry = self._reader.get(Table.STATE, codec.cut_key(codec.whole_key(namespace, key)))
        return None if entry is None else codec.state_version(entry)

    def range(
        self, namespace: str, start: str = "", end: str = "", limit: int | None = None
    ) -> Iterator[tuple[str, bytes, Version]]:
        """Keys with start <= key < end, ascending by UTF-8 bytes, with values and versions; an empty ``end`` is the
        namespace's. Use the iterator up, or drop it, before the snapshot closes."""
        prefix = codec.whole_key(namespace, "")
        first = prefix + start.encode()
        stop = prefix + end.encode() if end else codec.namespace_end(prefix)
        entries = _in_order(self._reader, first, stop)
        for stored, whole, entry in islice(entries, limit):
            yield (
                whole[len(prefix) :].decode(),
                codec.state_value(stored, entry),
                codec.state_version(entry),
            )

    def history(
        self, namespace: str, key: str, limit: int | None = None, *, before: Version = _AFTER_ALL
    ) -> Iterator[HistoryEntry]:
        """All committed writes of ``key``, or those before a version, the newest first. Values are read back from the
        blocks."""
        stored = codec.cut_key(codec.whole_key(namespace, key))
        first, last = codec.pack_version(Version(0, 0)), codec.pack_version(before)
        found = self._reader.scan_back(Table.HISTORY, stored + first, stored + last)
        entries = (item for item in found if len(item[0]) == len(stored) + len(first))
        for history_key, mark in islice(entries, limit):
            version = codec.unpack_version(history_key)
            transaction = Transaction.parse(self.envelope(version.block, version.transaction))
            value = None if mark == codec.DELETED else _written(transaction, key)
            yield HistoryEntry(transaction.tx_id, value, *version, transaction.proposal.time_us)

    def find(self, tx_id: str) -> tuple[int, int, TxValidationCode] | None:
        """Block, index and code of a transaction, None if it is not on the chain."""
        key = codec.transaction_key(tx_id)
        entry = None if key is None else self._reader.get(Table.TRANSACTIONS, key)
        if entry is None:
            return None
        block, index, code = codec.unpack_transaction(entry)
        return block, index, TxValidationCode(code)

    def status(self, tx_id: str) -> Status | None:
        """A transaction's status; None if it is not on the chain (yet)."""
        found = self.find(tx_id)
        if found is None:
            return None
        block, _, code = found
        return Status(tx_id, code, block, self.metadata(block).commit_hash)

    def metadata(self, number: int) -> BlockMetadata:
        """What this peer found about a block; :class:`BlockMissing`."""
        last = self._metadata
        if last is not None and last[0] == number:
            return last[1]
        data = self._reader.get(Table.METADATA, codec.pack_number(number)) if 0 <= number < self.height else None
        if data is None:
            raise BlockMissing(f"there is no block {number}; the height is {self.height}", height=self.height)
        metadata = BlockMetadata.from_bytes(data)
        self._metadata = (number, metadata)
        return metadata

    def block_bytes(self, number: int) -> bytes:
        """A block as it was ordered; :class:`BlockMissing`."""
        if not 0 <= number < self.height:
            raise BlockMissing(f"there is no block {number}; the height is {self.height}", height=self.height)
        return read_block(self._reader, number)

    def block(self, number: int) -> Block:
        """A block, read."""
        return Block.from_bytes(self.block_bytes(number))

    def header(self, number: int) -> CommittedHeader:
        """A block's header, signature and commit hash, without reading its envelopes; :class:`BlockMissing`."""
        metadata = self.metadata(number)
        text = decoded(read_header(self._reader, number, metadata), "a block's header")
        return CommittedHeader(BlockHeader.parse(text), metadata.signature, metadata.commit_hash)

    @cached_property
    def index_head(self) -> IndexHead:
        """How far the index is: the whole ledger, but for one that an earlier version wrote and that is not done."""
        return IndexHead.from_bytes(self._reader.get(Table.META, INDEX))

    def block_number(self, block_hash: str) -> int:
        """The number of the block whose header has this hash (64 hexadecimal digits); :class:`BlockMissing`."""
        entry = self._reader.get(Table.INDEX, block_hash_key(block_hash))
        number = -1 if entry is None else int.from_bytes(entry, "big")
        if number >= 0 and self.header(number).header.hash == block_hash:
            return number
        known, height = self.index_head.height, self.height
        until = "" if known == height else f"; the index is being built and has the first {known} of {height} blocks"
        raise BlockMissing(f"there is no block with the hash {block_hash}{until}", height=height, indexed=known)

    def envelope(self, number: int, index: int) -> bytes:
        """One envelope of a block; costs the same in a large block as in a small one."""
        metadata = self.metadata(number)
        if not 0 <= index < len(metadata.envelope_ends):
            raise TransactionMissing(f"block {number} has {len(metadata.envelope_ends)} transactions, not {index + 1}")
        segment, begin, end = place_of(number, metadata, index)
        last = self._segment
        if last is None or last[:2] != (number, segment):
            last = self._segment = (number, segment, read_segment(self._reader, number, segment))
        return last[2][begin:end]

    def transaction(self, tx_id: str) -> ProvedTransaction:
        """A transaction by its id, valid or not, and the proof that it is in its block; :class:`TransactionMissing`."""
        found = self.find(tx_id)
        if found is None:
            raise TransactionMissing(f"there is no transaction {tx_id} at height {self.height}", height=self.height)
        number, index, code = found
        block = self.block(number)
        return ProvedTransaction(
            tx_id=tx_id,
            block=number,
            index=index,
            code=code,
            envelope=block.envelopes[index],
            header=block.header,
            count=len(block.envelopes),
            siblings=tuple(merkle.path(block.envelopes, index)),
            signature=self.metadata(number).signature,
        )

    def entry(self, table: Table, key: bytes) -> bytes | None:
        """What the store keeps under a key of a table; for those that verify a ledger."""
        return self._reader.get(table, key)

    def scan(self, table: Table, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values of a table with start <= key < stop, ascending. Use the iterator up, or drop it, before the
        snapshot closes."""
        return self._reader.scan(table, start, stop)

    def scan_back(self, table: Table, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """As :meth:`scan`, descending."""
        return self._reader.scan_back(table, start, stop)

    def count(self, table: Table) -> int:
        """How many keys a table of the store has."""
        return self._reader.count(table)

    def has_history(self, namespace: str, key: str, version: Version, *, deleted: bool) -> bool:
        """Whether the history of ``key`` has this write."""
        stored = codec.cut_key(codec.whole_key(namespace, key))
        mark = self._reader.get(Table.HISTORY, stored + codec.pack_version(version))
        return mark == (codec.DELETED if deleted else codec.WRITTEN)

    def close(self) -> None:
        """Let the view go; closing twice is harmless."""
        self._reader.close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _written(transaction: Transaction, key: str) -> Any:
    for written, value in transaction.result.writes:
        if written == key:
            return value
    raise CorruptionError(f"history names transaction {transaction.tx_id} for a key that it did not write")


def _in_order(reader: Reader, first: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes, bytes]]:
    """Stored key, whole key and entry of the state in first <= whole key < stop, in the order of whole keys."""
    group: list[tuple[bytes, bytes, bytes]] = []
    # Long keys stand at their cut form: begin where the cut of the first one may stand, end after that of the last.
    begin = first if len(first) <= codec.CUT else first[: codec.CUT]
    end = stop if len(stop) <= codec.CUT else codec.namespace_end(stop[: codec.CUT])
    for stored, entry in reader.scan(Table.STATE, begin, end):
        whole = codec.state_whole(stored, entry)
        if group and (stored is whole or stored[: codec.CUT] != group[0][0][: codec.CUT]):
            yield from sorted(group, key=_whole)
            group.clear()
        if not first <= whole < stop:
            continue
        if stored is whole:
            yield stored, whole, entry
        else:
            group.append((stored, whole, entry))
    yield from sorted(group, key=_whole)


def _whole(item: tuple[bytes, bytes, bytes]) -> bytes:
    return item[1]
