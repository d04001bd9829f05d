"""What the recorder keeps of an event, and the frame in which a record lies in a file.

A frame is the length of its payload and a CRC-32 (32 bits each, big-endian), the chain's hash (32 bytes), and the
payload, a JSON text. The CRC covers hash and payload; the hash is the SHA-256 of the hash before and the payload. So a
torn record is told from a whole one without the rest of the file, and no record is changed, left out or moved unseen.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from hashlib import sha256
from struct import Struct
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.protocol.fields import integer_of, object_of, text_of

FRAME: Final = Struct(">II32s")
NO_HASH: Final = bytes(32)
"""Before the first record of all."""
MAX_PAYLOAD: Final = 64 * 1024
MAX_BODY_BYTES: Final = 4096
"""Of an event's body in UTF-8, as the contract takes it."""
MAX_BATCH_BYTES: Final = 32 * 1024
"""Of a batch's body: its synopsis may have many fields."""
MAX_SEALED: Final = 6000

CRITICAL: Final = frozenset(("alarm", "shutdown", "command", "tamper", "outage", "gps", "config", "login", "logout"))
"""Kinds that are flushed at once; the others wait a little for further ones."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event as it is recorded. ``body`` is the text that goes on the ledger; of a body that stays off it,
    ``body_hash`` is the salted hash and ``sealed`` what readers can open."""

    device: str
    kind: str
    time_us: int
    body: str | None = None
    body_hash: str | None = None
    sealed: str | None = None

    @property
    def body_sha256(self) -> str:
        """What the device proves of the body."""
        return self.body_hash if self.body is None else sha256(self.body.encode()).hexdigest()  # type: ignore[return-value]

    def to_dict(self) -> dict[str, Any]:
        """Its members, those that are there."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return {name: value for name, value in members.items() if value is not None}


@dataclass(frozen=True, slots=True)
class Record:
    """An entry in the recorder: ``number`` counts all of the recorder, ``seq`` those of the device."""

    number: int
    seq: int
    entry: Entry

    def payload(self) -> bytes:
        """Its text in the file."""
        return jsontext.dumps({"number": self.number, "seq": self.seq, **self.entry.to_dict()})

    @classmethod
    def read(cls, payload: bytes) -> Record:
        """From the file; an error of ours where it is none."""
        members = object_of(jsontext.loads(payload), "a record")
        body, body_hash = members.get("body"), members.get("body_hash")
        if (body is None) == (body_hash is None) or not isinstance(body or body_hash, str):
            raise MalformedMessage("a record has either a body or the hash of one")
        entry = Entry(
            text_of(members, "device"),
            text_of(members, "kind"),
            integer_of(members, "time_us"),
            body,
            body_hash,
            members.get("sealed"),
        )
        return cls(integer_of(members, "number", minimum=1), integer_of(members, "seq", minimum=1), entry)


@dataclass(frozen=True, slots=True)
class SegmentHead:
    """What a file of the recorder begins with: the number of its first record, and the hash before it."""

    first: int
    previous: bytes

    def payload(self) -> bytes:
        """Its text in the file."""
        return jsontext.dumps({"recorder": 1, "first": self.first, "previous": self.previous.hex()})

    @classmethod
    def read(cls, payload: bytes) -> SegmentHead | None:
        """From the file; None where it is none."""
        try:
            members = object_of(jsontext.loads(payload), "a head")
            if integer_of(members, "recorder") != 1:
                return None
            previous = bytes.fromhex(text_of(members, "previous", max_length=64))
            head = cls(integer_of(members, "first", minimum=1), previous)
        except (GridLedgerError, ValueError):
            return None
        return head if len(previous) == len(NO_HASH) and head.payload() == payload else None


def framed(previous: bytes, payload: bytes) -> tuple[bytes, bytes]:
    """A payload's frame behind a record with the hash ``previous``, and the hash of the chain then."""
    digest = sha256(previous + payload).digest()
    return FRAME.pack(len(payload), zlib.crc32(payload, zlib.crc32(digest)), digest) + payload, digest


def unframed(data: bytes, place: int) -> tuple[bytes, bytes] | None:
    """The payload of the frame at a place, and its hash; None where no whole frame is there."""
    if place + FRAME.size > len(data):
        return None
    length, checksum, digest = FRAME.unpack_from(data, place)
    start = place + FRAME.size
    if not 0 < length <= MAX_PAYLOAD or start + length > len(data):
        return None
    payload = data[start : start + length]
    return (payload, digest) if zlib.crc32(payload, zlib.crc32(digest)) == checksum else None
