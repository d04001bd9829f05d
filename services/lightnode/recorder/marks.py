"""What became of records: which transaction brought them to the ledger, and where a device's chain stands there.

One JSON text a line, in a file of its own, which is written anew without those that say nothing any more. Marks are not
flushed one by one: where the newest are lost, the ledger is asked for the device's head again.
"""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.disk import Disk
from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.files import disk_failure, write_atomically
from gridledger.protocol.fields import integer_of, list_of, object_of, text_of

_FLAGS: Final = os.O_RDWR | os.O_CREAT
_LEAST_REWRITE: Final = 4096
MAX_NUMBERS: Final = 1024
"""Records of one mark; a transaction has 64 at most."""
ON_CHAIN, FOREIGN, ASIDE = "on_chain", "foreign", "aside"


@dataclass(frozen=True, slots=True)
class Mark:
    """What became of the records ``numbers`` of a device, which follow one another there.

    ``on_chain``: the first of them is event ``seq`` on the ledger, by the transaction ``tx`` in ``block``. ``foreign``:
    the ledger has the event ``seq`` of the device, which is no record of this node. ``aside``: the ledger refuses the
    record for good, ``why``. ``sha256`` names the device's newest event on the ledger then.
    """

    kind: str
    device: str
    numbers: tuple[int, ...]
    seq: int
    sha256: str
    tx: str | None = None
    block: int | None = None
    why: str | None = None

    @property
    def last_seq(self) -> int:
        """The device's newest event on the ledger, as far as this mark knows."""
        return self.seq + len(self.numbers) - 1 if self.kind == ON_CHAIN else self.seq

    def line(self) -> bytes:
        """As it stands in the file."""
        members = {name: getattr(self, name) for name in self.__slots__}
        return jsontext.dumps({name: value for name, value in members.items() if value is not None}) + b"\n"

    @classmethod
    def read(cls, line: bytes) -> Mark:
        """From the file; an error of ours where it is no mark."""
        members = object_of(jsontext.loads(line), "a mark")
        numbers = list_of(members, "numbers", max_length=MAX_NUMBERS)
        if not all(type(number) is int and number > 0 for number in numbers) or numbers != sorted(numbers):
            raise MalformedMessage("'numbers' must be numbers of records, in order")
        return cls(
            text_of(members, "kind"),
            text_of(members, "device"),
            tuple(numbers),
            integer_of(members, "seq"),
            text_of(members, "sha256", max_length=64),
            _optional_text(members, "tx"),
            integer_of(members, "block") if "block" in members else None,
            _optional_text(members, "why"),
        )


class MarkFile:
    """The file. Not for several threads at once."""

    def __init__(self, path: Path, disk: Disk) -> None:
        self._path = path
        self._disk = disk
        self._descriptor = -1
        self._size = 0
        self._unsynced = False
        self.lines = 0

    def open(self) -> Iterator[Mark]:
        """Open it and give its marks. What is no mark is passed over: the ledger tells again what it said."""
        there = self._disk.exists(self._path)
        data = self._disk.read(self._path) if there else b""
        self._descriptor = self._disk.open(self._path, _FLAGS, 0o600)
        if not there:
            self._disk.sync_folder(self._path.parent)
        self._size = data.rfind(b"\n") + 1
        if self._size < len(data):
            self._disk.truncate(self._descriptor, self._size)
        for line in data[: self._size].splitlines():
            self.lines += 1
            try:
                mark = Mark.read(line)
            except GridLedgerError:
                continue
            yield mark

    def add(self, mark: Mark) -> None:
        """Write a mark. Where the disk has no room it is left out: see above."""
        line = mark.line()
        try:
            self._disk.pwrite(self._descriptor, (line,), self._size)
        except OSError:
            self._take_back()
            return
        self._size += len(line)
        self.lines += 1
        self._unsynced = True

    def sync(self) -> None:
        """Have all of them on the disk. Raises what a full or failing disk is told as."""
        if not self._unsynced:
            return
        try:
            self._disk.fdatasync(self._descriptor)
        except OSError as error:
            raise disk_failure(error, self._path) from error
        self._unsynced = False

    def rewrite(self, marks: Iterable[Mark], count: int) -> None:
        """Write the file anew with these marks alone, where most of its lines say nothing any more."""
        if self.lines < 2 * count + _LEAST_REWRITE:
            return
        content = b"".join([mark.line() for mark in marks])
        try:
            write_atomically(self._path, content, mode=0o600, disk=self._disk)
            self.close()
            self._descriptor = self._disk.open(self._path, _FLAGS, 0o600)
        except OSError as error:
            raise disk_failure(error, self._path) from error
        self._size, self.lines, self._unsynced = len(content), count, False

    def close(self) -> None:
        """Give the file back."""
        if self._descriptor >= 0:
            self._disk.close(self._descriptor)
            self._descriptor = -1

    def _take_back(self) -> None:
        try:
            self._disk.truncate(self._descriptor, self._size)
        except OSError:
            return  # what is behind the last line is cut off when it is opened


def _optional_text(members: dict[str, Any], name: str) -> str | None:
    return text_of(members, name, max_length=1024) if name in members else None
