"""The spool of one relay: captures that the ledger has not yet, in a file that is only appended to.

The file begins with its format's name. A record is its length and CRC-32 (32 bits each, big-endian) and a JSON text:
a capture with its number, or the number of one that is done. Each record is durable before :meth:`Spool.add` returns.
A torn tail, which a crash leaves, is cut off; a record that is damaged elsewhere is passed over, loudly, and the file
as it was is kept beside the new one. When nothing waits, or most of the file is done with, it is written anew.
"""

from __future__ import annotations

import logging
import os
import zlib
from collections import Counter
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from struct import Struct
from typing import Any, Final

from gridledger import jsontext
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import GridLedgerError
from gridledger.files import disk_failure, write_atomically
from services.relay.errors import SpoolFull
from services.relay.server.taken import Taken

MAX_CAPTURES: Final = 100_000
MAX_BYTES: Final = 256 * 1024 * 1024
"""Of the captures that wait. The file is at most twice as long, and a little."""
MAX_REFUSED_BYTES: Final = 16 * 1024 * 1024
"""Of each of the two files with captures that the ledger will not take."""

_FORMAT: Final = b"gridledger relay spool 1\n"
_HEAD: Final = Struct(">II")
_MAX_RECORD: Final = 512 * 1024
_LEAST_REWRITE: Final = 1024 * 1024
_FLAGS: Final = os.O_RDWR | os.O_CREAT

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Waiting:
    """A capture in the spool. ``refused`` counts how often the ledger has refused it in this process."""

    number: int
    taken: Taken
    size: int
    refused: int = 0


class Spool:
    """Open it with :meth:`open`. Its calls block for a flush of the disk; they come when the ledger is away."""

    def __init__(self, path: Path, *, disk: Disk = SYSTEM_DISK, max_captures: int = MAX_CAPTURES) -> None:
        self._path = path
        self._disk = disk
        self._max_captures = max_captures
        self._waiting: dict[int, Waiting] = {}
        self._held: Counter[tuple[int, str]] = Counter()
        self._bytes = 0
        self._next = 1
        self._end = 0
        self._descriptor = -1

    @classmethod
    def open(cls, path: Path, *, disk: Disk = SYSTEM_DISK, max_captures: int = MAX_CAPTURES) -> Spool:
        """The spool in a file, which is made where it is not there. A full or failing disk is told as such."""
        spool = cls(path, disk=disk, max_captures=max_captures)
        try:
            spool._read()
        except OSError as error:
            spool.close()
            raise disk_failure(error, path) from error
        return spool

    def close(self) -> None:
        """Close the file."""
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1

    def __len__(self) -> int:
        return len(self._waiting)

    def __iter__(self) -> Iterator[Waiting]:
        """What waits, the oldest first; of one moment."""
        return iter(list(self._waiting.values()))

    def holds(self, minute: int, sha256: str) -> bool:
        """Whether this capture waits already."""
        return (minute, sha256) in self._held

    def add(self, taken: Taken) -> int:
        """Keep a capture; its number. Raises :class:`SpoolFull`, and what a full or failing disk is told as."""
        if len(self._waiting) >= self._max_captures or self._bytes >= MAX_BYTES:
            raise SpoolFull(
                f"{self._path} holds {len(self._waiting)} captures, {self._bytes} bytes: it takes no more until the "
                "ledger takes some; the oldest are kept"
            )
        number = self._next
        size = self._append({"number": number, **asdict(taken)})
        self._next += 1
        self._hold(Waiting(number, taken, size))
        return number

    def refused(self, number: int) -> int:
        """Count that the ledger refused a capture; how often it has."""
        item = self._waiting[number]
        self._waiting[number] = replace(item, refused=item.refused + 1)
        return item.refused + 1

    def done(self, number: int) -> None:
        """Let go of a capture. Where the disk fails it will be tried once more after the next start: no harm."""
        if not self._release(number):
            return
        if not self._waiting or self._end > 2 * self._bytes + _LEAST_REWRITE:
            self._rewrite()
        else:
            self._append({"done": number})

    def set_aside(self, number: int, why: str) -> Path:
        """Let go of a capture that the ledger will not take, and keep it in a file for people: ``refused`` beside the
        spool, a JSON text a line. Beyond :data:`MAX_REFUSED_BYTES` it becomes ``refused.old``, in place of the one of
        before. The file; where the disk fails the capture stays in the spool."""
        path = self._path.with_name("refused")
        line = jsontext.dumps({"why": why, **asdict(self._waiting[number].taken)}) + b"\n"
        try:
            descriptor = self._disk.open(path, _FLAGS, 0o600)
            size = self._disk.size(descriptor)
            if size + len(line) > MAX_REFUSED_BYTES:
                self._disk.close(descriptor)
                self._disk.replace(path, path.with_name("refused.old"))
                descriptor, size = self._disk.open(path, _FLAGS, 0o600), 0
            try:
                self._disk.pwrite(descriptor, (line,), size)
                self._disk.fsync(descriptor)
            finally:
                self._disk.close(descriptor)
            self._disk.sync_folder(path.parent)
        except OSError as error:
            raise disk_failure(error, path) from error
        self.done(number)
        return path

    def _append(self, record: dict[str, Any]) -> int:
        data = _packed(record)
        try:
            self._disk.pwrite(self._descriptor, (data,), self._end)
            self._disk.fdatasync(self._descriptor)
        except OSError as error:
            self._forget_tail()
            raise disk_failure(error, self._path) from error
        self._end += len(data)
        return len(data)

    def _forget_tail(self) -> None:
        """After a write that failed: the next one goes to the same place; until then a reader cuts it off."""
        try:
            self._disk.truncate(self._descriptor, self._end)
        except OSError:
            _log.warning("the spool's torn end cannot be cut off", extra={"file": str(self._path)})

    def _rewrite(self) -> None:
        records = [_packed({"number": item.number, **asdict(item.taken)}) for item in self._waiting.values()]
        content = b"".join((_FORMAT, *records))
        try:
            if self._waiting:
                write_atomically(self._path, content, mode=0o600, disk=self._disk)
                self.close()
                self._descriptor = self._disk.open(self._path, _FLAGS, 0o600)
            else:
                self._disk.truncate(self._descriptor, len(content))
                self._disk.fdatasync(self._descriptor)
        except OSError as error:
            raise disk_failure(error, self._path) from error
        self._end = len(content)

    def _read(self) -> None:
        self._disk.make_folder(self._path.parent)
        there = self._disk.exists(self._path)
        content = self._disk.read(self._path) if there else b""
        self._descriptor = self._disk.open(self._path, _FLAGS, 0o600)
        if len(content) < len(_FORMAT) and _FORMAT.startswith(content):  # none, or one half made
            self._disk.pwrite(self._descriptor, (_FORMAT,), 0)
            self._disk.fsync(self._descriptor)
            self._disk.sync_folder(self._path.parent)
            self._end = len(_FORMAT)
            return
        scan = _Scan(content)
        for record, size in scan.records():
            self._take_up(record, size)
        if scan.damaged:
            self._keep_damaged(content, scan)
            self._rewrite_whole()
        else:
            self._end = scan.end
            if scan.end < len(content):
                _log.warning(
                    "the spool's torn end is cut off",
                    extra={"file": str(self._path), "bytes": len(content) - scan.end},
                )
                self._disk.truncate(self._descriptor, scan.end)

    def _take_up(self, record: dict[str, Any], size: int) -> None:
        if "done" in record:
            self._release(record["done"])
            return
        number = record.pop("number")
        self._release(number)
        self._hold(Waiting(number, Taken(**record), size))
        self._next = max(self._next, number + 1)

    def _hold(self, item: Waiting) -> None:
        self._waiting[item.number] = item
        self._held[item.taken.minute, item.taken.sha256] += 1
        self._bytes += item.size

    def _release(self, number: int) -> bool:
        """Let go of a capture in memory; whether it was there."""
        item = self._waiting.pop(number, None)
        if item is None:
            return False
        key = (item.taken.minute, item.taken.sha256)
        self._held[key] -= 1
        if not self._held[key]:
            del self._held[key]
        self._bytes -= item.size
        return True

    def _rewrite_whole(self) -> None:
        if self._waiting:
            self._rewrite()
            return
        self._disk.truncate(self._descriptor, 0)
        self._disk.pwrite(self._descriptor, (_FORMAT,), 0)
        self._disk.fdatasync(self._descriptor)
        self._end = len(_FORMAT)

    def _keep_damaged(self, content: bytes, scan: _Scan) -> None:
        kept = self._path.with_suffix(".damaged")
        write_atomically(kept, content, mode=0o600, disk=self._disk)
        _log.error(
            "the spool is damaged: what can be read of it is kept, the relay is asked for the rest",
            extra={"file": str(self._path), "kept": str(kept), "bytes_lost": scan.damaged, "captures": len(self)},
        )


class _Scan:
    """Reads the records of a file. ``end`` is where the last whole one ends, ``damaged`` how many bytes before it could
    not be read."""

    def __init__(self, content: bytes) -> None:
        self._content = content
        self.end = len(_FORMAT)
        self.damaged = 0

    def records(self) -> Iterator[tuple[dict[str, Any], int]]:
        """Each record and its size."""
        content = self._content
        if not content.startswith(_FORMAT):
            self.damaged = len(_FORMAT)
        place = len(_FORMAT)
        lost_from: int | None = None
        while place + _HEAD.size <= len(content):
            record, size = _unpacked(content, place)
            if record is None:
                lost_from = place if lost_from is None else lost_from
                place += 1  # look for the next record: its CRC tells it
                continue
            if lost_from is not None:
                self.damaged += place - lost_from
                lost_from = None
            place += size
            self.end = place
            yield record, size


def _packed(record: dict[str, Any]) -> bytes:
    text = jsontext.dumps(record)
    return _HEAD.pack(len(text), zlib.crc32(text)) + text


def _unpacked(content: bytes, place: int) -> tuple[dict[str, Any] | None, int]:
    length, checksum = _HEAD.unpack_from(content, place)
    start = place + _HEAD.size
    if not 0 < length <= _MAX_RECORD or start + length > len(content):
        return None, 0
    text = content[start : start + length]
    if text[:1] != b"{" or zlib.crc32(text) != checksum:
        return None, 0
    try:
        record = jsontext.loads(text)
    except GridLedgerError:
        return None, 0
    return (record, _HEAD.size + length) if _is_record(record) else (None, 0)


def _is_record(record: Any) -> bool:
    if not isinstance(record, dict):
        return False
    if record.keys() == {"done"}:
        return type(record["done"]) is int
    texts = ("text", "sha256", "protocol", "source_sha256")
    return (
        record.keys() == {"number", "minute", "revision", *texts}
        and all(type(record[name]) is int for name in ("number", "minute", "revision"))
        and all(isinstance(record[name], str) for name in texts)
    )
