"""JSON texts: strict reading, and the one way of writing.

Texts from outside go through :func:`loads`, which refuses what two readers could understand differently: a member name
twice in one object, NaN and infinities, numbers beyond binary64. Texts that were checked once, or that we wrote
ourselves, go through :func:`loads_trusted`. :func:`dumps` writes the one text of a value: members in insertion order,
shortest round-trip numbers, no white space.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import orjson

from gridledger.errors import MalformedJSON

MAX_DEPTH = 64
_CONTAINERS = (dict, list, tuple)


def loads(text: bytes | str) -> Any:
    """Parse one JSON text from outside; :class:`MalformedJSON` says what is refused.

    Cost: less than twice a plain ``orjson.loads``; more for texts that we would have written otherwise.
    """
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedJSON(f"not a JSON text: {error}") from None
    data = text.encode() if isinstance(text, str) else text
    # A text that we would write just so has no name twice: most texts are of this kind, and writing them again costs
    # less than counting members. What has no bracket inside another cannot be nested deep.
    if _is_plain(data, value):
        if not _is_flat(value) and _may_be_deep(data):
            _count_members(value, MAX_DEPTH)
        return value
    # Every member has one colon. More colons than members: either colons inside strings, or a name that came twice
    # and of which the parser kept the last. Only then the slow reader decides.
    if data.count(b":") != _count_members(value, MAX_DEPTH):
        _refuse_duplicates(text)
    return value


def _is_plain(data: bytes, value: Any) -> bool:
    """Whether ``data`` is just what :func:`dumps` writes for the value that was read from it."""
    try:
        return orjson.dumps(value) == data
    except orjson.JSONEncodeError:
        return False


def _is_flat(value: Any) -> bool:
    """Whether a value is an object of strings and nothing else: an envelope is, and its texts are full of brackets."""
    if type(value) is not dict:
        return False
    for item in value.values():  # noqa: SIM110 - a generator would cost more than all that it looks at
        if type(item) is not str:
            return False
    return True


def _may_be_deep(data: bytes) -> bool:
    """Whether more than ``MAX_DEPTH`` brackets can be open at once; True says nothing.

    An opening bracket behind ``},`` or ``],`` takes the place of one that was closed, so it opens no further level:
    lists of many objects are told from deep nesting without looking at the values. Such a pair stands as a whole
    inside a string or outside all of them, so what strings hold counts for nothing or towards the careful side.
    """
    brackets = data.count(b"{") + data.count(b"[")
    return brackets > MAX_DEPTH and brackets - data.count(b"},{") - data.count(b"],[") > MAX_DEPTH


def loads_trusted(text: bytes | str) -> Any:
    """Parse a text that :func:`loads` has accepted before, or that :func:`dumps` wrote."""
    return orjson.loads(text)


def dumps(value: Any) -> bytes:
    """Write ``value`` (str, int within 64 bits, float, bool, None, list or tuple, dict with str keys) as UTF-8 JSON.

    Raises :class:`MalformedJSON` for anything else and for NaN and infinities, which orjson would write as null.
    """
    try:
        text = orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise MalformedJSON(f"cannot be written as JSON: {error}") from None
    # orjson is silent about non-finite floats. It writes them as null, so only texts with a null can hide one.
    nulls = text.count(b"null")
    if nulls and not (type(value) is dict and nulls == [*value.values()].count(None)):  # most proposals have one, None
        _refuse_non_finite((value,), MAX_DEPTH + 1)
    return text


def dumps_again(value: Any) -> bytes:
    """As :func:`dumps`, for a value that :func:`loads` or :func:`loads_trusted` has read: it has a text for certain."""
    return orjson.dumps(value)


def _count_members(value: Any, depth: int) -> int:
    if depth < 0:
        raise MalformedJSON(f"nested deeper than {MAX_DEPTH} levels")
    kind = type(value)
    if kind is dict:
        return len(value) + sum(
            [_count_members(item, depth - 1) for item in value.values() if type(item) is dict or type(item) is list]
        )
    if kind is list:
        return sum([_count_members(item, depth - 1) for item in value if type(item) is dict or type(item) is list])
    return 0


def _refuse_duplicates(text: bytes | str) -> None:
    json.loads(text, object_pairs_hook=_unique_members)


def _unique_members(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise MalformedJSON(f"the member name {name!r} comes twice in one object")
        seen.add(name)


def _refuse_non_finite(value: Any, depth: int) -> None:
    if depth < 0:
        raise MalformedJSON(f"nested deeper than {MAX_DEPTH} levels")
    for item in value.values() if isinstance(value, dict) else value:
        kind = type(item)
        if kind is float:
            if not isfinite(item):
                raise MalformedJSON("NaN and infinities are no JSON numbers")
        elif kind is not str and kind is not int and isinstance(item, _CONTAINERS):
            _refuse_non_finite(item, depth - 1)
