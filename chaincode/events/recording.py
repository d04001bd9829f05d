"""LogEvent, LogEvents, LogBatch: an event is the next one of its device, names the one before, and is proved.

What a device proves is the text of :func:`gridledger.contract.evidence.event_text`, with the channel, so a proof serves
for one event of one device on one channel.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract import ClientIdentity, Stub, crypto, evidence
from gridledger.contract.arguments import items, members, name, refuse, sha256

from . import keys
from .admission import read_device, refuse_suspended
from .arguments import BATCH, BODIES, EVENT, batch_of, body_of, kind_name, proof_text, seq_number, time_us
from .marks import mark_event
from .permissions import Record, require_speaker

MAX_EVENTS: Final = 64
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
    members(argument, "", ("device", "events"))
    device = name(argument["device"], "device")
    events = []
    for i, each in enumerate(items(argument["events"], "events", MAX_EVENTS)):
        where = f"events[{i}]"
        is_batch = type(each) is dict and "synopsis" in each
        members(each, where, BATCH_EVENT if is_batch else EVENT, () if is_batch else BODIES)
        events.append((_batch_event_of if is_batch else _event_of)(each, where + "."))
    chain = _Chain(stub, caller, device)
    marked = [(event["seq"], chain.append(event, f"events[{i}].")) for i, event in enumerate(events)]
    chain.close()
    span = {"device": device, "from_seq": events[0]["seq"], "to_seq": events[-1]["seq"]}
    kinds = sorted({event["kind"] for event in events})
    stub.set_event("EventsLogged", {**span, "kinds": kinds, "tx": stub.get_tx_id()})
    marks = [{"seq": seq, **each} for seq, each in marked if each]
    return {**span, "sha256": chain.head["sha256"], "marks": marks, "tx": stub.get_tx_id()}


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


class _Chain:
    """The chain of a device, while one call appends to it: reads do not show what the same call has written."""

    def __init__(self, stub: Stub, caller: ClientIdentity, device: str) -> None:
        self._stub = stub
        self._record = read_device(stub, device)
        require_speaker(caller, self._record)
        refuse_suspended(self._record)
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
