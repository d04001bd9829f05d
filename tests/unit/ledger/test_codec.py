"""How keys and values lie in the store: the order of keys, keys longer than the store takes, values read back."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from gridledger.ledger import codec
from gridledger.ledger.codec import CUT, MAX_STORE_KEY
from gridledger.protocol.result import Version

names = st.text(max_size=5)
keys = st.text(min_size=1, max_size=6) | st.builds(lambda text: text * 200, st.text("xy", min_size=3, max_size=5))
versions = st.builds(Version, st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1))


@given(names, st.lists(keys, min_size=2, max_size=6))
def test_keys_lie_in_the_order_of_their_utf8_bytes(namespace: str, some: list[str]) -> None:
    whole = [codec.whole_key(namespace, key) for key in sorted(some, key=str.encode)]
    assert whole == sorted(whole)


@given(names, names, keys)
def test_a_namespace_ends_before_the_next_begins(namespace: str, other: str, key: str) -> None:
    prefix = codec.whole_key(namespace, "")
    end = codec.namespace_end(prefix)
    assert prefix <= codec.whole_key(namespace, key) < end
    if other != namespace:
        assert not prefix <= codec.whole_key(other, key) < end


@given(names, keys, versions, st.binary(max_size=20))
def test_a_state_entry_is_read_as_it_was_written(namespace: str, key: str, version: Version, value: bytes) -> None:
    whole = codec.whole_key(namespace, key)
    stored, entry = codec.cut_key(whole), codec.pack_state(whole, version, value)
    assert len(stored + codec.pack_version(version)) <= MAX_STORE_KEY
    assert codec.is_cut(stored) == (len(whole) > CUT)
    assert codec.state_version(entry) == version
    assert codec.state_value(stored, entry) == value
    assert codec.state_whole(stored, entry) == whole


def test_only_longer_keys_than_fit_are_cut() -> None:
    prefix = len(codec.whole_key("kv", ""))
    for length in (CUT - 1, CUT, CUT + 1):
        whole = codec.whole_key("kv", "x" * (length - prefix))
        stored, entry = codec.cut_key(whole), codec.pack_state(whole, Version(1, 2), b"value")
        assert codec.is_cut(stored) == (length > CUT)
        assert (codec.state_value(stored, entry), codec.state_whole(stored, entry)) == (b"value", whole)


def test_long_keys_with_one_beginning_are_told_apart() -> None:
    one, other = (codec.cut_key(codec.whole_key("kv", "x" * 600 + end)) for end in ("a", "b"))
    assert one != other
    assert one[:CUT] == other[:CUT]


@given(versions, versions)
def test_later_versions_sort_behind_earlier_ones(one: Version, other: Version) -> None:
    assert (codec.pack_version(one) < codec.pack_version(other)) == (one < other)
    assert codec.unpack_version(b"key" + codec.pack_version(one)) == one


@given(st.integers(0, 2**64 - 1), st.integers(0, 2**32 - 1), st.integers(0, 255))
def test_numbers_are_read_as_they_were_written(block: int, index: int, code: int) -> None:
    assert codec.unpack_transaction(codec.pack_transaction(block, index, code)) == (block, index, code)
    assert codec.chunk_segment(codec.pack_chunk(block, index, 7)) == index
    assert codec.pack_chunk(block, index, 7).startswith(codec.pack_number(block))


def test_only_a_hash_is_a_transactions_key() -> None:
    assert codec.transaction_key("ab" * 32) == b"\xab" * 32
    for tx_id in ("", "ab" * 31, "ab" * 33, "zz" * 32, "é" * 64):
        assert codec.transaction_key(tx_id) is None
