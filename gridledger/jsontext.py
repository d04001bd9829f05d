"""JSON texts: strict reading, and the one way of writing.

Texts from outside go through :func:`loads`, which refuses what two readers could understand differently: a member name
twice in one object, NaN and infinities, numbers beyond binary64. Texts that were checked once, or that we wrote
ourselves, go through :func:`loads_trusted`. A whole number beyond 64 bits is read as the nearest binary64, so whoever
declares an integer refuses floats. :func:`dumps` writes the one text of a value: members in insertion order,
shortest round-trip numbers, no white space.
"""

from __future__ import annotations

import json
from math import isfinite
from typing import Any

import orjson

from gridledger.errors import MalformedJSON

MAX_VALUE_DEPTH = 60
"""How many containers (objects and lists), one within the other, a value may have where it enters: an argument, a value
of the world state, a payload. Where it enters, and nowhere behind, this is checked."""

ENVELOPE_DEPTH = 12
"""How many containers may lie around such a value in all that is written later: results, blocks, reports, answers."""

MAX_DEPTH = MAX_VALUE_DEPTH + ENVELOPE_DEPTH
"""How many containers :func:`loads` takes, one within the other, unless it is told less."""

_CONTAINERS = (dict, list, tuple)


def loads(text: bytes | str, max_depth: int = MAX_DEPTH) -> Any:
    """Parse one JSON text from outside; :class:`MalformedJSON` says what is refused.

    Where values enter that are wrapped later, ``max_depth`` is less than ``MAX_DEPTH``, by what may be wrapped around.

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
        if not _is_flat(value) and _may_be_deep(data, max_depth):
            _refuse_deep(value, max_depth)
        return value
    # Every member has one colon. More colons than members: either colons inside strings, or a name that came twice
    # and of which the parser kept the last. Only then the slow reader decides.
    if data.count(b":") != _count_members(value, max_depth):
        _refuse_duplicates(text)
    return value


def loads_texts(text: bytes) -> dict[str, str]:
    """Parse an object whose members are all texts, such as an envelope; :class:`MalformedJSON` for anything else, which
    is not looked at any closer. Cost: that of :func:`loads`."""
    try:
        value = orjson.loads(text)
    except orjson.JSONDecodeError as error:
        raise MalformedJSON(f"not a JSON text: {error}") from None
    if not _is_flat(value):
        raise MalformedJSON("not a JSON object of texts")
    if not _is_plain(text, value) and text.count(b":") != len(value):
        _refuse_duplicates(text)
    return dict(value)


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


def _may_be_deep(data: bytes, max_depth: int) -> bool:
    """Whether more than ``max_depth`` brackets can be open at once; True says nothing.

    An opening bracket behind ``},`` or ``],`` takes the place of one that was closed, so it opens no further level:
    lists of many objects are told from deep nesting without looking at the values. Such a pair stands as a whole
    inside a string or outside all of them, so what strings hold counts for nothing or towards the careful side.
    """
    brackets = data.count(b"{") + data.count(b"[")
    return brackets > max_depth and brackets - data.count(b"},{") - data.count(b"],[") > max_depth


def loads_trusted(text: bytes | str) -> Any:
    """Parse a text that :func:`loads` has accepted before, or that :func:`dumps` wrote."""
    return orjson.loads(text)


def dumps(value: Any) -> bytes:
    """Write ``value`` (str, int within 64 bits, float, bool, None, list or tuple, dict with str keys) as UTF-8 JSON.

    Raises :class:`MalformedJSON` for anything else and for NaN and infinities, which orjson would write as null. Levels
    are not counted: what was taken in can be wrapped and written. (orjson writes 254 at most.)
    """
    try:
        text = orjson.dumps(value, option=orjson.OPT_PASSTHROUGH_DATACLASS | orjson.OPT_PASSTHROUGH_DATETIME)
    except (orjson.JSONEncodeError, RecursionError) as error:
        raise MalformedJSON(f"cannot be written as JSON: {error}") from None
    # orjson is silent about non-finite floats. It writes them as null, so only texts with a null can hide one.
    nulls = text.count(b"null")
    if nulls and not (type(value) is dict and nulls == [*value.values()].count(None)):  # most proposals have one, None
        _refuse_non_finite((value,))
    return text


def dumps_again(value: Any) -> bytes:
    """As :func:`dumps`, for a value that :func:`loads` or :func:`loads_trusted` has read: it has a text for certain."""
    return orjson.dumps(value)


def _refuse_deep(value: Any, max_depth: int) -> None:
    """Raise :class:`MalformedJSON` for more than ``max_depth`` containers, one within the other."""
    level = [value] if type(value) is dict or type(value) is list else []
    for _ in range(max_depth):
        # One loop over a level takes a third of a call for each container, as _count_members makes.
        level = [
            item
            for container in level
            for item in (container.values() if type(container) is dict else container)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return
    if level:
        raise MalformedJSON(f"nested deeper than {max_depth} levels")


def _count_members(value: Any, max_depth: int, depth: int = 0) -> int:
    """The members of all objects in a value; :class:`MalformedJSON` for more than ``max_depth`` containers."""
    kind = type(value)
    if kind is not dict and kind is not list:
        return 0
    depth += 1
    if depth > max_depth:
        raise MalformedJSON(f"nested deeper than {max_depth} levels")
    members, items = (len(value), value.values()) if kind is dict else (0, value)
    return members + sum(
        [_count_members(item, max_depth, depth) for item in items if type(item) is dict or type(item) is list]
    )


def _refuse_duplicates(text: bytes | str) -> None:
    json.loads(text, object_pairs_hook=_unique_members)


def _unique_members(pairs: list[tuple[str, Any]]) -> None:
    seen: set[str] = set()
    for name, _ in pairs:
        if name in seen:
            raise MalformedJSON(f"the member name {name!r} comes twice in one object")
        seen.add(name)


def _refuse_non_finite(value: Any) -> None:
    for item in value.values() if isinstance(value, dict) else value:
        kind = type(item)
        if kind is float:
            if not isfinite(item):
                raise MalformedJSON("NaN and infinities are no JSON numbers")
        elif kind is not str and kind is not int and isinstance(item, _CONTAINERS):
            _refuse_non_finite(item)
