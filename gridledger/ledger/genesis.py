"""Block 0: the channel's first configuration, trusted as it is."""

from __future__ import annotations

from gridledger.errors import InputError
from gridledger.ledger.blocks import pack_block, write_block
from gridledger.ledger.codec import HEAD, Table, pack_number, pack_transaction, transaction_key
from gridledger.ledger.errors import BlockRejected, LedgerExists
from gridledger.ledger.index import INDEX, IndexHead, entries_of
from gridledger.ledger.metadata import BlockMetadata, Head
from gridledger.ledger.snapshot import Snapshot
from gridledger.ledger.store import CommitBatch, StateStore
from gridledger.protocol.block import ZERO_HASH, Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.commit_hash import commit_hash
from gridledger.protocol.config_update import ConfigUpdate


def commit_genesis(store: StateStore, genesis: Block) -> None:
    """Write block 0 to a store that has none; a store that began with this very block is left as it is."""
    update = check_genesis(genesis)
    with Snapshot(store.reader()) as snapshot:
        if snapshot.height:
            present = snapshot.block(0).header.hash
            if present != genesis.header.hash:
                raise LedgerExists(
                    f"the ledger of channel {genesis.header.channel!r} began with another block 0: it belongs to an "
                    "earlier network; remove its folder to start anew",
                    present=present,
                    given=genesis.header.hash,
                )
            return
    store.commit(_batch(genesis, update))


def check_genesis(genesis: Block) -> ConfigUpdate:
    """The configuration in a block 0; :class:`BlockRejected` where it is none."""
    header = genesis.header
    if header.number != 0 or header.previous_hash != ZERO_HASH or len(genesis.envelopes) != 1:
        raise BlockRejected("a channel's block 0 has no predecessor and one config transaction", number=header.number)
    if not genesis.data_hash_holds():
        raise BlockRejected("block 0 is not what its header says", number=0)
    try:
        update = ConfigUpdate.parse(genesis.envelopes[0])
        config = update.config
    except InputError as error:
        raise BlockRejected(f"block 0 holds no configuration: {error.message}", number=0) from None
    if config.channel != header.channel:
        raise BlockRejected(
            f"block 0 of channel {header.channel!r} holds the configuration of {config.channel!r}", number=0
        )
    return update


def genesis_commit_hash(genesis: Block) -> str:
    """The commit hash after block 0, whose only transaction is valid and changes no key."""
    return commit_hash(ZERO_HASH, 0, genesis.header.hash, [TxValidationCode.VALID], {})


def genesis_entries(genesis: Block) -> dict[bytes, bytes]:
    """What the index has of block 0."""
    return entries_of(0, genesis.header.hash, [TxValidationCode.VALID], [None])


def _batch(genesis: Block, update: ConfigUpdate) -> CommitBatch:
    batch = CommitBatch(head_before=None)
    packed = pack_block(genesis)
    hash_after = genesis_commit_hash(genesis)
    metadata = BlockMetadata((TxValidationCode.VALID,), hash_after, None, packed.header_end, packed.envelope_ends)
    write_block(batch, 0, packed)
    batch.put(Table.METADATA, pack_number(0), metadata.to_bytes())
    key = transaction_key(update.tx_id)
    assert key is not None  # noqa: S101 - a SHA-256
    batch.put(Table.TRANSACTIONS, key, pack_transaction(0, 0, TxValidationCode.VALID))
    head = Head(1, genesis.header.timestamp_us, genesis.header.hash, hash_after, config_block=0, transactions=1)
    batch.put(Table.META, HEAD, head.to_bytes())
    batch.changes[Table.INDEX].update(genesis_entries(genesis))
    batch.put(Table.META, INDEX, IndexHead(1, config_block=0).to_bytes())
    return batch
