"""Queries, for any member of the channel and its readers. The paged ones answer a bookmark, null at the end."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any, Final

from gridledger.contract import Stub, evidence
from gridledger.contract.arguments import choice, members, name, refuse
from gridledger.contract.paging import behind, bookmark_of, entries_of, limit_of, page

from . import keys
from .admission import read_device
from .arguments import BODIES, MAX_TIME, seq_number, span_time
from .marks import S
from .permissions import Record

#: Most events of a device that one call of ListEvents looks at.
MAX_LOOKED_AT: Final = 2000

_SEQ: Final = re.compile(r"[0-9]{12}")
_PLACE: Final = re.compile(r"[0-9]{16}/[A-Za-z0-9][A-Za-z0-9._-]{0,63}/[0-9]{12}")


def get_device(stub: Stub, argument: Any) -> Record:
    """GetDevice({device}): the record, and ``head``: {seq, sha256} of its last event, seq 0 before the first."""
    members(argument, "", ("device",))
    return _with_head(stub, read_device(stub, name(argument["device"], "device")))


def list_devices(stub: Stub, argument: Any) -> Record:
    """ListDevices({limit?, bookmark?}): as GetDevice, by name."""
    members(argument, "", (), ("limit", "bookmark"))
    limit = limit_of(argument)
    start = bookmark_of(argument, lambda bookmark: bool(name(bookmark, "bookmark")), "")
    entries = entries_of(stub, keys.DEVICES, start, limit)
    return page(((key, _with_head(stub, record)) for key, record in entries), limit)


def get_event(stub: Stub, argument: Any) -> Record:
    """GetEvent({device, seq}): the event; ``text``: what its device proved; ``tx``, ``block``, ``at_us``: where it was
    logged, and when by the proposal's time."""
    members(argument, "", ("device", "seq"))
    device, seq = name(argument["device"], "device"), seq_number(argument["seq"], "seq")
    record = read_device(stub, device)
    kept = stub.get_state(keys.event(device, seq))
    if kept is None:
        last = _with_head(stub, record)["head"]["seq"]
        refuse("seq", f"{device} has no event {seq}; its last one is {last}")
    return _Events(stub, record).full(device, seq, kept) | logged_at(stub, device, seq)


def list_events(stub: Stub, argument: Any) -> Record:
    """ListEvents({device | kind, from_seq?, to_seq?, from_us?, to_us?, limit?, bookmark?}): events as GetEvent has
    them, without where they were logged.

    Of a device in its order, of a kind by the time that devices told; the first of a span is in it, the last is not.
    A page of a device may have fewer items than there are, none even, and a bookmark: one call looks at 2,000 events.
    """
    members(argument, "", (), ("device", "kind", "from_seq", "to_seq", "from_us", "to_us", "limit", "bookmark"))
    if (argument.get("device") is None) == (argument.get("kind") is None):
        refuse("device", "one of device and kind must be there, and not both")
    first_us, end_us = _bound(argument, "from_us", 0), _bound(argument, "to_us", MAX_TIME + 1)
    limit = limit_of(argument)
    if argument.get("kind") is not None:
        for field in ("from_seq", "to_seq"):
            if argument.get(field) is not None:
                refuse(field, "stands beside device only")
        kind = choice(argument["kind"], "kind", (*evidence.KINDS, evidence.BATCH))
        digits = f"{first_us:0{keys.TIME_DIGITS}d}"
        start = bookmark_of(argument, lambda bookmark: bool(_PLACE.fullmatch(bookmark)), digits)
        return page(_Events(stub).of_kind(kind, start, end_us, limit), limit)
    device = name(argument["device"], "device")
    scan = _Scan(argument, device, range(first_us, end_us))
    answer = page(scan.matching(stub, _Events(stub, read_device(stub, device))), limit)
    return answer if answer["bookmark"] is not None else answer | {"bookmark": scan.bookmark}


def logged_at(stub: Stub, device: str, seq: int) -> Record:
    """{tx, block, at_us} of an event that is there."""
    entry = next(iter(stub.get_history_for_key(keys.event(device, seq))))
    return {"tx": entry.tx_id, "block": entry.block, "at_us": entry.timestamp_us}


def revoked_late_s(suspensions: list[Record], seq: int, logged: Record) -> int | None:
    """How long after a revocation an event was logged that came before the suspension, seconds; None for others."""
    for each in suspensions:
        if logged["at_us"] >= each["revoked_us"] and (each["last_seq"] is None or seq <= each["last_seq"]):
            return int((logged["at_us"] - each["revoked_us"]) // S)
    return None


def _with_head(stub: Stub, record: Record) -> Record:
    head = stub.get_state(keys.head(record["device"])) or {"seq": 0, "sha256": evidence.NO_EVENT}
    return record | {"head": {field: head[field] for field in ("seq", "sha256")}}


def _bound(argument: Record, field: str, default: int) -> int:
    return default if argument.get(field) is None else span_time(argument[field], field)


class _Events:
    """Events as their devices told them, from what the ledger keeps; each device's record is read once."""

    def __init__(self, stub: Stub, *records: Record) -> None:
        self._stub = stub
        self._suspensions = {record["device"]: record["suspensions"] for record in records}

    def of_kind(self, kind: str, start: str, end_us: int, limit: int) -> Iterator[tuple[str, Record]]:
        """(bookmark, event) of a kind, by the time told, before ``end_us``."""
        prefix = keys.of_kind(kind)
        end = f"{prefix}{end_us:0{keys.TIME_DIGITS}d}"
        for key, _ in self._stub.get_state_by_range(prefix + start, end, limit + 1):
            place = key[len(prefix) :]
            _, device, digits = place.split("/")
            yield place, self.full(device, int(digits), self._stub.get_state(keys.event(device, int(digits))))

    def full(self, device: str, seq: int, kept: Record) -> Record:
        """An event with the text that its device proved."""
        event = {"device": device, "seq": seq, **{field: kept[field] for field in ("prev", "kind", "time_us")}}
        if kept["kind"] == evidence.BATCH:
            batch = {"from_us": kept["time_us"], **kept["batch"]}
            event["batch"] = batch
            body_sha256 = evidence.text_hash(evidence.batch_body(**batch))
        else:
            event |= {field: kept[field] for field in BODIES if field in kept}
            body_sha256 = kept["body_hash"] if "body_hash" in kept else evidence.text_hash(kept["body"])
        told = {field: event[field] for field in ("prev", "kind", "time_us")}
        text = evidence.event_text(self._stub.get_channel_id(), device, seq, body_sha256=body_sha256, **told)
        hashes = {"body_sha256": body_sha256, "text": text, "sha256": evidence.text_hash(text)}
        return event | hashes | {"marks": self._marks(device, seq, kept)}

    def _marks(self, device: str, seq: int, kept: Record) -> Record:
        marks: Record = kept.get("marks", {})
        if device not in self._suspensions:
            self._suspensions[device] = read_device(self._stub, device)["suspensions"]
        suspensions = self._suspensions[device]
        late_s = revoked_late_s(suspensions, seq, logged_at(self._stub, device, seq)) if suspensions else None
        return marks if late_s is None else marks | {"revoked-late": late_s}


class _Scan:
    """The events of a device within numbers and times; ``bookmark``: where it stopped, null at the end."""

    def __init__(self, argument: Record, device: str, times: range) -> None:
        first = 1 if argument.get("from_seq") is None else seq_number(argument["from_seq"], "from_seq")
        end = None if argument.get("to_seq") is None else seq_number(argument["to_seq"], "to_seq")
        prefix = keys.events(device)
        digits = f"{first:0{keys.SEQ_DIGITS}d}"
        self._start = prefix + bookmark_of(argument, lambda bookmark: bool(_SEQ.fullmatch(bookmark)), digits)
        self._end = behind(prefix) if end is None else keys.event(device, end)
        self._device, self._times = device, times
        self.bookmark: str | None = None

    def matching(self, stub: Stub, events: _Events) -> Iterator[tuple[str, Record]]:
        """(bookmark, event)."""
        entries = stub.get_state_by_range(self._start, self._end, MAX_LOOKED_AT + 1)
        for number, (key, kept) in enumerate(entries):
            digits = key[-keys.SEQ_DIGITS :]
            if number == MAX_LOOKED_AT:
                self.bookmark = digits
                return
            if kept["time_us"] in self._times:
                yield digits, events.full(self._device, int(digits), kept)
