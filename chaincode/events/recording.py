"""LogEvent, LogEvents, LogBatch, LogDevices: an event is its device's next one, names the one before, and is proved.

What a device proves is the text of :func:`gridledger.contract.evidence.event_text`, with the channel, so a proof serves
for one event of one device on one channel.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, ContractError, Stub, crypto, evidence
from gridledger.contract.arguments import items, members, name, refuse, sha256

from . import keys
from .admission import read_device, refuse_suspended
from .arguments import BATCH, BODIES, EVENT, batch_of, body_of, kind_name, proof_text, seq_number, time_us
from .marks import mark_event
from .permissions import Record, require_speaker

MAX_EVENTS: Final = 256
BATCH_EVENT: Final = ("seq", "prev", *BATCH, "proof")


def log_event(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """LogEvent({device, seq, prev, kind, time_us, body | body_hash, sealed?, proof}): {device, seq, sha256, marks, tx}.

    ``sha256``: of the event's text, the ``prev`` of the next. ``marks``: seconds by mark.
    """
    members(argument, "", ("device", *EVENT), BODIES)
    device, event = name(argument["device"], "device"), _event_of(argument, "")
    chain = _Chain(stub, caller, device)
    marks = chain.append(event, "")
    chain.close()
    told = {"device": device, "seq": event["seq"], "kind": event["kind"], "time_us": event["time_us"]}
    stub.set_event("EventLogged", {**told, "tx": stub.get_tx_id()})
    return _answer(stub, chain, marks)


def log_events(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """LogEvents({device, events}): {device, from_seq, to_seq, sha256, marks, tx}; all of them, or none.

    Each is what LogEvent or LogBatch takes, without the device: a chain has both. ``marks``: [{seq, ...}] of those that
    have one.
    """
    device, events = _call_of(argument, "")
    told = _append(stub, caller, device, events, "")
    span = {field: told[field] for field in ("device", "from_seq", "to_seq")}
    stub.set_event("EventsLogged", {**span, "kinds": _kinds(events), "tx": stub.get_tx_id()})
    return {**told, "tx": stub.get_tx_id()}


def log_devices(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """LogDevices({devices: [{device, events}]}): {devices: [as LogEvents, without tx], tx}; all of them, or none.

    Each device once, and not more events in all than LogEvents takes of one.
    """
    members(argument, "", ("devices",))
    calls = [
        _call_of(each, f"devices[{i}].") for i, each in enumerate(items(argument["devices"], "devices", MAX_EVENTS))
    ]
    if sum(len(events) for _, events in calls) > MAX_EVENTS:
        refuse("devices", f"must have at most {MAX_EVENTS} events in all")
    seen: set[str] = set()
    for i, (device, _) in enumerate(calls):
        if device in seen:
            refuse(f"devices[{i}].device", f"{device} is there twice")
        seen.add(device)
    told = [_append(stub, caller, device, events, f"devices[{i}].") for i, (device, events) in enumerate(calls)]
    spans = [{field: each[field] for field in ("device", "from_seq", "to_seq")} for each in told]
    kinds = _kinds([event for _, events in calls for event in events])
    stub.set_event("DevicesLogged", {"devices": spans, "kinds": kinds, "tx": stub.get_tx_id()})
    return {"devices": told, "tx": stub.get_tx_id()}


def log_batch(stub: Stub, caller: ClientIdentity, argument: Any) -> Record:
    """LogBatch({device, seq, prev, from_us, to_us, rows, root, sha256, uri, synopsis, proof}): as LogEvent.

    A batch stands in its device's chain as an event of kind ``batch``, its time ``from_us``.
    """
    members(argument, "", ("device", *BATCH_EVENT))
    device, event = name(argument["device"], "device"), _batch_event_of(argument, "")
    chain = _Chain(stub, caller, device)
    marks = chain.append(event, "")
    chain.close()
    span = {"from_us": event["time_us"], "to_us": event["end_us"], "rows": argument["rows"]}
    stub.set_event("BatchLogged", {"device": device, "seq": event["seq"], **span, "tx": stub.get_tx_id()})
    return _answer(stub, chain, marks)


def _call_of(argument: Any, prefix: str) -> tuple[str, list[Record]]:
    """The device of LogEvents, or of one member of LogDevices, and its events."""
    members(argument, prefix.removesuffix("."), ("device", "events"))
    events = []
    for i, each in enumerate(items(argument["events"], prefix + "events", MAX_EVENTS)):
        where = f"{prefix}events[{i}]"
        is_batch = type(each) is dict and "synopsis" in each
        members(each, where, BATCH_EVENT if is_batch else EVENT, () if is_batch else BODIES)
        events.append((_batch_event_of if is_batch else _event_of)(each, where + "."))
    return name(argument["device"], prefix + "device"), events


def _append(stub: Stub, caller: ClientIdentity, device: str, events: list[Record], prefix: str) -> Record:
    """Append events to a device's chain: {device, from_seq, to_seq, sha256, marks}."""
    chain = _Chain(stub, caller, device, prefix)
    marked = [(event["seq"], chain.append(event, f"{prefix}events[{i}].")) for i, event in enumerate(events)]
    chain.close()
    return {
        "device": device,
        "from_seq": events[0]["seq"],
        "to_seq": events[-1]["seq"],
        "sha256": chain.head["sha256"],
        "marks": [{"seq": seq, **each} for seq, each in marked if each],
    }


def _kinds(events: list[Record]) -> list[str]:
    return sorted({event["kind"] for event in events})


class _Chain:
    """The chain of a device, while one call appends to it: reads do not show what the same call has written."""

    def __init__(self, stub: Stub, caller: ClientIdentity, device: str, prefix: str = "") -> None:
        self._stub = stub
        try:
            self._record = read_device(stub, device)
            require_speaker(caller, self._record)
            refuse_suspended(self._record)
        except ContractError as error:
            raise ContractError(prefix + error.message) from None
        self.device = device
        self.head: Record = stub.get_state(keys.head(device)) or {"seq": 0, "sha256": evidence.NO_EVENT}

    def append(self, event: Record, prefix: str) -> dict[str, int]:
        """Write an event, if it is the next one and proved; its marks."""
        self._refuse_out_of_order(event, prefix)
        told = evidence.event_text(
            self._stub.get_channel_id(),
            self.device,
            event["seq"],
            event["prev"],
            kind=event["kind"],
            time_us=event["time_us"],
            body_sha256=event["body_sha256"],
        )
        self._refuse_unproved(event, told, prefix)
        marks, times, gaps = mark_event(self.head, self.device, event, self._stub.get_tx_timestamp())
        kept = {"kind": event["kind"], "time_us": event["time_us"], "prev": event["prev"], **event["kept"]}
        self._stub.put_state(keys.event(self.device, event["seq"]), kept | ({"marks": marks} if marks else {}))
        self._stub.put_state(keys.by_kind(event["kind"], event["time_us"], self.device, event["seq"]), 1)
        for key, value in gaps:
            self._stub.put_state(key, value)
        self.head = {"seq": event["seq"], "sha256": evidence.text_hash(told), **times}
        return marks

    def close(self) -> None:
        """Write where the chain ends now."""
        self._stub.put_state(keys.head(self.device), self.head)

    def _refuse_out_of_order(self, event: Record, prefix: str) -> None:
        following = self.head["seq"] + 1
        if event["seq"] < following:
            refuse(prefix + "seq", f"{event['seq']} of {self.device} is on the ledger already; the next is {following}")
        if event["seq"] > following:
            refuse(prefix + "seq", f"must be {following}, the one after the last of {self.device}, not {event['seq']}")
        if event["prev"] != self.head["sha256"]:
            refuse(
                prefix + "prev",
                f"must be {self.head['sha256']}, the SHA-256 of the text of event {self.head['seq']}"
                if self.head["seq"]
                else "must be 64 zeros for a device's first event",
            )

    def _refuse_unproved(self, event: Record, told: str, prefix: str) -> None:
        key = self._record["proof_key"]
        if not crypto.verify_schnorr(key, self.device, told, event["proof"]):
            refuse(prefix + "proof", f"does not hold by the key {key[:16]}... of {self.device} for the text {told}")


def _event_of(argument: Record, prefix: str) -> Record:
    kind = kind_name(argument["kind"], prefix + "kind")
    told_us = time_us(argument["time_us"], prefix + "time_us")
    body_sha256, kept = body_of(argument, prefix)
    return {
        **_place_of(argument, prefix),
        "kind": kind,
        "time_us": told_us,
        "end_us": told_us,
        "is_batch": False,
        "body_sha256": body_sha256,
        "kept": kept,
    }


def _batch_event_of(argument: Record, prefix: str) -> Record:
    batch = batch_of(argument, prefix)
    return {
        **_place_of(argument, prefix),
        "kind": evidence.BATCH,
        "time_us": batch["from_us"],
        "end_us": batch["to_us"],
        "is_batch": True,
        "body_sha256": evidence.text_hash(evidence.batch_body(**batch)),
        "kept": {"batch": {field: value for field, value in batch.items() if field != "from_us"}},
    }


def _place_of(argument: Record, prefix: str) -> Record:
    return {
        "seq": seq_number(argument["seq"], prefix + "seq"),
        "prev": sha256(argument["prev"], prefix + "prev"),
        "proof": proof_text(argument["proof"], prefix + "proof"),
    }


def _answer(stub: Stub, chain: _Chain, marks: dict[str, int]) -> Record:
    return {
        "device": chain.device,
        "seq": chain.head["seq"],
        "sha256": chain.head["sha256"],
        "marks": marks,
        "tx": stub.get_tx_id(),
    }
