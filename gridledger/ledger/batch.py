"""Builds the batch that one commit writes from validated blocks."""

from __future__ import annotations

from collections.abc import Sequence

from gridledger.errors import CorruptionError
from gridledger.ledger import codec
from gridledger.ledger.blocks import PackedBlock, write_block
from gridledger.ledger.codec import HEAD, Table
from gridledger.ledger.metadata import BlockMetadata, Head
from gridledger.ledger.store import CommitBatch
from gridledger.ledger.validation import Judged
from gridledger.protocol.block import HeaderSignature
from gridledger.protocol.commit_hash import commit_hash
from gridledger.protocol.result import Version


def batch_of(
    head: Head, blocks: Sequence[Judged], signatures: Sequence[HeaderSignature], packed: Sequence[PackedBlock]
) -> tuple[CommitBatch, list[str]]:
    """All that ``blocks`` change on a ledger that stands at ``head``, and the commit hash after each of them."""
    batch = CommitBatch(head_before=head.to_bytes())
    hash_after, hashes = head.commit_hash, []
    config_block, transactions = head.config_block, head.transactions
    for judged, signature, stored in zip(blocks, signatures, packed, strict=True):
        header = judged.block.header
        hash_after = commit_hash(
            hash_after, header.number, header.hash, judged.codes, {place: value for place, value, _ in judged.writes}
        )
        hashes.append(hash_after)
        _add_block(batch, judged, BlockMetadata(tuple(judged.codes), hash_after, signature, *stored[1:]), stored)
        _add_writes(batch, judged)
        if judged.config is not None:
            config_block = header.number
        transactions += len(judged.codes)
    last = blocks[-1].block.header
    after = Head(last.number + 1, last.timestamp_us, last.hash, hash_after, config_block, transactions)
    batch.put(Table.META, HEAD, after.to_bytes())
    return batch, hashes


def _add_block(batch: CommitBatch, judged: Judged, metadata: BlockMetadata, packed: PackedBlock) -> None:
    number = judged.block.header.number
    write_block(batch, number, packed)
    batch.put(Table.METADATA, codec.pack_number(number), metadata.to_bytes())
    for index, (tx_id, code, indexed) in enumerate(zip(judged.tx_ids, judged.codes, judged.indexed, strict=True)):
        if indexed:
            key = codec.transaction_key(tx_id)
            if key is None:
                raise CorruptionError(f"{tx_id!r} is no transaction id")
            batch.put(Table.TRANSACTIONS, key, codec.pack_transaction(number, index, code))


def _add_writes(batch: CommitBatch, judged: Judged) -> None:
    """State and history; a later write of the same key, in this block or the next, takes the earlier one's place."""
    number = judged.block.header.number
    state, history = batch.changes[Table.STATE], batch.changes[Table.HISTORY]
    for (namespace, key), value, index in judged.writes:
        whole, version = codec.whole_key(namespace, key), Version(number, index)
        stored = codec.cut_key(whole)
        state[stored] = None if value is None else codec.pack_state(whole, version, value)
        history[stored + codec.pack_version(version)] = codec.DELETED if value is None else codec.WRITTEN
