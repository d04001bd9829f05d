"""The Merkle tree of RFC 6962, against the definition's own recursion."""

from __future__ import annotations

from hashlib import sha256

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.protocol import merkle


def reference(leaves: list[bytes]) -> bytes:
    """MTH of RFC 6962, section 2.1, word by word."""
    if not leaves:
        return sha256(b"").digest()
    if len(leaves) == 1:
        return sha256(b"\x00" + leaves[0]).digest()
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    return sha256(b"\x01" + reference(leaves[:k]) + reference(leaves[k:])).digest()


leaves = st.lists(st.binary(max_size=6), max_size=40)


@given(leaves)
def test_the_root_is_the_rfcs(envelopes: list[bytes]) -> None:
    assert merkle.root(envelopes) == reference(envelopes)


def test_the_rfcs_own_test_vector() -> None:
    data = [bytes.fromhex(text) for text in ("", "00", "10", "2021", "3031", "40414243", "5051525354555657")]
    data.append(bytes.fromhex("606162636465666768696a6b6c6d6e6f"))
    assert merkle.root(data).hex() == "5dc9da79a70659a9ad559cb701ded9a2ab9d823aad2f4960cfe370eff4604328"


@given(leaves.filter(bool), st.data())
def test_a_path_proves_its_leaf_and_no_other(envelopes: list[bytes], data: st.DataObject) -> None:
    index = data.draw(st.integers(0, len(envelopes) - 1))
    siblings = merkle.path(envelopes, index)
    count = len(envelopes)
    assert merkle.root_from_path(envelopes[index], index, count, siblings) == merkle.root(envelopes)
    assert merkle.root_from_path(envelopes[index] + b"!", index, count, siblings) != merkle.root(envelopes)
    assert merkle.root_from_path(envelopes[index], index, count, [*siblings, b"\0" * 32]) is None
    if siblings:
        assert merkle.root_from_path(envelopes[index], index, count, siblings[:-1]) is None


def test_an_inner_node_is_no_leaf() -> None:
    inner = merkle.leaf_hash(b"a") + merkle.leaf_hash(b"b")
    assert merkle.root([inner]) != merkle.root([b"a", b"b"])


@pytest.mark.parametrize("index", [-1, 2])
def test_there_is_no_path_to_a_leaf_that_is_not_there(index: int) -> None:
    with pytest.raises(IndexError):
        merkle.path([b"a", b"b"], index)
    assert merkle.root_from_path(b"a", index, 2, []) is None


@given(leaves, st.data())
def test_a_growing_tree_has_the_heads_and_paths_of_all_its_sizes(envelopes: list[bytes], data: st.DataObject) -> None:
    tree = grown(envelopes)
    assert tree.size == len(envelopes)
    assert tree.root() == merkle.root(envelopes)
    size = data.draw(st.integers(0, len(envelopes)))
    assert tree.root(size) == reference(envelopes[:size])
    for index in range(size):
        assert tree.inclusion(index, size) == merkle.path(envelopes[:size], index)


def grown(envelopes: list[bytes]) -> merkle.Tree:
    tree = merkle.Tree()
    for envelope in envelopes:
        tree.append(merkle.leaf_hash(envelope))
    return tree


def rfc_proof(m: int, leaves: list[bytes], *, whole: bool = True) -> list[bytes]:
    """SUBPROOF of RFC 9162, section 2.1.4.1, word by word."""
    if m == len(leaves):
        return [] if whole else [reference(leaves)]
    k = 1
    while k * 2 < len(leaves):
        k *= 2
    if m <= k:
        return [*rfc_proof(m, leaves[:k], whole=whole), reference(leaves[k:])]
    return [*rfc_proof(m - k, leaves[k:], whole=False), reference(leaves[:k])]


@given(leaves.filter(bool), st.data())
def test_consistency_proofs_are_the_rfcs_and_hold(envelopes: list[bytes], data: st.DataObject) -> None:
    first = data.draw(st.integers(1, len(envelopes)))
    proof = grown(envelopes).consistency(first, len(envelopes))
    assert proof == rfc_proof(first, envelopes)
    old, new = reference(envelopes[:first]), reference(envelopes)
    assert merkle.consistency_holds(first, old, len(envelopes), new, proof)


@given(st.integers(1, 40), st.data())
def test_a_consistency_proof_of_anything_else_does_not_hold(size: int, data: st.DataObject) -> None:
    envelopes = [bytes([number]) for number in range(size)]
    first = data.draw(st.integers(1, size))
    tree = grown(envelopes)
    proof, old, new = tree.consistency(first, size), tree.root(first), tree.root(size)
    for wrong in ([*proof, bytes(32)], proof[:-1], [bytes(32), *proof[1:]], [*proof[:-1], bytes(32)]):
        if wrong != proof:
            assert not merkle.consistency_holds(first, old, size, new, wrong)
    assert not merkle.consistency_holds(first, bytes(32), size, new, proof)
    assert not merkle.consistency_holds(first, old, size, bytes(32), proof)
    for other in range(size + 2):
        if other != first:
            assert not merkle.consistency_holds(other, old, size, new, proof)
    # The last leaf of the older tree was another one.
    forged = grown([*envelopes[: first - 1], b"forged"]).root()
    assert not merkle.consistency_holds(first, forged, size, new, proof)


def test_every_tree_begins_with_the_empty_one_and_with_itself() -> None:
    empty, one = merkle.Tree(), grown([b"a"])
    assert empty.consistency(0, 0) == one.consistency(0, 1) == one.consistency(1, 1) == []
    assert merkle.consistency_holds(0, empty.root(), 0, empty.root(), [])
    assert merkle.consistency_holds(0, empty.root(), 1, one.root(), [])
    assert merkle.consistency_holds(1, one.root(), 1, one.root(), [])
    assert not merkle.consistency_holds(0, bytes(32), 1, one.root(), [])
    assert not merkle.consistency_holds(1, one.root(), 1, empty.root(), [])
    assert not merkle.consistency_holds(-1, empty.root(), 1, one.root(), [])
    assert not merkle.consistency_holds(2, empty.root(), 1, one.root(), [])


def test_a_tree_has_no_more_than_it_has() -> None:
    tree = grown([b"a", b"b"])
    for call in (
        lambda: tree.root(3),
        lambda: tree.root(-1),
        lambda: tree.inclusion(0, 3),
        lambda: tree.inclusion(2, 2),
        lambda: tree.consistency(0, 3),
        lambda: tree.consistency(2, 1),
    ):
        with pytest.raises(IndexError):
            call()
    with pytest.raises(ValueError, match="a leaf's hash has 32 bytes, not 31"):
        tree.append(bytes(31))


def test_consistency_proofs_of_the_rfcs_example() -> None:
    """Section 2.1.5 of RFC 9162: the tree of seven leaves d0 to d6, by the names of its nodes."""
    data = [f"d{number}".encode() for number in range(7)]
    a, b, c, d, e, f, j = map(merkle.leaf_hash, data)

    def node(left: bytes, right: bytes) -> bytes:
        return sha256(b"\x01" + left + right).digest()

    g, h, i = node(a, b), node(c, d), node(e, f)
    k = node(g, h)
    l = node(i, j)  # noqa: E741 - the RFC's name
    tree = grown(data)
    assert tree.consistency(3, 7) == [c, d, g, l]
    assert tree.consistency(4, 7) == [l]
    assert tree.consistency(6, 7) == [i, j, k]
    assert tree.inclusion(0, 7) == [b, h, l]
    assert tree.inclusion(6, 7) == [i, k]
