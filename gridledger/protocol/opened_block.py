"""A block as people and programs without a parser read it: the parts of each envelope as JSON values."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.protocol.block import Block
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.fields import to_base64
from gridledger.protocol.transaction import Transaction


def open_block(
    block: Block, codes: Sequence[TxValidationCode], *, commit_hash: str, orderer: str | None
) -> dict[str, Any]:
    """The JSON form of a block that is opened. ``codes`` are its transactions', ``orderer`` the fingerprint of whom its
    header is signed by (None: block 0); neither these nor ``commit_hash`` are in its bytes."""
    return {
        "header": jsontext.loads_trusted(block.header.text),
        "hash": block.header.hash,
        "commit_hash": commit_hash,
        "orderer": orderer,
        "transactions": [
            {"code": int(code), "code_name": code.name, **_opened(envelope)}
            for envelope, code in zip(block.envelopes, codes, strict=True)
        ],
    }


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
