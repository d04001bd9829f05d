"""Watches a folder for fault records (COMTRADE), and states each one on the ledger.

A record is taken when its files have been the same twice in a row. The ledger keeps what it says of itself and its
hash; the record stays where it is.
"""

from __future__ import annotations

import asyncio
import logging
from collections import OrderedDict
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Final, Protocol

from gridledger.errors import GridLedgerError, InputError
from services.relay.server.recording import is_conflict, is_refusal

LOOK_EVERY_S: Final = 5.0
MAX_FILES: Final = 10_000
"""In the folder; of more the first by name are looked at."""
_SUFFIXES: Final = (".cfg", ".cff")

Stamp = tuple[tuple[str, int, int], ...]
"""Names, sizes and times of a record's files."""

_log = logging.getLogger(__name__)


class FaultLedger(Protocol):
    """What stating asks of the ledger."""

    async def record_fault(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        """RecordFault."""


class FaultFolder:
    """The fault records of one relay. ``read`` gives a record's members, or raises :class:`InputError`; it blocks."""

    def __init__(self, folder: Path, relay: str, ledger: FaultLedger, read: Callable[[Path], dict[str, Any]]) -> None:
        self._folder = folder
        self._relay = relay
        self._ledger = ledger
        self._read = read
        self._seen: dict[str, Stamp] = {}
        self._done: OrderedDict[str, Stamp] = OrderedDict()
        self._fault: str | None = None

    async def run(self) -> None:
        """Watch until this is cancelled."""
        while True:
            try:
                await self.look()
                self._fault = None
            except (GridLedgerError, OSError) as error:
                if self._fault is None:
                    _log.warning("fault records cannot be stated now", extra={"why": str(error)})
                self._fault = str(error)
            await asyncio.sleep(LOOK_EVERY_S)

    async def look(self) -> None:
        """State each record that is whole and not stated yet."""
        found = await asyncio.to_thread(self._stamps)
        whole = [name for name, stamp in found.items() if self._seen.get(name) == stamp != self._done.get(name)]
        self._seen = found
        for name in whole:
            await self._state(name)
            self._done[name] = found[name]
            while len(self._done) > MAX_FILES:
                self._done.popitem(last=False)

    async def _state(self, name: str) -> None:
        try:
            fault = await asyncio.to_thread(self._read, self._folder / name)
        except InputError as error:
            _log.error("a fault record cannot be read", extra={"file": name, "why": error.message})
            return
        try:
            await self._ledger.record_fault({"relay": self._relay, **fault})
        except GridLedgerError as error:
            if not (is_refusal(error) or is_conflict(error)):
                raise
            _log.info("a fault record is not stated", extra={"file": name, "why": error.message})
            return
        _log.info("fault record stated", extra={"file": name, "sha256": fault["sha256"]})

    def _stamps(self) -> dict[str, Stamp]:
        """The records in the folder, each with what its files are like now."""
        if not self._folder.is_dir():
            return {}
        names = sorted(path.name for path in self._folder.iterdir() if path.suffix.lower() in _SUFFIXES)
        found = {}
        for name in names[:MAX_FILES]:
            path = self._folder / name
            single = path.suffix.lower() == ".cff"
            files = [path] if single else [path, path.with_suffix(".dat"), path.with_suffix(".DAT")]
            stamp = tuple(stamped for file in files if (stamped := _stamp_of(file)) is not None)
            if len(stamp) >= (1 if single else 2):
                found[name] = stamp
        return found


def _stamp_of(path: Path) -> tuple[str, int, int] | None:
    try:
        about = path.stat()
    except OSError:
        return None
    return path.name, about.st_size, about.st_mtime_ns
