"""The folder of a simulated relay: a file a minute, and the log of when each was complete.

captures/CAPTURING.txt           what is being written
captures/DD MM YYYY HH MM.txt    a complete capture; where the name is taken, as in the hour that a change of the
                                 clock repeats, "DD MM YYYY HH MM (2).txt"
renames.jsonl                    a line for each complete capture
"""

from __future__ import annotations

import hashlib
import json
import os
from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import GridLedgerError
from gridledger.files import write_atomically

KEPT = 1440
"""Complete captures: a day."""
MAX_RENAMES = 200_000
"""Lines of the log; then its older half is dropped."""
CAPTURING = "CAPTURING.txt"
_MAX_CAPTURE_BYTES = 64 * 1024


@dataclass(frozen=True, slots=True)
class Complete:
    """A complete capture. ``minute``: UTC epoch minute by the relay's clock; ``completed_us``: by the same clock, UTC,
    microseconds since 1970; ``other``: what every second asker is told, where the relay is two-faced."""

    name: str
    minute: int
    data: bytes
    sha256: str
    completed_us: int
    other: bytes | None = None


class CaptureFolder:
    """The captures of a relay, the newest :data:`KEPT`, in the order in which they were completed."""

    def __init__(self, folder: Path) -> None:
        self._captures = folder / "captures"
        self._captures.mkdir(parents=True, exist_ok=True)
        self._log = folder / "renames.jsonl"
        self._held: dict[str, Complete] = {}
        self._lines = 0
        for entry in self._logged():
            self._load(entry)

    def __iter__(self) -> Iterator[Complete]:
        """Oldest first."""
        return iter(self._held.values())

    def get(self, name: str) -> Complete | None:
        """A capture by its name."""
        return self._held.get(name)

    @property
    def last(self) -> Complete | None:
        """The newest complete capture."""
        return next(reversed(self._held.values()), None)

    def begin(self, text: str) -> None:
        """Begin a file anew."""
        (self._captures / CAPTURING).write_text(text, newline="")

    def append(self, text: str) -> None:
        """Write a line behind what the file has."""
        with (self._captures / CAPTURING).open("a", newline="") as file:
            file.write(text)

    def complete(
        self, time: datetime, minute: int, data: bytes, *, other: bytes | None, completed_us: int, real_us: int
    ) -> Complete:
        """Give the file its name, with what it holds at last, and drop the oldest one."""
        name = self._free_name(time)
        (self._captures / CAPTURING).write_bytes(data)
        capture = Complete(name, minute, data, hashlib.sha256(data).hexdigest(), completed_us, other)
        # First the line: without a file it is nothing, and a file without it would not be found after a crash.
        self._write_line(capture, real_us)
        (self._captures / CAPTURING).replace(self._captures / name)
        self._held[name] = capture
        while len(self._held) > KEPT:
            self._drop(next(iter(self._held)))
        return capture

    def _free_name(self, time: datetime) -> str:
        name, count = f"{time:%d %m %Y %H %M}.txt", 1
        while (self._captures / name).exists():
            count += 1
            name = f"{time:%d %m %Y %H %M} ({count}).txt"
        return name

    def _write_line(self, capture: Complete, real_us: int) -> None:
        entry: dict[str, Any] = {
            "name": capture.name,
            "minute": capture.minute,
            "sha256": capture.sha256,
            "renamed_us": real_us,
            "completed_us": capture.completed_us,
        }
        if capture.other is not None:
            entry["other"] = capture.other.decode()
        with self._log.open("a") as file:
            file.write(json.dumps(entry, ensure_ascii=False) + "\n")
        self._lines += 1
        if self._lines > MAX_RENAMES:
            lines = self._log.read_bytes().splitlines(keepends=True)[-MAX_RENAMES // 2 :]
            write_atomically(self._log, b"".join(lines))
            self._lines = len(lines)

    def _logged(self) -> deque[dict[str, Any]]:
        """The newest entries of the log. A last line that a crash cut short is cut off, so that the next one begins
        anew; what else is no entry is left out."""
        entries: deque[dict[str, Any]] = deque(maxlen=KEPT)
        if not self._log.exists():
            return entries
        whole = 0
        with self._log.open("rb") as file:
            for line in file:
                if not line.endswith(b"\n"):
                    os.truncate(self._log, whole)
                    break
                whole += len(line)
                self._lines += 1
                if (entry := _entry_of(line)) is not None:
                    entries.append(entry)
        return entries

    def _load(self, entry: dict[str, Any]) -> None:
        path = self._captures / entry["name"]
        if not path.is_file() or path.stat().st_size > _MAX_CAPTURE_BYTES:
            return
        data = path.read_bytes()
        other = entry["other"].encode() if "other" in entry else None
        sha256 = hashlib.sha256(data).hexdigest()
        self._held[path.name] = Complete(path.name, entry["minute"], data, sha256, entry["completed_us"], other)

    def _drop(self, name: str) -> None:
        del self._held[name]
        (self._captures / name).unlink(missing_ok=True)


def _entry_of(line: bytes) -> dict[str, Any] | None:
    """What a line of the log says, or None where it is not one of :meth:`CaptureFolder._write_line`."""
    try:
        entry = jsontext.loads(line)
    except GridLedgerError:
        return None
    kinds = {"name": str, "minute": int, "completed_us": int}
    if not isinstance(entry, dict) or any(type(entry.get(name)) is not kind for name, kind in kinds.items()):
        return None
    is_known = Path(entry["name"]).name == entry["name"] and isinstance(entry.get("other", ""), str)
    return entry if is_known else None
