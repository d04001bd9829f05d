"""A light node: takes events of its devices, keeps them, brings them to the ledger, and proves them."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.evidence.events import BATCH
from gridledger.extras import require_extra
from gridledger.identity.certificate import Certificate
from gridledger.protocol.fields import to_base64
from services.lightnode import keys as proof_keys
from services.lightnode import metrics
from services.lightnode.errors import EventUnknown
from services.lightnode.forwarder import Forwarder
from services.lightnode.intake import Intake
from services.lightnode.journal import Journal, event_identity
from services.lightnode.keys import Keys
from services.lightnode.proofs import Proofs
from services.lightnode.recorder.bodies import Bodies
from services.lightnode.recorder.marks import ON_CHAIN
from services.lightnode.recorder.recorder import Recorder
from services.lightnode.recorder.records import Entry, Record
from services.lightnode.registered import RegisteredDevices
from services.lightnode.settings import LightNodeDevice

if TYPE_CHECKING:
    from services.lightnode.batches import RowFiles

MAX_LISTED: Final = 500
_REMEMBERED: Final = 4096
"""Newest records of all devices that are known again after a start when they are sent once more."""


@dataclass(frozen=True, slots=True)
class LightNode:
    """The parts of a node, and what callers ask of them."""

    name: str
    data: Path
    devices: Mapping[str, LightNodeDevice]
    certificate: Certificate
    devices_channel: str
    intake: Intake
    recorder: Recorder
    bodies: Bodies
    journal: Journal
    forwarder: Forwarder
    keys: Keys
    proofs: Proofs
    registered: RegisteredDevices

    async def tell(self, told: Any, device: str | None = None) -> Record:
        """Record an event as it was sent (:meth:`Intake.event`); it is on the disk when this returns."""
        (record,) = await self.tell_all([told], device)
        return record

    async def tell_all(self, told: Sequence[Any], device: str | None = None) -> list[Record]:
        """Record events as they were sent; they are on the disk when this returns. None is recorded where one of them
        is no event; where the recorder refuses some, they are all sent again, and those that it has are known."""
        began = time.perf_counter()
        try:
            events = [self.intake.event(one, device) for one in told]
            work = [self.journal.record(entry, body, identity) for entry, body, identity in events]
            outcomes = await asyncio.gather(*work, return_exceptions=True)
            records = [outcome for outcome in outcomes if isinstance(outcome, Record)]
            for outcome in outcomes:
                if isinstance(outcome, BaseException):
                    raise outcome
        except GridLedgerError as error:
            metrics.NOT_RECORDED.labels(error.code).inc()
            raise
        for record in records:
            metrics.RECORDED.labels(record.entry.kind).inc()
        metrics.RECORD_SECONDS.observe(time.perf_counter() - began)
        return records

    async def tell_batch(self, entry: Entry) -> Record:
        """Record a batch of rows."""
        record = await self.journal.record(entry)
        metrics.RECORDED.labels(entry.kind).inc()
        return record

    async def remember(self) -> None:
        """Know the newest records again when they are sent once more, as after a kill."""
        for record, identity in await asyncio.to_thread(self._newest):
            self.journal.remember(record, identity)

    def _newest(self) -> list[tuple[Record, bytes]]:
        found: list[tuple[Record, bytes]] = []
        numbers = sorted(
            number for device in self.devices for number in self.recorder.device(device).numbers[-_REMEMBERED:]
        )
        for number in numbers[-_REMEMBERED:]:
            record = self.recorder.read(number)
            text = self._body_of(record)
            if text is not None:
                entry = record.entry
                found.append((record, event_identity(entry.device, entry.kind, entry.time_us, text)))
        return found

    async def list_events(self, device: str, seq: int, limit: int) -> list[dict[str, Any]]:
        """The events of a device from a seq on, as far as the ring has them."""
        self.intake.device(device)
        numbers = self.recorder.device(device).from_seq(seq, min(limit, MAX_LISTED))
        return [self._event(record) for record in await asyncio.to_thread(self._read_all, numbers)]

    async def proof(self, device: str, seq: int) -> dict[str, Any]:
        """The proof of an event (:meth:`Proofs.of`)."""
        number = self._number(device, seq)
        return await self.proofs.of(self.devices[device].section, device, number)

    async def body(self, device: str, seq: int) -> dict[str, Any]:
        """The body of an event that stays off the ledger, and its salt."""
        record = await asyncio.to_thread(self.recorder.read, self._number(device, seq))
        body = await asyncio.to_thread(self.bodies.get, record.entry.body_hash or "")
        return {"device": device, "seq": seq, "body_hash": body.sha256, "salt": body.salt.hex(), "body": body.text}

    async def delete_body(self, device: str, seq: int) -> None:
        """Have the body of an event no more."""
        record = await asyncio.to_thread(self.recorder.read, self._number(device, seq))
        await asyncio.to_thread(self.bodies.delete, record.entry.body_hash or "")

    async def rows_file(self, device: str, seq: int) -> bytes:
        """The Parquet file of a batch's rows."""
        return await asyncio.to_thread(lambda: self._row_files().file(device, self._batch_body(device, seq)))

    async def row(self, device: str, seq: int, index: int) -> dict[str, Any]:
        """A row of a batch, and its path to the batch's root."""
        return await asyncio.to_thread(lambda: self._row_files().row(device, self._batch_body(device, seq), index))

    async def rows(
        self, device: str, seq: int, span_us: tuple[int, int], *, start: int, limit: int
    ) -> dict[str, Any]:  # fmt: skip
        """A batch's rows of a span of time, with their paths to the batch's root."""

        def read() -> dict[str, Any]:
            body = self._batch_body(device, seq)
            return self._row_files().rows(device, body, span_us, start=start, limit=limit)

        return await asyncio.to_thread(read)

    async def describe_devices(self) -> list[dict[str, Any]]:
        """The devices: what registers them, and how their events get to the ledger."""
        return await asyncio.to_thread(lambda: [self._described(device) for device in self.devices.values()])

    async def rotation(self, device: str) -> dict[str, Any]:
        """A new key for a device, made when first asked for, with the proofs by the old and by the new one."""
        self.intake.device(device)

        def prove() -> dict[str, Any]:
            old, new = self.keys.key(device), self.keys.next_key(device)
            by_old, by_new = proof_keys.rotation(old, new, self.devices_channel, self.certificate.fingerprint)
            return {
                "device": device,
                "proof_key": new.public,
                "certificate": to_base64(self.certificate.der),
                "proof_old": by_old,
                "proof_new": by_new,
            }

        return await asyncio.to_thread(prove)

    async def set_aside(self, device: str, why: str) -> int:
        """Give up what waits of a device: it is kept in a file, and never brought to the ledger; how many events."""
        self.intake.device(device)
        return await self.forwarder.lanes[device].give_up_waiting(why)

    def health(self) -> dict[str, Any]:
        """What ``/healthz`` tells. A ledger that is away is no fault of this process."""
        return {
            "status": "ok" if self.recorder.failed is None else "failed",
            "recorder": self.recorder.failed or "ok",
            "waiting": self.recorder.waiting,
            "ledger_away": self.forwarder.away(),
            "blocked": self.forwarder.blocked(),
        }

    def _row_files(self) -> RowFiles:
        require_extra("forensics", "reading rows of a batch")
        from services.lightnode.batches import RowFiles  # noqa: PLC0415 - of the extra

        return RowFiles(self.data / "rows")

    def _batch_body(self, device: str, seq: int) -> str:
        entry = self.recorder.read(self._number(device, seq)).entry
        if entry.kind != BATCH or entry.body is None:
            raise EventUnknown(f"event {seq} of {device} is no batch of rows")
        return entry.body

    def _number(self, device: str, seq: int) -> int:
        self.intake.device(device)
        number = self.recorder.device(device).number_of(seq)
        if number is None:
            raise EventUnknown(f"this node has no event {seq} of {device}, or no longer: ask the ledger (GetEvent)")
        return number

    def _read_all(self, numbers: Iterable[int]) -> list[Record]:
        return [self.recorder.read(number) for number in numbers]

    def _body_of(self, record: Record) -> str | None:
        entry = record.entry
        if entry.body is not None:
            return entry.body
        try:
            return self.bodies.get(entry.body_hash or "").text
        except GridLedgerError:
            return None

    def _event(self, record: Record) -> dict[str, Any]:
        found = self.recorder.device(record.entry.device).mark_of(record.number)
        told: dict[str, Any] = {"seq": record.seq, **record.entry.to_dict(), "status": "waiting"}
        if found is not None:
            mark, seq = found
            is_there = mark.kind == ON_CHAIN
            told["status"] = "on chain" if is_there else "set aside"
            told |= {"chain_seq": seq, "tx": mark.tx, "block": mark.block} if is_there else {"why": mark.why}
        return told

    def _described(self, device: LightNodeDevice) -> dict[str, Any]:
        key = self.keys.key(device.device)
        told = proof_keys.registration(key, self.devices_channel, self.certificate.fingerprint)
        index = self.recorder.device(device.device)
        return {
            **device.model_dump(include={"device", "type", "section", "site", "vendor", "model"}),
            "proof_key": told.proof_key,
            "certificate": to_base64(self.certificate.der),
            "certificate_sha256": told.certificate_sha256,
            "proof": told.proof,
            "registered": self.registered.tell(device.device),
            "last_seq": index.last_seq,
            "on_chain_seq": index.seq,
            "waiting": index.waiting,
            **self.forwarder.describe(device.device),
        }


def parsed(body: bytes) -> Any:
    """A request's body as JSON."""
    return jsontext.loads(body)
