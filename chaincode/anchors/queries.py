"""Queries: members, status, anchors, forks, agents."""

from __future__ import annotations

from typing import Any

from gridledger.contract import Stub
from gridledger.contract.arguments import integer, members, refuse
from gridledger.contract.paging import bookmark_of, entries_of, limit_of, page

from . import keys
from .arguments import HEAD, MAX_ORGANISATIONS, channel_name
from .membership import Record

_STATUSES = 8
"""Channels on a page of statuses: each reads what the organisations say of one another's rounds."""


def get_members(stub: Stub, argument: Any) -> Record:
    """GetMembers({channel}): {channel, organisations, genesis, time_us}."""
    members(argument, "", ("channel",))
    channel = channel_name(argument["channel"], stub.get_channel_id())
    found: Record | None = stub.get_state(keys.members(channel))
    if found is None:
        refuse("channel", f"nothing says yet which organisations belong to {channel}")
    return found


def get_status(stub: Stub, argument: Any) -> Record:
    """GetStatus({channel}): its status; GetStatus({limit?, bookmark?}): {items, bookmark} of all channels with members.

    A status: {channel, members, voices, final, rounds: [{mspid, size, time_us, said: [{mspid, root, ...}]}], forks}.
    Rounds at or below the last final size are over, and are not told.
    """
    members(argument, "", (), ("channel", "limit", "bookmark"))
    if argument.get("channel") is not None:
        return _status(stub, channel_name(argument["channel"], stub.get_channel_id()))
    limit, start = min(limit_of(argument), _STATUSES), bookmark_of(argument, bool, "")
    entries = entries_of(stub, keys.MEMBERS, start, limit)
    return page(((channel, _status(stub, channel)) for channel, _ in list(entries)), limit)


def get_anchor(stub: Stub, argument: Any) -> Record:
    """GetAnchor({channel, size?}): the first anchor of at least this size, the newest where none is named."""
    members(argument, "", ("channel",), ("size",))
    channel = channel_name(argument["channel"], stub.get_channel_id())
    if argument.get("size") is None:
        final: Record | None = stub.get_state(keys.final(channel))
        if final is None:
            refuse("channel", f"{channel} is not anchored yet")
        return final
    at = integer(argument["size"], "size", 1, keys.SIZE_LIMIT - 1)
    found = [one for _, one in entries_of(stub, keys.anchors(channel), f"{at:0{keys.SIZE_DIGITS}d}", 0)]
    if not found:
        refuse("size", f"{channel} has no anchor of {at} blocks or more yet")
    return dict(found[0])


def list_anchors(stub: Stub, argument: Any) -> Record:
    """ListAnchors({channel, limit?, bookmark?}): {items, bookmark}, ascending by size."""
    return _by_size(stub, argument, keys.anchors)


def list_forks(stub: Stub, argument: Any) -> Record:
    """ListForks({channel, limit?, bookmark?}): {items, bookmark}, ascending by size."""
    return _by_size(stub, argument, keys.forks)


def list_agents(stub: Stub, argument: Any) -> Record:
    """ListAgents({limit?, bookmark?}): {items: [{mspid, url, key, time_us}], bookmark}, ascending by MSP id."""
    members(argument, "", (), ("limit", "bookmark"))
    limit, start = limit_of(argument), bookmark_of(argument, bool, "")
    return page(entries_of(stub, keys.AGENTS, start, limit), limit)


def _by_size(stub: Stub, argument: Any, prefix_of: Any) -> Record:
    members(argument, "", ("channel",), ("limit", "bookmark"))
    prefix = prefix_of(channel_name(argument["channel"], stub.get_channel_id()))
    limit, start = limit_of(argument), bookmark_of(argument, _is_size, "")
    return page(entries_of(stub, prefix, start, limit), limit)


def _is_size(text: str) -> bool:
    return len(text) == keys.SIZE_DIGITS and text.isascii() and text.isdigit()


def _status(stub: Stub, channel: str) -> Record:
    record: Record | None = stub.get_state(keys.members(channel))
    final: Record | None = stub.get_state(keys.final(channel))
    names: list[str] = [] if record is None else record["organisations"]
    return {
        "channel": channel,
        "members": record,
        "voices": [voice for _, voice in entries_of(stub, keys.voices(channel), "", 2 * MAX_ORGANISATIONS)],
        "final": final,
        "rounds": _rounds(stub, channel, names, 0 if final is None else final["size"]),
        "forks": stub.get_state(keys.newest_fork(channel)),
    }


def _rounds(stub: Stub, channel: str, names: list[str], above: int) -> list[Record]:
    found = []
    for name in names:
        opened = stub.get_state(keys.round_of(channel, name))
        if opened is None or opened["size"] <= above:
            continue
        said = []
        for other in names:
            one = stub.get_state(keys.attestation(channel, opened["size"], other))
            if one is not None:
                said.append({field: one[field] for field in ("mspid", *HEAD)})
        found.append({**{field: opened[field] for field in ("mspid", "size", "time_us")}, "said": said})
    return found
