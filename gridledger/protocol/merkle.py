"""The Merkle tree over a block's envelopes, after RFC 6962, section 2.1.

Leaves and inner nodes are hashed in separate domains, so that an inner node cannot pass for a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256


def leaf_hash(envelope: bytes) -> bytes:
    """The hash of one leaf: SHA-256(0x00 || envelope)."""
    return sha256(b"\x00" + envelope).digest()


def root(envelopes: Sequence[bytes]) -> bytes:
    """The tree's head; SHA-256 of nothing for no envelopes."""
    return _head([leaf_hash(envelope) for envelope in envelopes])


def path(envelopes: Sequence[bytes], index: int) -> list[bytes]:
    """The audit path of the leaf at ``index``: the siblings from the leaf up (RFC 6962, section 2.1.1)."""
    if not 0 <= index < len(envelopes):
        raise IndexError(f"no leaf {index} among {len(envelopes)}")
    return _path([leaf_hash(envelope) for envelope in envelopes], index)


def root_from_path(envelope: bytes, index: int, count: int, siblings: Sequence[bytes]) -> bytes | None:
    """The head that ``envelope`` at ``index`` of ``count`` leaves leads to by this path; None if the path cannot fit.

    The transaction is proved when this equals the data hash of a header that one trusts (RFC 9162, section 2.1.3.2).
    """
    if not 0 <= index < count:
        return None
    node, position, last = leaf_hash(envelope), index, count - 1
    for sibling in siblings:
        if last == 0:
            return None
        if position & 1 or position == last:
            node = _join(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = _join(node, sibling)
        position, last = position >> 1, last >> 1
    return node if last == 0 else None


def _join(left: bytes, right: bytes) -> bytes:
    return sha256(b"\x01" + left + right).digest()


def _split(count: int) -> int:
    """The largest power of two smaller than ``count``."""
    return 1 << ((count - 1).bit_length() - 1)


def _head(leaves: Sequence[bytes]) -> bytes:
    if not leaves:
        return sha256(b"").digest()
    # Level by level, an odd last node moving up unchanged, gives the same tree as the RFC's recursion.
    level = list(leaves)
    while len(level) > 1:
        joined = [_join(level[i], level[i + 1]) for i in range(0, len(level) - 1, 2)]
        if len(level) % 2:
            joined.append(level[-1])
        level = joined
    return level[0]


def _path(leaves: Sequence[bytes], index: int) -> list[bytes]:
    if len(leaves) == 1:
        return []
    half = _split(len(leaves))
    if index < half:
        return [*_path(leaves[:half], index), _head(leaves[half:])]
    return [*_path(leaves[half:], index - half), _head(leaves[:half])]
