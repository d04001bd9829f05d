"""A holder's own chain: one line for each share that it stored, lost or deleted, each naming the line before by hash.

A line is a JSON text; its hash is the SHA-256 of the text, and the newest hash is the log's head, which the holder
tells the ledger with each acknowledgement. So whoever has the ledger can tell whether an old line was changed since.

Lines are appended one at a time, each flushed before the next. So a power loss tears the last line at most: that one is
cut away when the log is opened. A line further up that does not hold is damage, which nobody repairs in silence.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import CorruptionError, MalformedJSON, MalformedMessage
from gridledger.files import disk_failure
from gridledger.protocol.fields import integer_of, object_of, text_of

NO_HEAD: Final = "0" * 64
"""The head of an empty log."""

STORED, REBUILT, FOUND, LOST, DELETED, EXPIRED = "stored", "rebuilt", "found", "lost", "deleted", "expired"
"""What a line says of a share: it came, was repaired, was there without a line, is gone without one, was deleted, or
was deleted because its object was abandoned."""

PRESENT: Final = frozenset((STORED, REBUILT, FOUND))


@dataclass(frozen=True, slots=True)
class Line:
    """A line of the log. ``root`` is the share's commitment in hex, ``size`` its bytes."""

    number: int
    previous: str
    kind: str
    object: str
    version: int
    root: str
    size: int
    time_us: int

    def text(self) -> bytes:
        """As it stands in the file, without its end."""
        return jsontext.dumps({name: getattr(self, name) for name in self.__slots__})

    @classmethod
    def read(cls, text: bytes) -> Line:
        """From the file; an error of ours where it is no line."""
        members = object_of(jsontext.loads(text), "a line")
        return cls(
            integer_of(members, "number", minimum=1),
            text_of(members, "previous"),
            text_of(members, "kind"),
            text_of(members, "object"),
            integer_of(members, "version", minimum=1),
            text_of(members, "root"),
            integer_of(members, "size"),
            integer_of(members, "time_us"),
        )


class HolderLog:
    """The log in one file. Not for several threads at once."""

    def __init__(self, path: Path, disk: Disk = SYSTEM_DISK) -> None:
        self._path = path
        self._disk = disk
        self._descriptor = -1
        self._size = 0
        self.head = NO_HEAD
        self.lines = 0

    def open(self) -> Iterator[Line]:
        """Open it, cut away a torn last line, and give its lines. Read them all before anything is appended.

        Raises :class:`CorruptionError` naming the first line that does not hold, and OSError.
        """
        self._descriptor = self._disk.open(self._path, os.O_RDWR | os.O_CREAT, 0o600)
        self._disk.sync_folder(self._path.parent)
        data = self._disk.read(self._path)
        while self._size < len(data):
            line, end = self._read_line(data)
            if line is None:
                self._cut_tail(data, end)
                return
            self._take(line, data[self._size : end - 1], end)
            yield line

    def append(self, kind: str, key: tuple[str, int], *, root: str, size: int, time_us: int) -> Line:
        """Append a line, and have it on the disk. Raises :class:`NoSpaceLeft`, and then the log is as it was, or
        :class:`DiskFailed`, and then nothing more may be written."""
        line = Line(self.lines + 1, self.head, kind, key[0], key[1], root, size, time_us)
        text = line.text()
        try:
            self._disk.pwrite(self._descriptor, (text, b"\n"), self._size)
            self._disk.fdatasync(self._descriptor)
        except OSError as error:
            self._take_back()
            raise disk_failure(error, self._path) from error
        self._take(line, text, self._size + len(text) + 1)
        return line

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1

    def _read_line(self, data: bytes) -> tuple[Line | None, int]:
        """The line at the present place, None where it does not hold; and where it ends."""
        end = data.find(b"\n", self._size)
        if end < 0:
            return None, len(data)
        try:
            line = Line.read(data[self._size : end])
        except (MalformedJSON, MalformedMessage):
            return None, end + 1
        if line.text() != data[self._size : end]:
            return None, end + 1
        if (line.number, line.previous) != (self.lines + 1, self.head):
            raise self._damage()  # it is whole, so it was not torn: it, or the line before, was changed
        return line, end + 1

    def _cut_tail(self, data: bytes, end: int) -> None:
        """A line that does not hold is torn where none follows, else damage. Lengths that a power loss left read as
        zeros."""
        if data[end:].strip(b"\0"):
            raise self._damage()
        self._disk.truncate(self._descriptor, self._size)
        self._disk.fsync(self._descriptor)

    def _damage(self) -> CorruptionError:
        line = self.lines + 1
        return CorruptionError(
            f"{self._path}: line {line} is not the one that was written, or the one before was changed: this holder "
            "takes and serves nothing; restore the file from a copy, or revoke the holder and reshare its objects",
            file=str(self._path),
            line=line,
        )

    def _take(self, line: Line, text: bytes, end: int) -> None:
        self.head = sha256(text).hexdigest()
        self.lines = line.number
        self._size = end

    def _take_back(self) -> None:
        try:
            self._disk.truncate(self._descriptor, self._size)
        except OSError:
            return  # the caller is told what went wrong before


def heads(path: Path) -> Mapping[str, int]:
    """The numbers of a log's lines by their hashes, to be compared with the heads on the ledger.

    Raises :class:`CorruptionError` where the chain does not hold.
    """
    found: dict[str, int] = {}
    previous = NO_HEAD
    for number, text in enumerate(path.read_bytes().splitlines(), start=1):
        told: Any = None
        try:
            told = Line.read(text)
        except (MalformedJSON, MalformedMessage) as error:
            raise CorruptionError(f"{path}: line {number} is no line of a log: {error.message}", line=number) from None
        if (told.number, told.previous) != (number, previous):
            raise CorruptionError(f"{path}: line {number} does not follow the one before", line=number)
        previous = sha256(text).hexdigest()
        found[previous] = number
    return found
