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
