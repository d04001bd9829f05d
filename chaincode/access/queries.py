"""Queries, for whoever reads the channel. The paged ones answer a bookmark, null at the end.

A page may have fewer items than ``limit``, or none, and a bookmark: that far the call looked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Final

from gridledger.contract import Stub
from gridledger.contract.arguments import members, name, refuse, sha256
from gridledger.contract.paging import PAGE_BYTES, behind, bookmark_of, limit_of
from gridledger.contract.stub import json_text

from . import keys
from .arguments import TIME_LIMIT_US, is_name, is_tx, time_us
from .permissions import Record
from .sessions import read_session
from .suspicion import of_session

#: Sessions of which one call finds what is suspicious: each is a range, of which a transaction may read 100.
MAX_JUDGED: Final = 90
#: Entries that one call looks at.
MAX_LOOKED: Final = 2000

_PAGED: Final = ("from", "to", "limit", "bookmark")


@dataclass(frozen=True, slots=True)
class _Index:
    """Keys ``prefix`` + time / rest; ``is_rest`` judges the rest."""

    prefix: str
    is_rest: Callable[[str], bool]


def get_session(stub: Stub, argument: Any) -> Record:
    """GetSession({session}): the record, ``closed`` (null while open), and all that is suspicious of it."""
    members(argument, "", ("session",))
    return _told(stub, read_session(stub, name(argument["session"], "session")))


def get_sessions(stub: Stub, argument: Any) -> Record:
    """GetSessions({operator?, terminal?, section?, certificate?, open?, suspicious?, from?, to?, limit?, bookmark?}).

    What GetSession answers of each, by when it was opened: from <= opened_us < to.
    """
    filters = ("operator", "terminal", "section")
    members(argument, "", (), (*filters, "certificate", "open", "suspicious", *_PAGED))
    wanted = {field: name(argument[field], field) for field in filters if argument.get(field) is not None}
    certificate = None if argument.get("certificate") is None else sha256(argument["certificate"], "certificate")
    is_open, suspicious = _truth(argument, "open"), _truth(argument, "suspicious")
    index = _Index(keys.OPENED if certificate is None else keys.sessions_of(certificate), is_name)
    judged = 0

    def told_of(rest: str, value: Any) -> Record | None:
        nonlocal judged
        if certificate is None and any(value[field] != wanted[field] for field in wanted):
            return None
        record = read_session(stub, rest[keys.TIME_DIGITS + 1 :])
        if any(record[field] != wanted[field] for field in wanted):
            return None
        if is_open is not None and (stub.get_state(keys.closed(record["session"])) is None) != is_open:
            return None
        judged += 1
        told = _told(stub, record)
        return None if suspicious not in (None, bool(told["suspicious"])) else told

    return _page(stub, argument, index, told_of, lambda: judged == MAX_JUDGED)


def get_commands(stub: Stub, argument: Any) -> Record:
    """GetCommands({session?, device?, operator?, from?, to?, limit?, bookmark?}): by time, from <= time_us < to."""
    filters = ("device", "operator")
    members(argument, "", (), ("session", *filters, *_PAGED))
    wanted = {field: name(argument[field], field) for field in filters if argument.get(field) is not None}
    if argument.get("session") is None:
        return _page(stub, argument, _Index(keys.COMMANDS, is_tx), lambda _, value: _matching(value, wanted))
    session = read_session(stub, name(argument["session"], "session"))["session"]

    def told_of(rest: str, value: Any) -> Record | None:
        if wanted.get("device", value["device"]) != value["device"]:
            return None
        return _matching(stub.get_state(keys.COMMANDS + rest), wanted)

    return _page(stub, argument, _Index(keys.commands_in(session), is_tx), told_of)


def get_denials(stub: Stub, argument: Any) -> Record:
    """GetDenials({operator?, terminal?, from?, to?, limit?, bookmark?}): by time, from <= time_us < to."""
    filters = ("operator", "terminal")
    members(argument, "", (), (*filters, *_PAGED))
    wanted = {field: name(argument[field], field) for field in filters if argument.get(field) is not None}
    return _page(stub, argument, _Index(keys.DENIALS, is_tx), lambda _, value: _matching(value, wanted))


def _told(stub: Stub, record: Record) -> Record:
    closed = stub.get_state(keys.closed(record["session"]))
    return {**record, "closed": closed, "suspicious": of_session(stub, record, closed)}


def _matching(value: Record, wanted: dict[str, str]) -> Record | None:
    return value if all(value[field] == sought for field, sought in wanted.items()) else None


def _truth(argument: Record, field: str) -> bool | None:
    value = argument.get(field)
    if value is not None and type(value) is not bool:
        refuse(field, "must be true or false")
    return value


def _page(
    stub: Stub,
    argument: Record,
    index: _Index,
    told_of: Callable[[str, Any], Record | None],
    is_spent: Callable[[], bool] = lambda: False,
) -> Record:
    """{items, bookmark} of an index. Ends at ``limit``, at bytes or entries looked at, or where ``is_spent``."""
    limit = limit_of(argument)
    items: list[Record] = []
    size = 0
    for looked, (rest, value) in enumerate(_entries(stub, argument, index)):
        if looked == MAX_LOOKED or len(items) == limit or size > PAGE_BYTES or is_spent():
            return {"items": items, "bookmark": rest}
        told = told_of(rest, value)
        if told is not None:
            items.append(told)
            size += len(json_text(told, "an item"))
    return {"items": items, "bookmark": None}


def _entries(stub: Stub, argument: Record, index: _Index) -> Iterator[tuple[str, Any]]:
    """(key without the prefix, value) with from <= time < to, from the bookmark on."""

    def check(bookmark: str) -> bool:
        moment, slash, rest = bookmark.partition("/")
        of_time = len(moment) == keys.TIME_DIGITS and moment.isascii() and moment.isdigit()
        return of_time and slash == "/" and index.is_rest(rest)

    first = 0 if argument.get("from") is None else time_us(argument["from"], "from")
    last = TIME_LIMIT_US if argument.get("to") is None else time_us(argument["to"], "to")
    start = max(keys.moment(first), bookmark_of(argument, check, ""))
    end = behind(index.prefix) if last == TIME_LIMIT_US else index.prefix + keys.moment(last)
    if index.prefix + start >= end:
        return
    for key, value in stub.get_state_by_range(index.prefix + start, end):
        yield key[len(index.prefix) :], value
