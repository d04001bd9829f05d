"""Merkle trees after RFC 6962, section 2.1: over a block's envelopes, and over the blocks of a channel.

Leaves and inner nodes are hashed in separate domains, so that an inner node cannot pass for a transaction.
"""

from __future__ import annotations

from collections.abc import Sequence
from hashlib import sha256
from typing import Final

HASH_BYTES: Final = 32
"""Of SHA-256."""


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


def consistency_holds(first: int, first_root: bytes, size: int, root: bytes, proof: Sequence[bytes]) -> bool:
    """Whether the proof shows that the tree of ``size`` leaves begins with that of ``first`` (RFC 9162, 2.1.4.2).

    A tree is consistent with itself and with the tree of no leaves; both proofs are empty.
    """
    if not 0 <= first <= size:
        return False
    if first in (0, size):
        return not proof and first_root == (root if first else sha256(b"").digest())
    hashes = [first_root, *proof] if first & (first - 1) == 0 else list(proof)
    if not hashes:
        return False
    position, last = first - 1, size - 1
    while position & 1:
        position, last = position >> 1, last >> 1
    old = new = hashes[0]
    for item in hashes[1:]:
        if last == 0:
            return False
        if position & 1 or position == last:
            old, new = _join(item, old), _join(item, new)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            new = _join(new, item)
        position, last = position >> 1, last >> 1
    return last == 0 and old == first_root and new == root


class Tree:
    """A tree that grows at its end. The heads of all whole subtrees are kept: about two hashes a leaf."""

    def __init__(self) -> None:
        self._levels: list[list[bytes]] = [[]]

    @property
    def size(self) -> int:
        """How many leaves there are."""
        return len(self._levels[0])

    def append(self, leaf: bytes) -> None:
        """Add a leaf by its :func:`leaf_hash`."""
        if len(leaf) != HASH_BYTES:
            raise ValueError(f"a leaf's hash has {HASH_BYTES} bytes, not {len(leaf)}")
        level, node = 0, leaf
        self._levels[0].append(node)
        while len(self._levels[level]) % 2 == 0:
            node = _join(*self._levels[level][-2:])
            level += 1
            if level == len(self._levels):
                self._levels.append([])
            self._levels[level].append(node)

    def root(self, size: int | None = None) -> bytes:
        """The head of the first ``size`` leaves, of all where none is given."""
        size = self.size if size is None else size
        self._check(size, "size")
        return self._head(0, size) if size else sha256(b"").digest()

    def inclusion(self, index: int, size: int) -> list[bytes]:
        """The audit path of the leaf at ``index`` among the first ``size``, from the leaf up (RFC 9162, 2.1.3.1)."""
        self._check(size, "size")
        if not 0 <= index < size:
            raise IndexError(f"no leaf {index} among {size}")
        start, count, siblings = 0, size, list[bytes]()
        while count > 1:
            half = _split(count)
            if index - start < half:
                siblings.append(self._head(start + half, count - half))
                count = half
            else:
                siblings.append(self._head(start, half))
                start, count = start + half, count - half
        return siblings[::-1]

    def consistency(self, first: int, size: int) -> list[bytes]:
        """The proof that the first ``size`` leaves begin with the first ``first`` (RFC 9162, 2.1.4.1)."""
        self._check(size, "size")
        if not 0 <= first <= size:
            raise IndexError(f"no tree of {first} leaves in one of {size}")
        if first in (0, size):
            return []
        start, count, hashes, whole = 0, size, list[bytes](), True
        while first - start != count:
            half = _split(count)
            if first - start <= half:
                hashes.append(self._head(start + half, count - half))
                count = half
            else:
                hashes.append(self._head(start, half))
                start, count, whole = start + half, count - half, False
        # What remains is a head of the older tree: the verifier has it where it is that whole tree.
        return [*([] if whole else [self._head(start, count)]), *reversed(hashes)]

    def _check(self, size: int, what: str) -> None:
        if not 0 <= size <= self.size:
            raise IndexError(f"{what}: this tree has {self.size} leaves, not {size}")

    def _head(self, start: int, count: int) -> bytes:
        """The head of ``count`` leaves from ``start`` on, which is a multiple of the power of two not below it."""
        if count & (count - 1) == 0:
            level = count.bit_length() - 1
            return self._levels[level][start >> level]
        half = _split(count)
        return _join(self._head(start, half), self._head(start + half, count - half))


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
