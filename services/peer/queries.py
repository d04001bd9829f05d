"""Queries about a peer's ledgers: what the routes answer. These functions read the disk: call them in a thread."""

from __future__ import annotations

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.ledger import Ledger, TransactionMissing
from gridledger.ledger.bookmarks import bookmark_of, position_of
from gridledger.ledger.search import find_by_prefix, search
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.headers import MAX_HEADERS, MAX_PAGE_BYTES, CommittedHeader, HeadersPage
from gridledger.protocol.opened_block import open_block
from gridledger.protocol.result import Version
from gridledger.protocol.search import MAX_FOUND, TransactionFilter
from gridledger.protocol.world_state import MAX_HISTORY, HistoryEntry, HistoryPage
from services.peer.channel import Channel

MAX_HISTORY_BYTES = 16 * 1024 * 1024
_HASH_DIGITS = 64


def chain_info(channel: Channel) -> ChainInfo:
    """How far the channel is here."""
    head = channel.ledger.head
    return ChainInfo(
        channel=channel.name,
        height=head.height,
        commit_hash=head.commit_hash,
        last_hash=head.header_hash,
        timestamp_us=head.timestamp_us,
        transactions=head.transactions,
        config_sequence=channel.config.sequence,
        size_bytes=channel.ledger.size_bytes(),
    )


def block_json(ledger: Ledger, number: int) -> bytes:
    """A block with the code of each transaction, and the parts of each envelope as JSON values."""
    with ledger.snapshot() as snapshot:
        block, metadata = snapshot.block(number), snapshot.metadata(number)
    orderer = None if metadata.signature is None else metadata.signature.orderer
    return jsontext.dumps(open_block(block, metadata.codes, commit_hash=metadata.commit_hash, orderer=orderer))


def block_number(ledger: Ledger, block_hash: str) -> int:
    """The number of the block whose header has this hash; :class:`BlockMissing`."""
    if len(block_hash) != _HASH_DIGITS or block_hash.lower().strip("0123456789abcdef"):
        raise InputError(f"a block's hash has {_HASH_DIGITS} hexadecimal digits, not {block_hash!r:.80}")
    with ledger.snapshot() as snapshot:
        return snapshot.block_number(block_hash.lower())


def headers_json(ledger: Ledger, start: int, limit: int) -> bytes:
    """The headers of at most ``limit`` blocks from ``start`` on, as many as a page takes; none past the newest."""
    items: list[CommittedHeader] = []
    size = 0
    with ledger.snapshot() as snapshot:
        height = snapshot.height
        for number in range(start, min(height, start + min(limit, MAX_HEADERS))):
            item = snapshot.header(number)
            size += len(item.header.text)
            if items and size > MAX_PAGE_BYTES:
                break
            items.append(item)
    return jsontext.dumps(HeadersPage(tuple(items), height).to_dict())


def transactions_json(ledger: Ledger, wanted: TransactionFilter, limit: int, bookmark: str | None) -> bytes:
    """A page of the transactions that fit, the newest first."""
    with ledger.snapshot() as snapshot:
        page = search(snapshot, wanted, limit=min(limit, MAX_FOUND), bookmark=bookmark)
    return jsontext.dumps(page.to_dict())


def transactions_by_prefix_json(ledger: Ledger, prefix: str, limit: int, bookmark: str | None) -> bytes:
    """A page of the transactions whose ids begin with ``prefix``, in the order of the ids."""
    with ledger.snapshot() as snapshot:
        page = find_by_prefix(snapshot, prefix, limit=min(limit, MAX_FOUND), bookmark=bookmark)
    return jsontext.dumps(page.to_dict())


def transaction_json(ledger: Ledger, tx_id: str) -> bytes:
    """A transaction, its code, and the Merkle path from its envelope to its block's header."""
    return jsontext.dumps(ledger.transaction(tx_id).to_dict())


def history_json(channel: Channel, chaincode: str, key: str, limit: int, bookmark: str | None = None) -> bytes:
    """A page of the committed writes of a key, the newest first: at most ``limit``, and 16 MiB besides the last one.

    Raises :class:`ChaincodeUnknown` where there are none and the channel has no such chaincode. One that it had keeps
    its history.
    """
    asked, most = ["history", chaincode, key], max(1, min(limit, MAX_HISTORY))
    items: list[HistoryEntry] = []
    following, size = None, 0
    with channel.ledger.snapshot() as snapshot:
        if bookmark is None:
            entries = snapshot.history(chaincode, key)
        else:
            entries = snapshot.history(chaincode, key, before=Version(*position_of(bookmark, asked)))
        for entry in entries:
            if len(items) == most or size > MAX_HISTORY_BYTES:
                following = bookmark_of(items[-1].block, items[-1].index, asked)
                break
            items.append(entry)
            size += len(jsontext.dumps(entry.value))
    if not items:
        channel.chaincode(chaincode)
    return jsontext.dumps(HistoryPage(tuple(items), following).to_dict())


def unknown_transaction(tx_id: str, channel: str) -> TransactionMissing:
    """The error for a transaction that is not on the ledger."""
    return TransactionMissing(f"there is no transaction {tx_id} on {channel}, or not yet", tx_id=tx_id)
