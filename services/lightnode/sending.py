"""Events as a section's contract takes them: numbered in their device's order, chained, and proved."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from gridledger import jsontext
from gridledger.evidence.events import BATCH, event_text, text_hash
from services.lightnode.keys import ProofKey
from services.lightnode.recorder.records import Record


@dataclass(frozen=True, slots=True)
class Place:
    """The end of a device's chain: its newest event's seq and the hash of that one's text."""

    seq: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Logged:
    """Where events were logged."""

    tx: str
    block: int


@dataclass(frozen=True, slots=True)
class OnSection:
    """A device as its section has it."""

    status: str
    proof_key: str
    head: Place


@dataclass(frozen=True, slots=True)
class LoggedEvent:
    """An event as the ledger has it: the hash of its text, and where it was logged."""

    sha256: str
    tx: str
    block: int


class Section(Protocol):
    """The contract ``events`` of a section. Errors are the SDK's: a refusal is ``CHAINCODE_REFUSED``."""

    async def device(self, device: str) -> OnSection | None:
        """A device; None where the section does not know it."""

    async def event(self, device: str, seq: int) -> LoggedEvent:
        """An event."""

    async def log(self, device: str, events: Sequence[dict[str, Any]]) -> Logged:
        """Log events and batches of a device that follow one another; all of them, or none."""

    async def log_devices(self, events: Mapping[str, Sequence[dict[str, Any]]]) -> Logged:
        """The same of several devices, by their names; all of them, or none. A refusal begins with ``devices[I].``
        where it is about the device at this place."""


def text_of(record: Record, channel: str, place: Place) -> str:
    """What the device proves of a record that comes behind ``place``."""
    entry = record.entry
    return event_text(
        channel,
        entry.device,
        place.seq + 1,
        place.sha256,
        kind=entry.kind,
        time_us=entry.time_us,
        body_sha256=entry.body_sha256,
    )


def after(record: Record, channel: str, place: Place) -> Place:
    """The end of the chain behind a record that comes behind ``place``."""
    return Place(place.seq + 1, text_hash(text_of(record, channel, place)))


def is_batch(record: Record) -> bool:
    """Whether a record is a batch of rows."""
    return record.entry.kind == BATCH


def events_of(
    records: Sequence[Record], channel: str, place: Place, key: ProofKey
) -> tuple[list[dict[str, Any]], Place]:
    """Records as the contract takes them, and the end of the chain then. Takes about 0.2 ms a record."""
    events: list[dict[str, Any]] = []
    for record in records:
        text = text_of(record, channel, place)
        head = {"seq": place.seq + 1, "prev": place.sha256}
        events.append({**head, **_said(record), "proof": key.prove(text)})
        place = Place(place.seq + 1, text_hash(text))
    return events, place


def text_bytes(record: Record) -> int:
    """The bytes of what a record says."""
    return len(record.entry.body or "") + len(record.entry.sealed or "")


def _said(record: Record) -> dict[str, Any]:
    """What the device says: of a batch its members, else kind, time and body."""
    entry = record.entry
    if is_batch(record):
        batch: dict[str, Any] = jsontext.loads_trusted(entry.body or "{}")
        return batch
    body = {"body": entry.body} if entry.body_hash is None else {"body_hash": entry.body_hash}
    sealed = {} if entry.sealed is None else {"sealed": entry.sealed}
    return {"kind": entry.kind, "time_us": entry.time_us, **body, **sealed}
