"""Queries, for any member of the channel. The paged ones answer {items, bookmark}, bookmark null at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gridledger.contract import Stub
from gridledger.contract.arguments import members, refuse, shown

from . import keys
from .arguments import INTEGER_LIMIT, group_id, integer
from .grouping import load_buses
from .records import read_record
from .resources import read_resources
from .standing import at_buses, read_standing

DEFAULT_LIMIT: Final = 100
#: Largest page; a larger ``limit`` gets this much and a bookmark.
MAX_LIMIT: Final = 1000
#: A page ends early before it grows beyond this estimate of its text, bytes.
PAGE_BYTES: Final = 600_000

_ITEM_BYTES: Final = 400
_ENTRY_BYTES: Final = 48


def get_group(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetGroup({group}): the record without its matrices."""
    members(argument, "", ("group",))
    return read_record(stub, group_id(argument["group"]))


def get_resources(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetResources({group}): {group, vvc, actions}, with ``release`` in the record also what stands.

    The list is 0 while it is lent, and nothing stands here then.
    """
    members(argument, "", ("group",))
    group = group_id(argument["group"])
    head = read_record(stub, group)
    loads = load_buses(head)
    resources = read_resources(stub, group)
    answer = {"group": group, "vvc": resources.listed(loads), "actions": resources.actions}
    return answer | {"standing": at_buses(read_standing(stub, group).entries, loads)} if "release" in head else answer


def get_vsi(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetVSI({group, from, to, limit?, bookmark?}): results with from <= time <= to, ascending."""
    members(argument, "", ("group", "from", "to"), ("limit", "bookmark"))
    group = group_id(argument["group"])
    start = integer(argument["from"], "from")
    end = integer(argument["to"], "to") + 1
    limit = _limit(argument)
    start = max(start, _bookmark(argument, keys.TIME_DIGITS))
    read_record(stub, group)
    return _page(stub, keys.vsi(group, start), keys.vsi(group, end), limit)


def get_actions(stub: Stub, argument: Any) -> dict[str, Any]:
    """GetActions({group, limit?, bookmark?}): {time, control} of every action, the first one first."""
    members(argument, "", ("group",), ("limit", "bookmark"))
    group = group_id(argument["group"])
    limit = _limit(argument)
    start = _bookmark(argument, keys.ACTION_DIGITS)
    read_record(stub, group)
    # ":" is the character behind "9", so this is the end of the group's actions.
    return _page(stub, keys.action(group, start), f"{keys.action(group, 0)[: -keys.ACTION_DIGITS]}:", limit)


def _limit(argument: dict[str, Any]) -> int:
    return min(integer(argument["limit"], "limit", 1), MAX_LIMIT) if "limit" in argument else DEFAULT_LIMIT


def _bookmark(argument: dict[str, Any], digits: int) -> int:
    """Where the page starts: a bookmark is the number at the end of the key of the first item not answered yet."""
    bookmark = argument.get("bookmark")
    if bookmark is None:
        return 0
    if type(bookmark) is not str or len(bookmark) != digits or not (bookmark.isascii() and bookmark.isdigit()):
        refuse("bookmark", f"must be the bookmark of the page before, not {shown(bookmark)}")
    return min(int(bookmark), INTEGER_LIMIT - 1)


def _page(stub: Stub, start: str, end: str, limit: int) -> dict[str, Any]:
    items: list[Any] = []
    if start >= end:
        return {"items": items, "bookmark": None}
    size = 0
    entries: Iterator[tuple[str, Any]] = stub.get_state_by_range(start, end, limit + 1)
    for key, item in entries:
        size += _estimate(item)
        if len(items) == limit or (items and size > PAGE_BYTES):
            return {"items": items, "bookmark": key.rpartition("/")[2]}
        items.append(item)
    return {"items": items, "bookmark": None}


def _estimate(item: dict[str, Any]) -> int:
    """About how many bytes an item's text takes."""
    control = item["control"] or {}
    entries = len(item.get("vsi", ())) + len(control.get("vvc_left", ())) + len(control.get("searched", ()))
    return _ITEM_BYTES + _ENTRY_BYTES * entries
