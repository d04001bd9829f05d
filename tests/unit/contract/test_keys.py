"""Keys: bounds, composite keys, and the order of ranges."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.contract import ContractError, keys

part = st.text(st.characters(exclude_characters="\x00\U0010ffff", exclude_categories=["Cs"]), max_size=20)


@given(part.filter(bool), st.lists(part, max_size=5))
def test_a_composite_key_splits_into_its_parts(object_type: str, attributes: list[str]) -> None:
    key = keys.create_composite_key(object_type, attributes)
    assert keys.split_composite_key(key) == (object_type, attributes)
    assert keys.check_key(key) == key


@given(part.filter(bool), st.lists(part, max_size=3), st.lists(part, max_size=3), st.lists(part, max_size=3))
def test_a_partial_range_holds_the_keys_that_begin_so_and_no_others(
    object_type: str, prefix: list[str], rest: list[str], other: list[str]
) -> None:
    start, end = keys.partial_composite_range(object_type, prefix)
    assert start <= keys.create_composite_key(object_type, prefix + rest) < end
    key = keys.create_composite_key(object_type, other)
    assert (start <= key < end) == (other[: len(prefix)] == prefix)


@given(st.text(st.characters(exclude_categories=["Cs"])), st.text(st.characters(exclude_categories=["Cs"])))
def test_strings_compare_as_their_utf8_bytes(one: str, two: str) -> None:
    assert (one < two) == (one.encode() < two.encode())


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("", "not empty"),
        (7, "not int"),
        (None, "not NoneType"),
        ("a\x00b", "no NUL"),
        ("\x00a", "no NUL"),
        ("\x00", "no NUL"),
        ("\x00\x00", "no NUL"),
        ("\ud800", "lone surrogates"),
        ("k" * 1025, "1025 bytes"),
        ("ä" * 513, "1026 bytes"),
    ],
)
def test_keys_that_are_refused(key: object, message: str) -> None:
    with pytest.raises(ContractError, match=message):
        keys.check_key(key)


def test_the_longest_key_is_taken() -> None:
    assert keys.check_key("k" * 1024)
    assert keys.check_key("ä" * 512)


@pytest.mark.parametrize("parts", [("", []), ("a\x00", []), ("a", ["b\x00"]), ("a", ["\U0010ffff"]), ("a", [1])])
def test_parts_that_are_refused(parts: tuple[str, list[str]]) -> None:
    with pytest.raises(ContractError):
        keys.create_composite_key(*parts)


@pytest.mark.parametrize("key", ["", "a", "\x00", "\x00a", "a\x00"])
def test_what_is_no_composite_key_does_not_split(key: str) -> None:
    with pytest.raises(ContractError, match="not a composite key"):
        keys.split_composite_key(key)


def test_an_open_range_begins_behind_the_composite_keys() -> None:
    start, end = keys.simple_range("", "")
    assert keys.create_composite_key("z", ["z"]) < start
    assert end == ""
