"""Events that the ledger refuses for good: kept for people, a JSON text a line, in a file for each device."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path

from gridledger import jsontext
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.files import disk_failure
from services.lightnode.recorder.records import Record


class Aside:
    """The files, in one folder. They grow by what is refused, which the recorder's ring bounds."""

    def __init__(self, folder: Path, disk: Disk = SYSTEM_DISK) -> None:
        self._folder = folder
        self._disk = disk
        disk.make_folder(folder)

    def keep(self, records: Sequence[Record], why: str) -> None:
        """Keep records of one device; they are on the disk when this returns. A full or failing disk is told so."""
        path = self._folder / f"{records[0].entry.device}.jsonl"
        lines = b"".join(
            jsontext.dumps({"why": why, "number": one.number, "seq": one.seq, **one.entry.to_dict()}) + b"\n"
            for one in records
        )
        try:
            descriptor = self._disk.open(path, os.O_RDWR | os.O_CREAT, 0o600)
            try:
                self._disk.pwrite(descriptor, (lines,), self._disk.size(descriptor))
                self._disk.fsync(descriptor)
            finally:
                self._disk.close(descriptor)
            self._disk.sync_folder(self._folder)
        except OSError as error:
            raise disk_failure(error, path) from error
