"""Pages of queries: at most so many items and bytes, and a bookmark where the next one begins.

A query takes ``limit`` and ``bookmark`` in its one argument and answers ``{items, bookmark}``, the bookmark null at the
end. The bookmark is the rest of the key of the first item that was not answered, so a page costs what it has, whatever
stands before it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any, Final

from gridledger.contract.arguments import integer, refuse, shown
from gridledger.contract.stub import Stub, json_text

__all__ = ["DEFAULT_LIMIT", "MAX_LIMIT", "PAGE_BYTES", "behind", "bookmark_of", "entries_of", "limit_of", "page"]

DEFAULT_LIMIT: Final = 100
"""Items of a page where the caller names no ``limit``."""
MAX_LIMIT: Final = 500
"""Largest page; a larger ``limit`` gets this much and a bookmark."""
PAGE_BYTES: Final = 600_000
"""A page ends before it grows beyond this, bytes; one item it has at least."""


def limit_of(argument: dict[str, Any]) -> int:
    """How many items a page may have, 1 to :data:`MAX_LIMIT`."""
    given = argument.get("limit")
    return DEFAULT_LIMIT if given is None else min(integer(given, "limit", 1, 2**53), MAX_LIMIT)


def bookmark_of(argument: dict[str, Any], check: Callable[[str], bool], default: str) -> str:
    """The bookmark handed over, ``default`` where there is none; refused unless ``check`` holds."""
    bookmark = argument.get("bookmark")
    if bookmark is None:
        return default
    if type(bookmark) is not str or not check(bookmark):
        refuse("bookmark", f"must be the bookmark of the page before, not {shown(bookmark)}")
    return bookmark


def page(entries: Iterable[tuple[str, dict[str, Any]]], limit: int) -> dict[str, Any]:
    """{items, bookmark} of (bookmark, item): the bookmark is that of the first item not answered, null at the end."""
    items: list[Any] = []
    size = 0
    for bookmark, item in entries:
        size += len(json_text(item, "an item"))
        if len(items) == limit or (items and size > PAGE_BYTES):
            return {"items": items, "bookmark": bookmark}
        items.append(item)
    return {"items": items, "bookmark": None}


def entries_of(stub: Stub, prefix: str, start: str, limit: int) -> Iterable[tuple[str, Any]]:
    """(rest of the key, value) of keys that begin with ``prefix``, from ``start`` on; one more than ``limit``."""
    for key, value in stub.get_state_by_range(prefix + start, behind(prefix), limit + 1):
        yield key[len(prefix) :], value


def behind(prefix: str) -> str:
    """The end of the range of all keys that begin with ``prefix``, which ends with a slash."""
    return prefix[:-1] + "0"  # the character behind "/"
