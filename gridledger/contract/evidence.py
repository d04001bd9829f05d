"""What contracts share with light nodes, agents and verifiers: the texts that are proved, and the filter's bits.

``from gridledger.contract import evidence``; proofs are checked by ``gridledger.contract.crypto.verify_schnorr``.
"""

from __future__ import annotations

from gridledger.evidence.bloom import MAX_BITS, MAX_HASHES, byte_count, positions
from gridledger.evidence.events import (
    BATCH,
    KINDS,
    NO_EVENT,
    PRIVATE_KINDS,
    batch_body,
    batch_text,
    event_text,
    registration_text,
    salted_hash,
    text_hash,
)
from gridledger.protocol.statements import statement_text

__all__ = [
    "BATCH",
    "KINDS",
    "MAX_BITS",
    "MAX_HASHES",
    "NO_EVENT",
    "PRIVATE_KINDS",
    "batch_body",
    "batch_text",
    "byte_count",
    "event_text",
    "positions",
    "registration_text",
    "salted_hash",
    "statement_text",
    "text_hash",
]
