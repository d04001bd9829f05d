"""Events of devices in transactions: each is proved by the key that the ledger has of its device, and chained.

The key is not believed: the transaction read the device's record, whose version names the transaction that admitted the
device; that record names the registration on the channel of devices. All of these are in the package.
"""

from __future__ import annotations

import base64
import binascii
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from hashlib import sha256
from typing import Any, Final

from gridledger.errors import GridLedgerError
from gridledger.evidence import events
from gridledger.evidence.attested import value_written, written_at
from gridledger.evidence.chains import VerifiedChannel
from gridledger.evidence.claims import Claim, holds
from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.off_chain import BODIES, ROWS, Body, RowPart
from gridledger.evidence.report import Broken, ProvedEvent
from gridledger.evidence.rows import row_holds
from gridledger.evidence.signed import SignedTransaction, signed_transaction
from gridledger.evidence.told import FUNCTIONS, ToldBatch, ToldEvent, text_member, told_events
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.transaction import Transaction

STEP: Final = "events"
REVOKED_LATE: Final = "revoked-late"
_REVOKED: Final = "revoked/"
_DEVICE: Final = "device/"
_RETIRED: Final = "retired"


@dataclass(frozen=True, slots=True)
class _Due:
    """An event whose proof is still to be verified: ``file`` and ``what`` are for the report where it does not hold."""

    event: ProvedEvent
    proof: str
    file: str
    what: str


class Registry:
    """The channel on which devices are registered, with the chaincode, as the package has it."""

    def __init__(self, channel: VerifiedChannel, chaincode: str) -> None:
        self.channel = channel
        self.chaincode = chaincode
        self.places: dict[str, tuple[int, int]] = {}
        """Where valid transactions are, by id."""
        self.ended: dict[str, tuple[int, int]] = {}
        """Where devices were first retired or revoked."""
        for number, held in channel.blocks.items():
            for index, (envelope, code) in enumerate(zip(held.block.envelopes, held.codes, strict=True)):
                message = parse_envelope(envelope) if code is TxValidationCode.VALID else None
                if isinstance(message, Transaction):
                    self.places[message.tx_id] = (number, index)
                    self._note_endings(message, (number, index))

    def _note_endings(self, message: Transaction, place: tuple[int, int]) -> None:
        if message.result.chaincode != self.chaincode:
            return
        for key, value in message.result.writes:
            if key.startswith(_REVOKED) and value is not None:
                self.ended.setdefault(key.removeprefix(_REVOKED), place)
            if key.startswith(_DEVICE) and isinstance(value, dict) and value.get("status") == _RETIRED:
                self.ended.setdefault(key.removeprefix(_DEVICE), place)

    def ended_us(self, device: str) -> int | None:
        """When a device was first retired or revoked, by the block's time, its transaction verified; :class:`Broken`.

        What a section's SuspendDevice says of it is its caller's word, and not asked.
        """
        place = self.ended.get(device)
        if place is None:
            return None
        return signed_transaction(self.channel, *place, "revocations").block.block.header.timestamp_us


@dataclass(slots=True)
class SaidEvents:
    """The events of a package's transactions on one section, as they are verified: :meth:`add` reads those of one
    transaction, and once all are read :meth:`check_proofs` and :meth:`check_chain` say whether they hold.

    ``batches``: by device and number. ``needed``: the blocks, as (channel, number), on which a device's
    key rests: of its admission and of its registration.
    """

    section: VerifiedChannel
    chaincode: str
    registry: Registry
    events: list[ProvedEvent] = field(default_factory=list)
    batches: dict[tuple[str, int], ToldBatch] = field(default_factory=dict)
    needed: set[tuple[str, int]] = field(default_factory=set)
    body_hashes: dict[tuple[str, int], str] = field(default_factory=dict)
    _due: list[_Due] = field(default_factory=list)
    _admissions: dict[tuple[int, int, str], tuple[str, str]] = field(default_factory=dict)
    _ended_us: dict[str, int | None] = field(default_factory=dict)

    def add(self, signed: SignedTransaction) -> None:
        """Read the events of a transaction that :func:`has_events`, and the keys that must prove them;
        :class:`Broken`."""
        proposal = signed.transaction.proposal
        try:
            told = told_events(proposal.function, proposal.args)
        except EvidenceError as error:
            said = f"transaction {signed.index} is no {proposal.function} that can be read: {error}"
            raise Broken(STEP, signed.block.file, said) from None
        for item in told:
            self._add(signed, item)

    def _add(self, signed: SignedTransaction, item: ToldEvent) -> None:
        key, mspid = self._admitted(signed, item.device)
        text = item.text(self.section.name)
        header = signed.block.block.header
        event = ProvedEvent(
            self.section.name,
            item.device,
            item.seq,
            item.kind,
            item.time_us,
            text,
            key,
            mspid,
            header.number,
            header.timestamp_us,
            (REVOKED_LATE,) if self._is_late(item.device, header.timestamp_us) else (),
        )
        what = f"event {item.seq} of {item.device} in transaction {signed.index}"
        self._due.append(_Due(event, item.proof, signed.block.file, what))
        self.body_hashes[(item.device, item.seq)] = item.body_sha256
        if item.batch is not None:
            self.batches[(item.device, item.seq)] = item.batch

    def _is_late(self, device: str, at_us: int) -> bool:
        """Whether the registry had retired or revoked a device by then."""
        if device not in self._ended_us:
            self._ended_us[device] = self.registry.ended_us(device)
            if device in self.registry.ended:
                self.needed.add((self.registry.channel.name, self.registry.ended[device][0]))
        ended = self._ended_us[device]
        return ended is not None and at_us >= ended

    def _admitted(self, signed: SignedTransaction, device: str) -> tuple[str, str]:
        """The proof key and the MSP that the section has of a device, by what the transaction read."""
        key = f"device/{device}"
        version = next((read.version for read in signed.transaction.result.reads if read.key == key), None)
        if version is None:
            told = f"transaction {signed.index} did not read the record of {device}"
            raise Broken(STEP, signed.block.file, told)
        place = (*version, device)
        if place not in self._admissions:
            writer = written_at(self.section, version, "admissions")
            record = value_written(writer, self.chaincode, key)
            self._admissions[place] = self._registered(writer, device, record)
            self.needed.add((self.section.name, version.block))
        return self._admissions[place]

    def _registered(self, writer: SignedTransaction, device: str, record: Any) -> tuple[str, str]:
        """The key and MSP of an admission, compared with the registration that it names."""
        told = record if isinstance(record, dict) else {}
        proof_key, mspid, tx = (told.get(name) for name in ("proof_key", "mspid", "tx"))
        if not (isinstance(proof_key, str) and isinstance(mspid, str) and isinstance(tx, str)):
            raise Broken("admissions", writer.block.file, f"transaction {writer.index} did not admit {device}")
        registry, chaincode = self.registry.channel, self.registry.chaincode
        found = self.registry.places.get(tx)
        if found is None:
            told_by = f"{device} is admitted by the registration {tx[:16]}..., which is not in the package"
            raise Broken("registrations", writer.block.file, told_by)
        registration = signed_transaction(registry, *found, "registrations")
        self.needed.add((registry.name, found[0]))
        known = value_written(registration, chaincode, f"device/{device}")
        file = registration.block.file
        if not isinstance(known, dict) or (known.get("proof_key"), known.get("mspid")) != (proof_key, mspid):
            raise Broken("registrations", file, f"{device} is admitted with another key or MSP than it was registered")
        if not _proves_possession(registration, known, registry.name):
            raise Broken("registrations", file, f"the proof that {device} has its key does not hold")
        return proof_key, mspid

    def claims(self) -> list[Claim]:
        """What the events that were added say, with their proofs."""
        return [Claim(item.event.proof_key, item.event.device, item.event.text, item.proof) for item in self._due]

    def check_proofs(self, proved: Iterator[bool]) -> None:
        """Take the events that were added for proved: ``proved`` says so of each of :meth:`claims`. :class:`Broken`
        names the first whose proof does not hold."""
        for item in self._due:
            if not next(proved):
                raise Broken(STEP, item.file, f"the proof of {item.what} does not hold by the device's key")
            self.events.append(item.event)
        self._due.clear()

    def check_chain(self) -> list[str]:
        """Compare events that follow one another; what the package leaves out of each device's chain, in words."""
        by_device: dict[str, list[ProvedEvent]] = {}
        for item in self.events:
            by_device.setdefault(item.device, []).append(item)
        notes: list[str] = []
        for device, said in sorted(by_device.items()):
            said.sort(key=lambda item: item.seq)
            notes += self._check_device(device, said)
        return notes

    def _check_device(self, device: str, said: list[ProvedEvent]) -> Iterator[str]:
        seq, name = 0, events.NO_EVENT
        for item in said:
            file = self.section.blocks[item.block].file
            if item.seq == seq:
                raise Broken("chains", file, f"{device} has two events {seq}")
            if item.seq == seq + 1:
                if f'"prev":"{name}"' not in item.text:
                    raise Broken("chains", file, f"event {item.seq} of {device} does not follow event {seq}")
            else:
                span = f"event {seq + 1}" if item.seq == seq + 2 else f"events {seq + 1} to {item.seq - 1}"
                yield f"{span} of {device} on {self.section.name} are not in the package"
            seq, name = item.seq, events.text_hash(item.text)


def has_events(signed: SignedTransaction, chaincode: str) -> bool:
    """Whether a transaction brings events of devices."""
    proposal = signed.transaction.proposal
    return proposal.chaincode == chaincode and proposal.function in FUNCTIONS


def check_body(body: Body, hashes: Mapping[tuple[str, int], str]) -> None:
    """Compare a body that is off the chain with the hash of its event; :class:`Broken`."""
    expected = hashes.get((body.device, body.seq))
    what = f"event {body.seq} of {body.device} on {body.channel}"
    if expected is None:
        raise Broken("bodies", BODIES, f"{what} is not in the package")
    if events.salted_hash(bytes.fromhex(body.salt), body.body) != expected:
        raise Broken("bodies", BODIES, f"{what} has another body, or another salt")


def check_row(row: RowPart, batches: Mapping[tuple[str, int], ToldBatch]) -> None:
    """Compare a row with the root of its batch; :class:`Broken`."""
    batch = batches.get((row.device, row.seq))
    if batch is None:
        raise Broken("rows", ROWS, f"{row.name}: the batch is not in the package")
    path = [node.hex() for node in row.path]
    if not row_holds(row.row.encode(), row.index, batch.rows, path, batch.root):
        raise Broken("rows", ROWS, f"{row.name} is not what the batch's root is over")


def _proves_possession(registration: SignedTransaction, record: Mapping[str, Any], channel: str) -> bool:
    """Whether the registration, or the change of the key, has a proof by the new key itself."""
    proposal = registration.transaction.proposal
    try:
        argument = proposal.args[0]
        proof = text_member(argument["proof" if proposal.function == "RegisterDevice" else "proof_new"])
        device, certificate, key = (text_member(record[name]) for name in ("device", "certificate_sha256", "proof_key"))
        if "certificate" in argument:
            der = base64.b64decode(text_member(argument["certificate"]), validate=True)
            if sha256(der).hexdigest() != certificate:
                return False
    except (GridLedgerError, KeyError, TypeError, IndexError, binascii.Error):
        return False
    return holds(Claim(key, device, events.registration_text(channel, device, certificate, key), proof))
