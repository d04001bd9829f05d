"""One file of the recorder: records behind one another, from the number that its name has."""

from __future__ import annotations

import os
from array import array
from collections.abc import Iterator
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Final

from gridledger.disk import Disk
from gridledger.errors import CorruptionError, GridLedgerError
from services.lightnode.recorder.records import FRAME, Record, SegmentHead, framed, unframed

SUFFIX: Final = ".segment"
_MISSING: Final = 0
"""No record begins at place 0: the head does."""


def name_of(first: int) -> str:
    """The name of the file that begins with this record."""
    return f"{first:012d}{SUFFIX}"


@dataclass(slots=True)
class Segment:
    """A file and what it has: the places of its records by number from ``first`` on, and which of them are settled."""

    path: Path
    first: int
    size: int
    places: array[int] = field(default_factory=lambda: array("I"))
    settled: bytearray = field(default_factory=bytearray)
    open_records: int = 0
    damaged: int = 0
    """Bytes that could not be read, before the last whole record."""

    @property
    def end(self) -> int:
        """The number behind its last record."""
        return self.first + len(self.places)

    def has(self, number: int) -> bool:
        """Whether a record of this number is here."""
        return self.first <= number < self.end and self.places[number - self.first] != _MISSING

    def add(self, number: int, place: int, size: int) -> None:
        """Note a record that was written at a place."""
        for _ in range(self.end, number):  # lost to damage
            self.places.append(_MISSING)
            self.settled.append(1)
        self.places.append(place)
        self.settled.append(0)
        self.open_records += 1
        self.size = place + size

    def settle(self, number: int) -> bool:
        """Note that a record need not be kept any more; whether that is news."""
        place = number - self.first
        if self.settled[place]:
            return False
        self.settled[place] = 1
        self.open_records -= 1
        return True

    def read(self, number: int, disk: Disk) -> Record:
        """A record from the disk; :class:`CorruptionError` where it is no longer what was written."""
        place = self.places[number - self.first]
        descriptor = disk.open(self.path, os.O_RDONLY)
        try:
            head = disk.pread(descriptor, FRAME.size, place)
            length = FRAME.unpack(head)[0] if len(head) == FRAME.size else 0
            found = unframed(head + disk.pread(descriptor, length, place + FRAME.size), 0)
        finally:
            disk.close(descriptor)
        try:
            record = None if found is None else Record.read(found[0])
        except GridLedgerError:
            record = None
        if record is None or record.number != number:
            raise CorruptionError(f"{self.path}: record {number} is not the one that was written", record=number)
        return record


def head_frame(first: int, previous: bytes) -> tuple[bytes, bytes]:
    """What a new file begins with, and the hash of the chain then."""
    return framed(previous, SegmentHead(first, previous).payload())


@dataclass(slots=True)
class Scan:
    """Reads a file's records. After :meth:`records`: ``end`` is where the last whole one ends, ``digest`` its hash,
    ``damaged`` how many bytes before it were passed over, ``torn`` how many behind it are no record."""

    path: Path
    data: bytes
    previous: bytes | None
    head: SegmentHead | None = None
    end: int = 0
    digest: bytes = b""
    damaged: int = 0

    @property
    def torn(self) -> int:
        """Bytes behind the last whole record."""
        return len(self.data) - self.end

    def records(self) -> Iterator[tuple[Record, int, int]]:
        """Each record, its place and its size. Where the chain breaks between two whole records, bytes were changed
        with their checksum: that is :class:`CorruptionError`, for nobody but a person can set it right."""
        found = unframed(self.data, 0)
        self.head = None if found is None else SegmentHead.read(found[0])
        place, expected = 0, self.previous
        if found is not None and self.head is not None:
            if expected is not None and self.head.previous != expected:
                raise self._broken(self.head.first)
            self.digest, place = self._checked(found, self.head.previous, self.head.first), FRAME.size + len(found[0])
            self.end, expected = place, self.digest
        else:
            expected = None
        yield from self._behind(place, expected)

    def _behind(self, place: int, expected: bytes | None) -> Iterator[tuple[Record, int, int]]:
        last = 0 if self.head is None else self.head.first - 1
        lost_from: int | None = None if self.head is not None else place
        while place + FRAME.size < len(self.data):
            found = unframed(self.data, place)
            record = None if found is None else _record(found[0])
            if found is None or record is None or record.number <= last:
                lost_from = place if lost_from is None else lost_from
                place += 1  # look for the next whole record: its CRC tells it
                continue
            if lost_from is not None:
                self.damaged += place - lost_from
                lost_from, expected = None, None
            self.digest = found[1] if expected is None else self._checked(found, expected, record.number)
            size = FRAME.size + len(found[0])
            yield record, place, size
            place, expected, last = place + size, self.digest, record.number
            self.end = place

    def _checked(self, found: tuple[bytes, bytes], previous: bytes, number: int) -> bytes:
        if sha256(previous + found[0]).digest() != found[1]:
            raise self._broken(number)
        return found[1]

    def _broken(self, number: int) -> CorruptionError:
        return CorruptionError(
            f"{self.path}: record {number} does not follow from the one before: the file was changed, which no crash "
            "does; keep a copy for an inquiry, and restore the folder or begin an empty one",
            file=str(self.path),
            record=number,
        )


def _record(payload: bytes) -> Record | None:
    try:
        record = Record.read(payload)
    except GridLedgerError:
        return None
    return record if record.payload() == payload else None
