"""The tree over a channel's blocks: its leaves are the pinned texts, and it is made from their hashes alone."""

from __future__ import annotations

from hashlib import sha256

from gridledger.evidence.anchor import HeaderTree, leaf, leaf_hash
from gridledger.protocol import merkle


def test_a_leaf_is_the_pinned_text() -> None:
    assert leaf('{"kind":"block_header"}', "ab" * 32) == (
        b'{"header":"{\\"kind\\":\\"block_header\\"}","commit_hash":"' + b"ab" * 32 + b'"}'
    )
    assert leaf_hash("ж", "00") == sha256(b'\x00{"header":"\xd0\xb6","commit_hash":"00"}').digest()


def test_the_tree_comes_back_from_its_leaf_hashes() -> None:
    leaves = [leaf(f"header {number}", f"{number:064x}") for number in range(11)]
    tree = HeaderTree.from_hashes(map(merkle.leaf_hash, leaves))
    assert tree.size == 11
    assert tree.root(7) == merkle.root(leaves[:7])
    path = tree.inclusion(3, 11)
    assert merkle.root_from_path(leaves[3], 3, 11, path) == tree.root(11)
    assert merkle.consistency_holds(7, tree.root(7), 11, tree.root(11), tree.consistency(7, 11))
