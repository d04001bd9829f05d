"""Commitments to shares, and audits: what a holder proves without a byte of the share being told.

The commitment of a share is the RFC 6962 root over its 4 KiB chunks, by the rules of
:mod:`gridledger.protocol.merkle`. An audit's nonce is made of the object's audit secret; its answer is the SHA-256 of
nonce and share, and what is committed beforehand is the SHA-256 of that answer.
"""

from __future__ import annotations

import hmac
from collections.abc import Sequence
from hashlib import sha256
from typing import Final

from gridledger.protocol import merkle

CHUNK_BYTES: Final = 4096


def root(share: bytes) -> bytes:
    """The commitment of a share, 32 bytes."""
    return merkle.root([share[at : at + CHUNK_BYTES] for at in range(0, len(share), CHUNK_BYTES)])


def audit_nonce(secret: bytes, holder: str, number: int) -> bytes:
    """HMAC-SHA-256(secret, holder || number): the holder's name as UTF-8, the number as 8 bytes big-endian."""
    return hmac.digest(secret, holder.encode() + number.to_bytes(8, "big"), "sha256")


def audit_answer(nonce: bytes, share: bytes) -> bytes:
    """SHA-256(nonce || share): what only one who has the whole share can tell."""
    hashed = sha256(nonce)
    hashed.update(share)
    return hashed.digest()


def audit_commitment(nonce: bytes, share: bytes) -> bytes:
    """SHA-256 of the answer: by it an answer is judged."""
    return sha256(audit_answer(nonce, share)).digest()


def audit_root(commitments: Sequence[bytes]) -> bytes:
    """The RFC 6962 root over the commitments of a share's audits, in the order of their numbers from 0."""
    return merkle.root(commitments)


def audit_path(commitments: Sequence[bytes], number: int) -> list[bytes]:
    """The siblings, from the leaf up, by which the commitment of this number leads to the root."""
    return merkle.path(commitments, number)
