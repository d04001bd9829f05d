"""The write-ahead log: one per node, for all its groups. One batch is one write and one fdatasync.

A segment is a file: a magic word, a random salt, and batches. A batch is a header (magic, number, length, checksum of
the payload, checksum of the header) and a payload of records (wal_records.py). Batches are numbered without a gap
across segments, and a segment's name is its first batch's number. That one repeats each group's existence, snapshot and
hard state, so that earlier segments can go as soon as all their entries lie behind snapshots.

A crash leaves at most the last batch incomplete, because the next is written only after the one before is synced. So on
opening, an incomplete batch at the end of the last segment is cut off; an incomplete batch with a later one behind it,
or in an earlier segment, is damage that no crash explains, and the log refuses to open. The salt goes into every
checksum: what a client put into an entry cannot pass for a batch.

Blocking; the node calls it in a thread of its own, one call at a time.
"""

from __future__ import annotations

import os
import struct
import zlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import ConflictError, DiskFailed, GridLedgerError
from gridledger.files import disk_failure, lock_folder
from gridledger.formats import WRITE_AHEAD_LOG
from services.orderer.raft.errors import RaftConfigError, WalCorrupt
from services.orderer.raft.messages import HardState
from services.orderer.raft.wal_records import GroupRecord, GroupWrite, pack_writes, pieces_of, replay

_SEGMENT = struct.Struct(">8sI")
_WORD = b"GLRAFT"
_SEGMENT_MAGIC = b"%s%02d" % (_WORD, WRITE_AHEAD_LOG.number)
_MAGIC = b"GLWB"
_HEADER = struct.Struct(">4sQII")
_CRC = struct.Struct(">I")
_MAX_PIECES = 1000  # of one write; Linux takes 1024 (IOV_MAX)
_SCARCE = 4  # a segment is reserved where there is room for as many
SEGMENT_HEADER_BYTES = _SEGMENT.size
HEADER_BYTES = _HEADER.size + _CRC.size
_REMEDY = "let this orderer join anew (gridledger orderer readmit)"


@dataclass(slots=True)
class _Segment:
    """One file: its path, its salt, and the highest entry index that it holds of each group."""

    path: Path
    salt: int
    highest: dict[str, int] = field(default_factory=dict)


@dataclass(slots=True)
class _Scan:
    """What reading a segment found: its salt, its batches, where the good part ends and whether only zeros follow."""

    salt: int
    payloads: list[bytes]
    end: int
    clean: bool


def _batch_header(number: int, payload: Sequence[bytes], salt: int) -> bytes:
    crc = salt
    for piece in payload:
        crc = zlib.crc32(piece, crc)
    header = _HEADER.pack(_MAGIC, number, sum(map(len, payload)), crc)
    return header + _CRC.pack(zlib.crc32(header, salt))


def _batch_at(data: bytes, offset: int, salt: int) -> tuple[int, bytes] | None:
    """The batch that begins at an offset, or None if there is no whole one."""
    if offset + HEADER_BYTES > len(data):
        return None
    magic, number, length, payload_crc = _HEADER.unpack_from(data, offset)
    (header_crc,) = _CRC.unpack_from(data, offset + _HEADER.size)
    start = offset + HEADER_BYTES
    if magic != _MAGIC or zlib.crc32(data[offset : offset + _HEADER.size], salt) != header_crc:
        return None
    payload = data[start : start + length]
    whole = len(payload) == length and zlib.crc32(payload, salt) == payload_crc
    return (number, payload) if whole else None


def _scan(disk: Disk, path: Path) -> _Scan:
    """Read a segment's batches, which must be numbered from the number in its name."""
    data = disk.read(path)
    payloads: list[bytes] = []
    magic, salt = _SEGMENT.unpack_from(data) if len(data) >= _SEGMENT.size else (b"", 0)
    if magic != _SEGMENT_MAGIC:
        if magic.startswith(_WORD) and magic[len(_WORD) :].isdigit():
            WRITE_AHEAD_LOG.check(int(magic[len(_WORD) :]), path)
        return _Scan(0, payloads, 0, clean=not data.strip(b"\0"))
    number, offset = int(path.stem), _SEGMENT.size
    while (batch := _batch_at(data, offset, salt)) is not None:
        if batch[0] != number:
            raise WalCorrupt(f"{path.name}: batch {batch[0]} stands where {number} belongs", file=str(path))
        payloads.append(batch[1])
        number += 1
        offset += HEADER_BYTES + len(batch[1])
    clean = not data[offset:].strip(b"\0")
    if not clean:
        _refuse_batches_behind(path, data, offset, number, salt)
    return _Scan(salt, payloads, offset, clean)


def _refuse_batches_behind(path: Path, data: bytes, offset: int, number: int, salt: int) -> None:
    """A whole batch behind a broken one was synced after it: so the broken one was whole once."""
    found = data.find(_MAGIC, offset)
    while found >= 0:
        batch = _batch_at(data, found, salt)
        if batch is not None and batch[0] > number:
            raise WalCorrupt(
                f"{path.name}: damaged at byte {offset}, whole again at {found}; {_REMEDY}",
                file=str(path),
                offset=offset,
            )
        found = data.find(_MAGIC, found + 1)


def _states_of(groups: dict[str, GroupRecord]) -> dict[str, GroupWrite]:
    """What a new segment begins with: each group's existence, snapshot and hard state."""
    return {
        group: GroupWrite(
            group,
            created=record.membership,
            snapshot=record.snapshot,
            hard_state=record.hard_state if record.hard_state != HardState() else None,
        )
        for group, record in groups.items()
    }


class Wal:
    """An open log. ``groups`` is what it held when it was opened, and is kept for the node to take."""

    def __init__(
        self,
        directory: Path,
        segment_bytes: int,
        disk: Disk = SYSTEM_DISK,
        salt: Callable[[], int] = lambda: int.from_bytes(os.urandom(4)),
    ) -> None:
        """Open or create the log in a directory, which no other process may have open. Raises WalCorrupt.

        ``salt`` draws 32 random bits for each segment.
        """
        self._salt = salt
        self._directory = directory
        self._segment_bytes = segment_bytes
        self._disk = disk
        disk.make_folder(directory)
        self._failure: GridLedgerError | None = None
        self._lock = self._take_lock()
        self._segments: list[_Segment] = []
        self._states: dict[str, GroupWrite] = {}
        self._next_number = 1
        self.groups: dict[str, GroupRecord] = {}
        try:
            tail = self._recover()
            self._fd = self._open_segment(tail)
        except BaseException:
            disk.close(self._lock)
            raise

    def _take_lock(self) -> int:
        try:
            return lock_folder(self._directory, self._disk)
        except ConflictError as error:
            raise RaftConfigError(error.message) from None

    @property
    def segment_count(self) -> int:
        """How many segment files there are."""
        return len(self._segments)

    def _recover(self) -> int:
        """Read all segments into ``groups``; returns where the last one's good part ends."""
        paths = [self._directory / name for name in self._disk.names(self._directory) if name.endswith(".wal")]
        end = 0
        for position, path in enumerate(paths):
            scan = _scan(self._disk, path)
            first, last = int(path.stem), position == len(paths) - 1
            if not scan.payloads and last and first == self._next_number:
                self._require_only_begun(path)
                self._disk.unlink(
                    path
                )  # the crash came while this segment was begun; what it would repeat stands before it
                break
            if not scan.payloads or (position and first != self._next_number):
                raise WalCorrupt(f"{path.name}: batches are missing before or in it", file=str(path))
            if not last and not scan.clean:
                raise WalCorrupt(f"{path.name}: damaged at byte {scan.end}, and not the last segment", file=str(path))
            segment = _Segment(path, scan.salt)
            for payload in scan.payloads:
                for group, index in replay(payload, self.groups).items():
                    segment.highest[group] = max(index, segment.highest.get(group, 0))
            self._segments.append(segment)
            self._next_number, end = first + len(scan.payloads), scan.end
        for group, record in self.groups.items():
            record.check(group)
        self._states = _states_of(self.groups)
        return end

    def _require_only_begun(self, path: Path) -> None:
        """A segment without a readable batch was never more than begun, unless something lies behind where its first
        batch would end: then its head (the salt, without which nothing can be read) is damaged."""
        first_batch = SEGMENT_HEADER_BYTES + HEADER_BYTES + len(pack_writes(_states_of(self.groups).values()))
        if self._disk.read(path)[first_batch:].strip(b"\0"):
            raise WalCorrupt(
                f"{path.name}: its head is damaged, and batches follow; {_REMEDY}", file=str(path), offset=0
            )

    def _open_segment(self, end: int) -> int:
        """Open the last segment for appending, cut to its good part; or begin the first."""
        if not self._segments:
            return self._begin_segment()
        self._written = end
        fd = self._disk.open(self._segments[-1].path, os.O_RDWR)
        self._disk.truncate(fd, end)
        self._preallocate(fd, end)
        self._disk.fsync(fd)
        return fd

    def _begin_segment(self) -> int:
        """A new file that begins with every group's state; durable, with its name, before anything else is in it."""
        path = self._directory / f"{self._next_number:016d}.wal"
        fd = self._disk.open(path, os.O_CREAT | os.O_RDWR | os.O_TRUNC, 0o600)
        self._preallocate(fd, 0)
        salt = self._salt()
        self._segments.append(_Segment(path, salt))
        self._disk.pwrite(fd, (_SEGMENT.pack(_SEGMENT_MAGIC, salt),), 0)
        self._written = _SEGMENT.size
        self._append(fd, self._states.values())
        self._disk.fsync(fd)
        self._disk.sync_folder(self._directory)
        return fd

    def _preallocate(self, fd: int, written: int) -> None:
        """Reserve the segment's blocks: a sync need then not write the file's size (half the time on ext4).

        Not where room is scarce: a reservation that fails half-way would for that time, and on some file systems for
        good, take what others need.
        """
        missing = self._segment_bytes - written
        if 0 < missing * _SCARCE <= self._disk.free_bytes(fd):
            try:
                self._disk.reserve(fd, written, missing)
            except OSError:
                return  # a file system without it; the file grows as it is written

    def _append(self, fd: int, writes: Iterable[GroupWrite]) -> None:
        payload = pieces_of(writes)
        if len(payload) >= _MAX_PIECES:
            payload = [b"".join(payload)]
        batch = [_batch_header(self._next_number, payload, self._segments[-1].salt), *payload]
        self._disk.pwrite(fd, batch, self._written)
        self._written += sum(map(len, batch))
        self._next_number += 1

    def write(self, writes: Sequence[GroupWrite]) -> None:
        """Make a batch durable, all of it or nothing. After a failure nothing more is written: what is on disk is then
        unknown until the log is opened anew."""
        if self._failure is not None:
            raise DiskFailed(f"nothing more is written to {self._directory} after a failure: {self._failure.message}")
        try:
            if self._written >= self._segment_bytes:
                self._rotate()
            self._append(self._fd, writes)
            self._disk.fdatasync(self._fd)
        except OSError as error:
            self._failure = disk_failure(error, self._segments[-1].path)
            raise self._failure from error
        self._note(writes)

    def _note(self, writes: Sequence[GroupWrite]) -> None:
        """Remember what the next segment must begin with, and which entries are in this one."""
        highest = self._segments[-1].highest
        compacted = False
        for write in writes:
            group = write.group
            if write.removed:
                self._states.pop(group, None)
                compacted = True
                continue
            before = self._states.get(group) or GroupWrite(group)
            self._states[group] = GroupWrite(
                group,
                created=write.created or before.created,
                snapshot=write.snapshot or before.snapshot,
                hard_state=write.hard_state or before.hard_state,
            )
            if write.entries:
                highest[group] = max(write.entries[-1].index, highest.get(group, 0))
            compacted = compacted or write.snapshot is not None
        if compacted:
            self._drop_segments()

    def _rotate(self) -> None:
        self._disk.truncate(self._fd, self._written)
        self._disk.fsync(self._fd)
        self._disk.close(self._fd)
        self._fd = self._begin_segment()
        self._drop_segments()

    def _drop_segments(self) -> None:
        """Delete the oldest segments whose entries all lie behind snapshots (or belong to groups that are gone)."""
        while len(self._segments) > 1 and not self._needed_by(self._segments[0]):
            self._disk.unlink(self._segments.pop(0).path)

    def _needed_by(self, segment: _Segment) -> list[str]:
        needed = []
        for group, index in segment.highest.items():
            state = self._states.get(group)
            if state is not None and index > (state.snapshot.index if state.snapshot else 0):
                needed.append(group)
        return needed

    def holding_back(self) -> list[str]:
        """Groups whose entries keep the oldest segment from being dropped."""
        return self._needed_by(self._segments[0]) if len(self._segments) > 1 else []

    def close(self) -> None:
        """Close the files and give the lock back. Everything written is already durable."""
        if self._fd >= 0:
            if self._failure is None:
                self._disk.truncate(self._fd, self._written)
            self._disk.close(self._fd)
            self._disk.close(self._lock)
            self._fd = -1
