"""The stand-in for orjson: what it reads and writes is what orjson does, so that commit hashes come out the same."""

from __future__ import annotations

import struct
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.evidence import plain_json

TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=8)
NUMBERS = st.integers(-(2**63), 2**64 - 1) | st.floats()
VALUES = st.recursive(
    st.none() | st.booleans() | NUMBERS | TEXTS,
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(TEXTS, inner, max_size=4),
    max_leaves=20,
)


@given(VALUES)
def test_values_are_written_alike_and_read_back(value: Any) -> None:
    text = orjson.dumps(value)
    assert plain_json.dumps(value) == text
    assert same(plain_json.loads(text), orjson.loads(text))
    assert same(plain_json.loads(text.decode()), orjson.loads(text))


def same(left: Any, right: Any) -> bool:
    """Equal, with the types of all parts: 1 is not 1.0, nor True."""
    return repr(left) == repr(right)


@given(st.integers(0, 2**64 - 1))
def test_every_number_has_the_same_digits(bits: int) -> None:
    (value,) = struct.unpack(">d", bits.to_bytes(8, "big"))
    assert plain_json.dumps(value) == orjson.dumps(value)


@pytest.mark.parametrize("exponent", range(-12, 24))
def test_the_point_stands_where_orjson_sets_it(exponent: int) -> None:
    for digits in ("1", "1.5", "1.2345678901234567", "9.999999999999999", "-7"):
        value = float(f"{digits}e{exponent}")
        assert plain_json.dumps(value) == orjson.dumps(value)


@given(st.text('{}[]",:0123456789.eE+-\\u tfnalsr\ud83d', max_size=12) | st.binary(max_size=8))
def test_what_one_refuses_the_other_does(text: Any) -> None:
    try:
        expected = orjson.loads(text)
    except (orjson.JSONDecodeError, UnicodeEncodeError):
        with pytest.raises((plain_json.JSONDecodeError, UnicodeEncodeError)):
            refused(text)
    else:
        assert same(plain_json.loads(text), expected)


def refused(text: Any) -> Any:
    """A lone surrogate in a str is no text that could come from bytes: both modules may say so in their own way."""
    if isinstance(text, str):
        text.encode()
    return plain_json.loads(text)


@pytest.mark.parametrize(
    "text",
    [
        *("", "NaN", "Infinity", "-Infinity", "1e999", "-1e999", "1" * 400, "01", "1.", ".5", "+1", "[1,]", '{"a":1,}'),
        *("\ufeff1", '"\\ud800"', '["\\udc00x"]', '{"\\ud800":1}', '"\x01"', "'a'", '"\\x41"', "[" * 1100 + "]" * 1100),
    ],
)
def test_texts_that_are_none_are_refused_by_both(text: str) -> None:
    with pytest.raises(orjson.JSONDecodeError):
        orjson.loads(text)
    with pytest.raises(plain_json.JSONDecodeError):
        plain_json.loads(text)


@pytest.mark.parametrize(
    "text",
    ["-0", "-0.0", "18446744073709551616", "-9223372036854775809", '"\\ud83d\\ude00"', " [ 1 ] ", "1E5", "1e-999"],
)
def test_corners_are_read_alike(text: str) -> None:
    assert same(plain_json.loads(text), orjson.loads(text))


@pytest.mark.parametrize("value", [2**64, -(2**63) - 1, {1: 2}, {1, 2}, b"x", "\ud800", object()])
def test_values_without_a_text_are_refused_by_both(value: Any) -> None:
    with pytest.raises(orjson.JSONEncodeError):
        orjson.dumps(value)
    with pytest.raises(plain_json.JSONEncodeError):
        plain_json.dumps(value)


def test_fragments_and_tuples_are_written_as_they_are() -> None:
    for module in (orjson, plain_json):
        assert module.dumps({"a": module.Fragment(b'{"x" : 1}'), "b": (1, 2)}) == b'{"a":{"x" : 1},"b":[1,2]}'
        option = module.OPT_PASSTHROUGH_DATACLASS | module.OPT_PASSTHROUGH_DATETIME
        assert module.dumps(None, option=option) == b"null"
