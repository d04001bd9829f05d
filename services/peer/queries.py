"""Queries about a peer's ledgers: what the routes answer. These functions read the disk: call them in a thread."""

from __future__ import annotations

from typing import Any

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.ledger import Ledger, TransactionMissing
from gridledger.protocol.chain_info import ChainInfo
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.fields import to_base64
from gridledger.protocol.transaction import Transaction
from services.peer.channel import Channel

MAX_HISTORY = 1000


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
    header = block.header
    transactions = [
        {"code": int(code), "code_name": code.name, **_opened(envelope)}
        for envelope, code in zip(block.envelopes, metadata.codes, strict=True)
    ]
    signature = metadata.signature
    return jsontext.dumps(
        {
            "header": jsontext.loads_trusted(header.text),
            "hash": header.hash,
            "commit_hash": metadata.commit_hash,
            "orderer": None if signature is None else signature.orderer,
            "transactions": transactions,
        }
    )


def transaction_json(ledger: Ledger, tx_id: str) -> bytes:
    """A transaction, its code, and the Merkle path from its envelope to its block's header."""
    return jsontext.dumps(ledger.transaction(tx_id).to_dict())


def history_json(ledger: Ledger, namespace: str, key: str, limit: int) -> bytes:
    """The committed writes of a key, the newest first, at most ``limit``."""
    with ledger.snapshot() as snapshot:
        items = [entry.to_dict() for entry in snapshot.history(namespace, key, min(limit, MAX_HISTORY))]
    return jsontext.dumps({"items": items})


def unknown_transaction(tx_id: str, channel: str) -> TransactionMissing:
    """The error for a transaction that is not on the ledger."""
    return TransactionMissing(f"there is no transaction {tx_id} on {channel}, or not yet", tx_id=tx_id)


def _opened(envelope: bytes) -> dict[str, Any]:
    """An envelope's parts as values; {"unreadable": true} where it has none."""
    try:
        parsed = parse_envelope(envelope)
    except GridLedgerError:
        return {"tx_id": "", "unreadable": True, "bytes": len(envelope)}
    if not isinstance(parsed, Transaction):
        return {"tx_id": parsed.tx_id, "config": jsontext.loads_trusted(parsed.config.text)}
    return {
        "tx_id": parsed.tx_id,
        "proposal": jsontext.loads_trusted(parsed.proposal.text),
        "result": jsontext.loads_trusted(parsed.result.text),
        "endorsements": [item.to_dict() for item in parsed.endorsements],
        "signature": to_base64(parsed.signature),
    }
