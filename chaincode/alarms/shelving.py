"""Shelve, Unshelve, ListShelved: sources whose alarms are set aside for a while.

A contract has no clock: the end is the proposal's time plus what the caller asks for, at most a day. Whether it has
come is for the reader to judge.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import integer, members, refuse, text
from gridledger.contract.paging import bookmark_of, entries_of, limit_of, page

from . import keys
from .arguments import MAX_REMARK, MAX_SHELVED_S, Record, group_id, is_kind, source
from .permissions import identity_of, require_operator

_US: Final = 1_000_000


def shelve(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Shelve({group, kind, duration_s, reason}): {group, kind, until_us, reason, by, time_us, tx}.

    One that is shelved already has the new end and reason from then on; the history of its key has those before.
    """
    members(argument, "", ("group", "kind", "duration_s", "reason"))
    group, kind = source(argument)
    duration_s = integer(argument["duration_s"], "duration_s", 1, MAX_SHELVED_S)
    reason = text(argument["reason"], "reason", MAX_REMARK)
    require_operator(caller, group)
    now_us = stub.get_tx_timestamp()
    record = {
        "group": group,
        "kind": kind,
        "until_us": now_us + duration_s * _US,
        "reason": reason,
        "by": identity_of(caller),
        "time_us": now_us,
        "tx": stub.get_tx_id(),
    }
    stub.put_state(keys.shelved(group, kind), record)
    stub.set_event("Shelved", record)
    return record


def unshelve(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Unshelve({group, kind}): {group, kind, by, time_us, tx}; refused where the source is not shelved."""
    members(argument, "", ("group", "kind"))
    group, kind = source(argument)
    require_operator(caller, group)
    if stub.get_state(keys.shelved(group, kind)) is None:
        refuse("kind", f"{kind} of group {group} is not shelved")
    record = {
        "group": group,
        "kind": kind,
        "by": identity_of(caller),
        "time_us": stub.get_tx_timestamp(),
        "tx": stub.get_tx_id(),
    }
    stub.del_state(keys.shelved(group, kind))
    stub.set_event("Unshelved", record)
    return record


def list_shelved(stub: Stub, argument: Any) -> Record:
    """ListShelved({limit?, bookmark?}): by group and kind, those whose end has come too until they are unshelved."""
    members(argument, "", (), ("limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, _is_source, "")
    return page(entries_of(stub, keys.SHELVED, start, limit), limit)


def _is_source(bookmark: str) -> bool:
    group, _, kind = bookmark.partition("/")
    return is_kind(kind) and bool(group_id(group, "bookmark"))
