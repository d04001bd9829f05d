"""Acknowledge, GetAlarm, ListAcknowledged: who has seen which alarm."""

from __future__ import annotations

from typing import Any

from gridledger.contract import ClientIdentity, Stub
from gridledger.contract.arguments import members, moment, refuse, sha256, text
from gridledger.contract.paging import bookmark_of, entries_of, limit_of, page

from . import keys
from .arguments import MAX_REMARK, Record, group_id, is_kind, source, time_us
from .permissions import identity_of, require_operator


def acknowledge(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """Acknowledge({group, kind, raised_us, raised_by?, note?}): the same with by, time_us, tx.

    ``raised_us``: the time of the frame that raised the alarm; ``raised_by``: its transaction. The first
    acknowledgement stands: the same person, who repeats it, is answered it, anybody else is refused.
    """
    members(argument, "", ("group", "kind", "raised_us"), ("raised_by", "note"))
    group, kind = source(argument)
    raised_us = time_us(argument["raised_us"], "raised_us")
    raised_by, note = argument.get("raised_by"), argument.get("note")
    told = {
        "group": group,
        "kind": kind,
        "raised_us": raised_us,
        "raised_by": None if raised_by is None else sha256(raised_by, "raised_by"),
        "note": None if note is None else text(note, "note", MAX_REMARK),
    }
    require_operator(caller, group)
    who = identity_of(caller)
    known: Record | None = stub.get_state(keys.acknowledged(group, kind, raised_us))
    if known is not None:
        _refuse_other(known, who, told)
        return known
    record = {**told, "by": who, "time_us": stub.get_tx_timestamp(), "tx": stub.get_tx_id()}
    stub.put_state(keys.acknowledged(group, kind, raised_us), record)
    stub.set_event("Acknowledged", record)
    return record


def get_alarm(stub: Stub, argument: Any) -> Record:
    """GetAlarm({group, kind, raised_us}): the same with acknowledged and shelved, each null where there is none."""
    members(argument, "", ("group", "kind", "raised_us"))
    group, kind = source(argument)
    raised_us = time_us(argument["raised_us"], "raised_us")
    return {
        "group": group,
        "kind": kind,
        "raised_us": raised_us,
        "acknowledged": stub.get_state(keys.acknowledged(group, kind, raised_us)),
        "shelved": stub.get_state(keys.shelved(group, kind)),
    }


def list_acknowledged(stub: Stub, argument: Any) -> Record:
    """ListAcknowledged({group, from_us?, limit?, bookmark?}): of a group's alarms that were raised at ``from_us`` or
    later, by that time."""
    members(argument, "", ("group",), ("from_us", "limit", "bookmark"))
    group = group_id(argument["group"])
    from_us = 0 if argument.get("from_us") is None else time_us(argument["from_us"], "from_us")
    start = bookmark_of(argument, _is_place, keys.place(from_us, ""))
    limit = limit_of(argument)
    return page(entries_of(stub, keys.acknowledged_in(group), start, limit), limit)


def _refuse_other(known: Record, who: Record, told: Record) -> None:
    """Refuse a second acknowledgement that is another person's, or says something else."""
    by = known["by"]
    if by != who:
        refuse(
            "alarm",
            f"{by['id']} of {by['mspid']} has acknowledged it already, at {moment(known['time_us'])}, "
            f"by transaction {known['tx']}",
        )
    for field in ("note", "raised_by"):
        if told[field] is not None and told[field] != known[field]:
            refuse(field, f"the caller has acknowledged the alarm already with another {field}, which stands")


def _is_place(bookmark: str) -> bool:
    digits, _, kind = bookmark.partition("/")
    return len(digits) == keys.TIME_DIGITS and digits.isascii() and digits.isdigit() and is_kind(kind)
