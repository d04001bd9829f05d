"""What devices say in transactions: the events and batches in the argument of each of :data:`FUNCTIONS`."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any, Final

from gridledger.evidence import events
from gridledger.evidence.errors import EvidenceError

FUNCTIONS: Final = ("LogEvent", "LogEvents", "LogBatch", "LogDevices")
_OF_SEVERAL: Final = ("LogEvents", "LogDevices")
_BATCH: Final = ("from_us", "to_us", "rows", "root", "sha256", "uri", "synopsis")


@dataclass(frozen=True, slots=True)
class ToldBatch:
    """Of a batch: its time, how many rows it has, the root over them, the SHA-256 of their file and where that was."""

    from_us: int
    to_us: int
    rows: int
    root: str
    sha256: str
    uri: str


@dataclass(frozen=True, slots=True)
class ToldEvent:
    """An event as its transaction has it; ``batch`` is None but for a batch. ``is_off_chain``: its body stays off the
    chain, and ``body_sha256`` is its salted hash."""

    device: str
    seq: int
    prev: str
    kind: str
    time_us: int
    proof: str
    body_sha256: str
    batch: ToldBatch | None = None
    is_off_chain: bool = False

    def text(self, channel: str) -> str:
        """What the device proved."""
        return events.event_text(
            channel,
            self.device,
            self.seq,
            self.prev,
            kind=self.kind,
            time_us=self.time_us,
            body_sha256=self.body_sha256,
        )


def told_events(function: str, arguments: Any) -> list[ToldEvent]:
    """The events that a call of one of :data:`FUNCTIONS` brings; :class:`EvidenceError` where they cannot be read."""
    try:
        return list(_told(function, arguments[0]))
    except (KeyError, TypeError, IndexError, ValueError) as error:
        raise EvidenceError("event", f"cannot be read: {error}") from None


def _told(function: str, argument: Any) -> Iterator[ToldEvent]:
    for call in argument["devices"] if function == "LogDevices" else [argument]:
        device = text_member(call["device"])
        for member in call["events"] if function in _OF_SEVERAL else [call]:
            yield _told_event(function, device, member)


def _told_event(function: str, device: str, member: Any) -> ToldEvent:
    if function == "LogBatch" or (function in _OF_SEVERAL and "synopsis" in member):
        return _batch(device, member)
    if "body" in member:
        return _event(device, member, events.text_hash(text_member(member["body"])))
    return _event(device, member, text_member(member["body_hash"]), is_off_chain=True)


def _batch(device: str, member: Mapping[str, Any]) -> ToldEvent:
    batch = {name: member[name] for name in _BATCH}
    body = events.batch_body(**batch)
    told = {**member, "kind": events.BATCH, "time_us": batch["from_us"]}
    root, file, uri = (text_member(batch[name]) for name in ("root", "sha256", "uri"))
    from_us, to_us, rows = (_whole(batch[name]) for name in ("from_us", "to_us", "rows"))
    return _event(device, told, events.text_hash(body), ToldBatch(from_us, to_us, rows, root, file, uri))


def _event(
    device: str,
    member: Mapping[str, Any],
    body_sha256: str,
    batch: ToldBatch | None = None,
    *,
    is_off_chain: bool = False,
) -> ToldEvent:
    seq, time_us = _whole(member["seq"]), _whole(member["time_us"])
    prev, kind, proof = (text_member(member[name]) for name in ("prev", "kind", "proof"))
    return ToldEvent(device, seq, prev, kind, time_us, proof, body_sha256, batch, is_off_chain)


def _whole(value: Any) -> int:
    if type(value) is not int:
        raise EvidenceError("event", "a member is no whole number")
    return value


def text_member(value: Any) -> str:
    """A member that must be a text; :class:`EvidenceError`."""
    if not isinstance(value, str):
        raise EvidenceError("event", "a member is no text")
    return value
