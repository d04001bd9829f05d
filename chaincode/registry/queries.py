"""Queries, for any member of the channel and its readers. The paged ones answer a bookmark, null at the end."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from gridledger.contract import Stub
from gridledger.contract.arguments import choice, members, name
from gridledger.contract.paging import behind, bookmark_of, entries_of, limit_of, page

from . import keys
from .arguments import STATUSES, TYPES
from .devices import read_device
from .permissions import Record

#: Most devices that one call of ListDevices looks at.
MAX_LOOKED_AT: Final = 2000


def get_device(stub: Stub, argument: Any) -> Record:
    """GetDevice({device}): the record, and ``revoked``: why, or null."""
    members(argument, "", ("device",))
    record = read_device(stub, name(argument["device"], "device"))
    return record | {"revoked": stub.get_state(keys.revoked(record["device"]))}


def list_devices(stub: Stub, argument: Any) -> Record:
    """ListDevices({section?, type?, status?, limit?, bookmark?}): records by name. A page may have fewer items than
    there are, none even, and a bookmark: one call looks at 2,000 devices."""
    members(argument, "", (), ("section", "type", "status", "limit", "bookmark"))
    wanted: Record = {}
    if argument.get("section") is not None:
        wanted["section"] = name(argument["section"], "section")
    for field, choices in (("type", TYPES), ("status", STATUSES)):
        if argument.get(field) is not None:
            wanted[field] = choice(argument[field], field, choices)
    limit = limit_of(argument)
    start = bookmark_of(argument, _is_name, "")
    left = _Left()
    answer = page(_matching(stub, start, wanted, left), limit)
    return answer if answer["bookmark"] is not None else answer | {"bookmark": left.bookmark}


def get_keys(stub: Stub, argument: Any) -> Record:
    """GetKeys({device, limit?, bookmark?}): its proof keys, the first one first: {number, proof_key,
    certificate_sha256, proof, or proof_old and proof_new, time_us, tx}."""
    members(argument, "", ("device",), ("limit", "bookmark"))
    device = name(argument["device"], "device")
    limit = limit_of(argument)
    start = bookmark_of(argument, _is_number, "")
    read_device(stub, device)
    entries = entries_of(stub, keys.device_keys(device), start, limit)
    return page(((digits, {"number": int(digits), **value}) for digits, value in entries), limit)


def get_revoked(stub: Stub, argument: Any) -> Record:
    """GetRevoked({limit?, bookmark?}): all that are revoked, by name: {device, section, mspid, reason, by, time_us,
    tx}."""
    members(argument, "", (), ("limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, _is_name, "")
    return page(entries_of(stub, keys.REVOKED, start, limit), limit)


class _Left:
    """Where the next page begins, once a page has looked at all that it may."""

    bookmark: str | None = None


def _matching(stub: Stub, start: str, wanted: Record, left: _Left) -> Iterator[tuple[str, Record]]:
    entries = stub.get_state_by_range(keys.DEVICES + start, behind(keys.DEVICES), MAX_LOOKED_AT + 1)
    for number, (key, record) in enumerate(entries):
        if number == MAX_LOOKED_AT:
            left.bookmark = record["device"]
            return
        if all(record[field] == value for field, value in wanted.items()):
            yield key[len(keys.DEVICES) :], record


def _is_name(bookmark: str) -> bool:
    return bool(name(bookmark, "bookmark"))


def _is_number(bookmark: str) -> bool:
    return len(bookmark) == keys.NUMBER_DIGITS and bookmark.isascii() and bookmark.isdigit()
