"""The audit log: one JSON line for everything the CA grants or takes away, on the disk before it takes effect."""

from __future__ import annotations

import logging
import os
import threading
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import UnavailableError

_log = logging.getLogger(__name__)


class AuditLog:
    """Appends to a file. A line may tell of something that a crash then prevented, never the other way round."""

    def __init__(self, path: Path) -> None:
        self._lock = threading.Lock()
        self._file = os.open(path, os.O_RDWR | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(self._file).st_size
        if size and os.pread(self._file, 1, size - 1) != b"\n":
            # The process was killed inside a line. What was half said stays, and stays a line of its own.
            os.write(self._file, b"\n")

    def write(self, event: str, at_us: int, **members: Any) -> None:
        """Append one line and wait until it is on the disk; it goes to the process's log as well."""
        time = datetime.fromtimestamp(at_us / 1e6, UTC).strftime("%Y-%m-%dT%H:%M:%S.%fZ")
        line = jsontext.dumps({"time": time, "event": event, **members}) + b"\n"
        with self._lock:
            if os.write(self._file, line) != len(line):
                raise UnavailableError("the audit log's disk is full: nothing is granted until there is room")
            os.fsync(self._file)
        _log.info("audit: %s", event, extra={"audit": members})

    def close(self) -> None:
        """Close the file."""
        os.close(self._file)
