"""Hostile input: bytes and JSON texts that were sound once, and how many of them a test tries."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest
from hypothesis import HealthCheck, settings
from hypothesis import strategies as st

from tests.support.examples import examples

DEEPER = 8


def tries(whole: int) -> pytest.MarkDecorator:
    """Give a test the argument ``count``: ``examples(whole)`` among the unit tests, ``DEEPER * whole`` in test-deep."""
    deep = pytest.param(whole * DEEPER, marks=[pytest.mark.deep, pytest.mark.timeout(1800)])
    return pytest.mark.parametrize("count", [examples(whole), deep])


def trying(count: int) -> Callable[[Any], Any]:
    """Hypothesis' settings for this many examples."""
    checks = [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.nested_given]
    return settings(max_examples=count, deadline=None, suppress_health_check=checks)


@st.composite
def odd(draw: st.DrawFn, sound: Any) -> str:
    """The JSON text of ``sound`` with something odd in the place of up to three of its values, or some left out."""
    value = sound
    for _ in range(draw(st.integers(1, 3))):
        value = altered(value, draw(st.sampled_from(paths(value))), draw(ODD), draw(st.booleans()))
    return written(value)


@st.composite
def damaged(draw: st.DrawFn, sound: bytes) -> bytes:
    """``sound`` with up to four places changed, cut out, doubled or added to: most of what reads it gets far."""
    data = bytearray(sound)
    for _ in range(draw(st.integers(1, 4))):
        place = draw(st.integers(0, len(data)))
        length = draw(st.integers(1, 16))
        match draw(st.sampled_from(["set", "set", "set", "bit", "cut", "double", "insert", "end"])):
            case "set":
                data[place : place + 1] = bytes([draw(st.sampled_from(_BYTES))])
            case "bit" if place < len(data):
                data[place] ^= 1 << draw(st.integers(0, 7))
            case "cut":
                del data[place : place + length]
            case "double":
                data[place:place] = data[place : place + length]
            case "insert":
                data[place:place] = draw(st.binary(min_size=1, max_size=length))
            case "end":
                del data[max(1, place) :]
    return bytes(data)


_BYTES = [0x00, 0x01, 0x02, 0x03, 0x04, 0x05, 0x06, 0x0C, 0x13, 0x16, 0x17, 0x18, 0x1E, 0x30, 0x31, 0x7F, 0x80, 0x81]
_BYTES += [0x82, 0x84, 0xA0, 0xA3, 0xC0, 0xFE, 0xFF, *b'{}[]":,0-e\\']
"""Tags and lengths of DER, and what JSON is made of."""

ODD = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-(2**63), 2**64 - 1),
    st.floats(allow_nan=False, allow_infinity=False),
    st.text(max_size=40),
    st.sampled_from(
        ["", "\0", "\x7f" * 2000, "é" * 1024, "{}", "[]", "null", "A" * 100, "=", "AAAA", "0" * 64, "kv", "shard1"]
    ),
    st.lists(st.integers(), max_size=3),
    st.dictionaries(st.text(max_size=5), st.integers(), max_size=2),
)


def paths(value: Any, here: tuple[Any, ...] = ()) -> list[tuple[Any, ...]]:
    """The way to every value inside a value."""
    found = [here]
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, child in children:
        found += paths(child, (*here, name))
    return found


def altered(value: Any, path: tuple[Any, ...], new: Any, remove: bool) -> Any:
    """A copy of ``value`` with what lies at ``path`` replaced or removed."""
    if not path:
        return new
    copy = dict(value) if isinstance(value, dict) else list(value)
    if len(path) == 1 and remove:
        del copy[path[0]]
    else:
        copy[path[0]] = altered(value[path[0]], path[1:], new, remove)
    return copy


def written(value: Any) -> str:
    return json.dumps(value, separators=(",", ":"), ensure_ascii=False)
