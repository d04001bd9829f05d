"""The flight recorder: a ring of files in which no record gives way before the ledger has it.

A record is on the disk when :meth:`Recorder.append` returns, and then not before. A file whose records are all settled
(on the ledger, or set aside) is removed when the ring is full; where there is none the recorder refuses, and what it
holds stays. A kill or a power loss tears the newest records at most, which nobody was answered for: they are cut off.
Bytes that are damaged elsewhere are passed over, loudly, and the file as it was is kept beside.
"""

from __future__ import annotations

import logging
import os
import threading
from bisect import bisect_right
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import CorruptionError, DiskFailed, GridLedgerError, NoSpaceLeft
from gridledger.files import disk_failure, write_atomically
from services.lightnode.errors import EventUnknown, RecorderFull, RecorderOut
from services.lightnode.recorder.devices import DeviceIndex
from services.lightnode.recorder.marks import Mark, MarkFile
from services.lightnode.recorder.records import NO_HASH, Entry, Record, framed
from services.lightnode.recorder.segment import SUFFIX, Scan, Segment, head_frame, name_of

_FLAGS: Final = os.O_RDWR | os.O_CREAT

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much the recorder keeps: the ring's bytes, those of one file of it, and how many events of one device may
    wait for the ledger, so that one whose events it refuses leaves room to the others."""

    max_bytes: int = 256 * 1024 * 1024
    segment_bytes: int = 4 * 1024 * 1024
    max_waiting: int = 100_000


class Recorder:
    """One light node's recorder. Its calls block; :meth:`append` for a flush of the disk. Any thread may call."""

    def __init__(self, folder: Path, bounds: Bounds = Bounds(), disk: Disk = SYSTEM_DISK) -> None:
        """Open it, and set right what was left half done. Raises :class:`CorruptionError` where a file was changed."""
        self._folder = folder / "segments"
        self._bounds = bounds
        self._disk = disk
        self._writing = threading.Lock()
        self._lock = threading.Lock()
        self._failed: str | None = None
        self._segments: list[Segment] = []
        self._devices: dict[str, DeviceIndex] = {}
        self._marks = MarkFile(folder / "marks.jsonl", disk)
        self._descriptor = -1
        self._digest = NO_HASH
        self._next = 1
        self._bytes = 0
        self.damaged = 0
        """Bytes that could not be read when the recorder was opened."""
        try:
            disk.make_folder(self._folder)
            disk.sync_folder(folder)
            self._recover()
        except OSError as error:
            self.close()
            raise disk_failure(error, self._folder) from error
        except BaseException:
            self.close()
            raise

    @property
    def failed(self) -> str | None:
        """Why nothing is recorded any more; None while all is well."""
        return self._failed

    @property
    def size(self) -> int:
        """The bytes of its files."""
        return self._bytes

    @property
    def waiting(self) -> int:
        """How many records the ledger has not."""
        with self._lock:
            return sum(segment.open_records for segment in self._segments)

    def append(self, entries: Sequence[Entry]) -> list[Record]:
        """Record events; they are on the disk when this returns. All of them, or none.

        Raises :class:`RecorderFull`, and then all is as it was, or :class:`RecorderOut`.
        """
        with self._writing:
            if self._failed is not None:
                raise RecorderOut(self._failed)
            records = self._numbered(entries)
            segment = self._segment()
            frames, places, digest = self._framed(segment, records)
            size = sum(map(len, frames))
            while True:
                self._make_room(size)
                try:
                    self._write(segment, frames)
                except NoSpaceLeft as full:
                    if not self._drop_oldest():
                        raise RecorderFull(f"the recorder's disk is full: {full.message}") from full
                else:
                    break
            with self._lock:
                self._enter(segment, records, places, digest, size)
            return records

    def read(self, number: int) -> Record:
        """A record. :class:`EventUnknown` where the ring has gone on, :class:`RecorderOut` where the disk fails."""
        with self._lock:
            segment = self._segment_of(number)
        if segment is None:
            raise EventUnknown(f"the recorder has no record {number}, or no longer")
        try:
            return segment.read(number, self._disk)
        except FileNotFoundError:
            raise EventUnknown(f"the recorder has no record {number} any longer") from None
        except OSError as error:
            raise RecorderOut(f"record {number} cannot be read: {error.strerror}") from None

    def devices(self) -> list[str]:
        """The devices that have or had records here."""
        with self._lock:
            return sorted(self._devices)

    def device(self, name: str) -> DeviceIndex:
        """What is known of a device; only to be read."""
        with self._lock:
            return self._index(name)

    def oldest(self, device: str, count: int) -> list[Record]:
        """The first records of a device that wait."""
        with self._lock:
            numbers = self._index(device).oldest(count)
        return [self.read(number) for number in numbers]

    def settle(self, mark: Mark) -> None:
        """Note what became of records: they may give way from now on."""
        with self._lock:
            self._marks.add(mark)
            self._take(mark)

    def sync_marks(self) -> None:
        """Have the marks on the disk. What fails is told in the log: the ledger is asked again after a restart."""
        with self._lock:
            try:
                self._marks.sync()
            except (NoSpaceLeft, DiskFailed) as error:
                _log.warning("marks of the recorder cannot be flushed", extra={"why": error.message})

    def close(self) -> None:
        """Give the files back."""
        with self._writing, self._lock:
            self._marks.close()
            self._close_segment()

    # writing

    def _numbered(self, entries: Sequence[Entry]) -> list[Record]:
        records: list[Record] = []
        more: dict[str, int] = {}
        with self._lock:
            for number, entry in enumerate(entries, self._next):
                index = self._index(entry.device)
                ahead = more.get(entry.device, 0)
                if index.waiting + ahead >= self._bounds.max_waiting:
                    raise RecorderFull(
                        f"{entry.device} has {index.waiting} events that wait for the ledger, and may have no more: "
                        "see at GET /devices why it does not take them",
                        device=entry.device,
                    )
                records.append(Record(number, index.next_seq + ahead, entry))
                more[entry.device] = ahead + 1
        return records

    def _segment(self) -> Segment:
        """The file to write to: the newest, or the next one where that is full, which is made by the first write."""
        newest = self._segments[-1] if self._segments else None
        if newest is not None and newest.size < self._bounds.segment_bytes and self._descriptor >= 0:
            return newest
        return Segment(self._folder / name_of(self._next), self._next, 0)

    def _framed(self, segment: Segment, records: Sequence[Record]) -> tuple[list[bytes], list[tuple[int, int]], bytes]:
        """The bytes to be written, the place and size of each record, and the hash of the chain then."""
        frames: list[bytes] = []
        places: list[tuple[int, int]] = []
        digest, place = self._digest, segment.size
        if not place:
            frame, digest = head_frame(segment.first, digest)
            frames.append(frame)
            place += len(frame)
        for record in records:
            frame, digest = framed(digest, record.payload())
            frames.append(frame)
            places.append((place, len(frame)))
            place += len(frame)
        return frames, places, digest

    def _write(self, segment: Segment, frames: Sequence[bytes]) -> None:
        """Write behind what the file has and flush; raises :class:`NoSpaceLeft`, and then it is as it was."""
        is_new = not segment.size
        try:
            if is_new:
                self._close_segment()
                self._descriptor = self._disk.open(segment.path, _FLAGS, 0o600)
            self._disk.pwrite(self._descriptor, (b"".join(frames),), segment.size)
            self._disk.fdatasync(self._descriptor)
            if is_new:
                self._disk.sync_folder(self._folder)
        except OSError as error:
            told = disk_failure(error, segment.path)
            if isinstance(told, NoSpaceLeft) and self._take_back(segment):
                raise told from error
            raise self._out(told) from error

    def _take_back(self, segment: Segment) -> bool:
        """After a write that found no room; whether the file is as it was."""
        try:
            if segment.size:
                self._disk.truncate(self._descriptor, segment.size)
            else:
                self._close_segment()
                self._disk.unlink(segment.path)
        except OSError:
            return False
        return True

    def _out(self, told: GridLedgerError) -> RecorderOut:
        self._failed = told.message
        _log.error("the recorder takes nothing any more", extra={"why": told.message})
        return RecorderOut(told.message)

    def _enter(
        self, segment: Segment, records: Iterable[Record], places: Iterable[tuple[int, int]], digest: bytes, size: int
    ) -> None:
        if not segment.size:
            self._segments.append(segment)
        for record, (place, length) in zip(records, places, strict=True):
            segment.add(record.number, place, length)
            self._index(record.entry.device).add(record.number, record.seq)
            self._next = record.number + 1
        self._digest = digest
        self._bytes += size

    # the ring

    def _make_room(self, size: int) -> None:
        while self._bytes + size > self._bounds.max_bytes:
            if not self._drop_oldest():
                raise RecorderFull(
                    f"the recorder's {self._bounds.max_bytes} bytes are full of events that the ledger has not: they "
                    "are kept, and nothing more is recorded until it takes some; see GET /devices, or raise "
                    "recorder.max_bytes"
                )

    def _drop_oldest(self) -> bool:
        """Remove the oldest file whose records are all settled, other than the newest; whether there was one."""
        with self._lock:
            segment = next((one for one in self._segments[:-1] if not one.open_records), None)
            if segment is None:
                return False
            try:
                self._marks.sync()  # else the ledger would be asked for records that are no longer here
                self._disk.unlink(segment.path)
                self._disk.sync_folder(self._folder)
            except (OSError, NoSpaceLeft, DiskFailed):
                return False
            self._segments.remove(segment)
            self._bytes -= segment.size
            for index in self._devices.values():
                index.forget(segment.first, segment.end)
            self._rewrite_marks()
            return True

    def _rewrite_marks(self) -> None:
        kept = [mark for index in self._devices.values() for mark in index.kept_marks()]
        try:
            self._marks.rewrite(kept, len(kept))
        except (NoSpaceLeft, DiskFailed) as error:
            _log.warning("the file of marks cannot be written anew", extra={"why": error.message})

    def _take(self, mark: Mark) -> None:
        for number in self._index(mark.device).take(mark):
            segment = self._segment_of(number)
            if segment is not None:
                segment.settle(number)

    def _index(self, device: str) -> DeviceIndex:
        return self._devices.setdefault(device, DeviceIndex())

    def _segment_of(self, number: int) -> Segment | None:
        place = bisect_right(self._segments, number, key=lambda segment: segment.first) - 1
        return self._segments[place] if place >= 0 and self._segments[place].has(number) else None

    def _close_segment(self) -> None:
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1

    # opening

    def _recover(self) -> None:
        names = [name for name in self._disk.names(self._folder) if name.endswith(SUFFIX)]
        previous: bytes | None = None
        after = 0
        for name in names:
            first = _number_of(name, self._folder)
            segment = Segment(self._folder / name, first, 0)
            scan = Scan(segment.path, self._disk.read(segment.path), previous if first == after else None)
            for record, place, size in scan.records():
                segment.add(record.number, place, size)
                self._index(record.entry.device).add(record.number, record.seq)
            previous = self._settle_file(segment, scan, is_newest=name == names[-1])
            after = segment.end
        for mark in self._marks.open():
            self._take(mark)

    def _settle_file(self, segment: Segment, scan: Scan, *, is_newest: bool) -> bytes | None:
        """Cut off what is torn, keep what is damaged beside, and enter the file; the hash of the chain behind it."""
        if scan.damaged or (scan.torn and not is_newest):
            self._keep_damaged(segment, scan)
        if not segment.places and not scan.damaged:  # made and not written to its end: it has nothing
            self._disk.unlink(segment.path)
            self._disk.sync_folder(self._folder)
            self._next = max(self._next, segment.first)
            return None
        segment.size = scan.end
        self._segments.append(segment)
        self._bytes += segment.size
        self._next = max(self._next, segment.end)
        self._digest = scan.digest or self._digest
        if is_newest:
            self._descriptor = self._disk.open(segment.path, _FLAGS, 0o600)
            if scan.torn:
                _log.warning(
                    "the recorder's torn end is cut off", extra={"file": str(segment.path), "bytes": scan.torn}
                )
                self._disk.truncate(self._descriptor, scan.end)
                self._disk.fsync(self._descriptor)
        return scan.digest or None

    def _keep_damaged(self, segment: Segment, scan: Scan) -> None:
        kept = segment.path.with_suffix(".damaged")
        if not self._disk.exists(kept):
            write_atomically(kept, scan.data, mode=0o600, disk=self._disk)
        lost = scan.damaged + scan.torn
        self.damaged += lost
        _log.error(
            "the recorder is damaged: what can be read is kept, and the file as it was",
            extra={"file": str(segment.path), "kept": str(kept), "bytes_lost": lost},
        )


def _number_of(name: str, folder: Path) -> int:
    digits = name.removesuffix(SUFFIX)
    if not digits.isascii() or not digits.isdigit() or int(digits) < 1:
        raise CorruptionError(f"{folder / name} is no file of a recorder: move it away")
    return int(digits)
