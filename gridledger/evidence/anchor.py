"""Anchors: heads of the tree over a channel's blocks, which another channel keeps.

Leaf n is the JSON text ``{"header":header text of block n,"commit_hash":hex}``, members in this order, no blanks,
UTF-8. The commit hash binds the validation codes: a header alone does not say which transactions were valid. The tree
is RFC 6962's with SHA-256.
"""

from __future__ import annotations

from collections.abc import Iterable

from gridledger.protocol import merkle
from gridledger.protocol.headers import anchor_leaf
from gridledger.protocol.merkle import Tree


def leaf(header_text: str, commit_hash: str) -> bytes:
    """The leaf of a block: its header's text, and the commit hash after it in hexadecimal."""
    return anchor_leaf(header_text, commit_hash)


def leaf_hash(header_text: str, commit_hash: str) -> bytes:
    """The hash of that leaf, 32 bytes: what :class:`HeaderTree` takes and what an agent keeps."""
    return merkle.leaf_hash(leaf(header_text, commit_hash))


class HeaderTree(Tree):
    """The tree over a channel's blocks, by their leaf hashes, from block 0 on. Memory: about 130 bytes a block."""

    @classmethod
    def from_hashes(cls, hashes: Iterable[bytes]) -> HeaderTree:
        """The tree of these leaf hashes, 32 bytes each."""
        tree = cls()
        for item in hashes:
            tree.append(item)
        return tree
