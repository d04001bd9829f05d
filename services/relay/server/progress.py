"""How far a server has dealt with what a relay holds, kept in a file: what came before that need not be read again."""

from __future__ import annotations

import logging
from collections import OrderedDict
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import GridLedgerError
from gridledger.files import write_atomically
from services.relay.readers import Held

MAX_KNOWN: Final = 10_000

_log = logging.getLogger(__name__)


class Progress:
    """Which captures of one relay were dealt with: the last ones in memory, and a mark in the file.

    The mark is the newest capture before which nothing is left to do, under one revision of the relay's record. A file
    that cannot be read, or is of another revision, is as none: more is looked at once more, which does no harm.
    """

    def __init__(self, path: Path, revision: int, disk: Disk = SYSTEM_DISK) -> None:
        self._path = path
        self._revision = revision
        self._disk = disk
        self._done: OrderedDict[str, None] = OrderedDict()
        self._texts: OrderedDict[int, str] = OrderedDict()
        self._mark, self.minute = self._read()

    def finish(self, sha256: str, minute: int | None) -> None:
        """Note that nothing is left to do for a text; of a capture with its minute."""
        self._done[sha256] = None
        if minute is not None:
            self._texts[minute] = sha256
            self.minute = minute if self.minute is None else max(self.minute, minute)
        while len(self._done) > MAX_KNOWN:
            self._done.popitem(last=False)
        while len(self._texts) > MAX_KNOWN:
            self._texts.popitem(last=False)

    def text_of(self, minute: int) -> str | None:
        """The SHA-256 with which a minute was dealt with lately."""
        return self._texts.get(minute)

    def is_done(self, held: Held) -> bool:
        """Whether nothing is left to do for a capture that the relay holds."""
        if held.sha256 is not None:
            return held.sha256 in self._done
        return held.minute is not None and held.minute in self._texts

    def left(self, held: Sequence[Held]) -> list[Held]:
        """What is left to do of what a relay holds, oldest first."""
        first = next((place + 1 for place in range(len(held) - 1, -1, -1) if _key(held[place]) == self._mark), 0)
        return [item for item in held[first:] if not self.is_done(item)]

    def mark(self, held: Sequence[Held]) -> None:
        """Move the mark to the newest capture before which all is done, and keep it. Blocks for two flushes."""
        left = set(map(_key, self.left(held)))
        place = next((place for place, item in enumerate(held) if _key(item) in left), len(held))
        if not place or _key(held[place - 1]) == self._mark:
            return
        self._mark = _key(held[place - 1])
        name, sha256, minute = self._mark
        content = {"revision": self._revision, "name": name, "sha256": sha256, "minute": minute, "newest": self.minute}
        try:
            self._disk.make_folder(self._path.parent)
            write_atomically(self._path, jsontext.dumps(content), mode=0o600, disk=self._disk)
        except OSError as error:
            _log.warning("progress cannot be kept", extra={"file": str(self._path), "why": str(error)})

    def _read(self) -> tuple[tuple[str, str | None, int | None] | None, int | None]:
        try:
            value: Any = jsontext.loads(self._disk.read(self._path)) if self._disk.exists(self._path) else None
        except (OSError, GridLedgerError) as error:
            _log.warning("progress cannot be read", extra={"file": str(self._path), "why": str(error)})
            return None, None
        if not isinstance(value, dict) or value.get("revision") != self._revision:
            return None, None
        name, sha256, minute, newest = (value.get(member) for member in ("name", "sha256", "minute", "newest"))
        if not isinstance(name, str) or not isinstance(sha256, str | None) or not _is_minute(minute, newest):
            return None, None
        return (name, sha256, minute), newest


def _key(held: Held) -> tuple[str, str | None, int | None]:
    return held.name, held.sha256, held.minute


def _is_minute(*values: object) -> bool:
    return all(value is None or type(value) is int for value in values)
