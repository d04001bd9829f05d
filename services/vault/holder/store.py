"""A holder's shares on its disk: one file each, and a line of the log for what became of it.

A share is written whole under another name, flushed, given its own name, and only then entered into the log. What a
kill or a power loss leaves half done is set right when the store is opened: files under other names go, a torn last
line goes, a share without a line is entered as ``found`` (the ledger says whether it is wanted), and a share that its
last line calls deleted goes. A line whose share is not there is answered by a line ``lost``: that share is to be
repaired.
"""

from __future__ import annotations

import logging
import re
import threading
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import DiskFailed, GridLedgerError, NoSpaceLeft
from gridledger.files import disk_failure, write_atomically
from gridledger.sharing import commitment
from services.vault.errors import HolderFull, HolderOut, ShareMissing
from services.vault.holder.log import DELETED, EXPIRED, FOUND, LOST, PRESENT, REBUILT, STORED, HolderLog, Line
from services.vault.records import OBJECT_NAME

Key = tuple[str, int]
"""An object's name and a version."""

_SHARE_FILE: Final = re.compile(rf"({OBJECT_NAME.pattern})\.([1-9][0-9]{{0,8}})")
_MODE: Final = 0o600

_log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Held:
    """A share that is there: the root (hex) and the size that it had when it was stored."""

    root: str
    size: int


@dataclass(frozen=True, slots=True)
class Bounds:
    """How much a holder keeps."""

    max_shares: int = 100_000
    max_bytes: int = 1 << 40


class Store:
    """One holder's folder. Its methods block; they may be called from several threads."""

    def __init__(
        self,
        folder: Path,
        now_us: Callable[[], int],
        bounds: Bounds = Bounds(),
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        """Open it, and set right what was left half done. Raises :class:`CorruptionError` for a damaged log."""
        self._shares = folder / "shares"
        self._now_us = now_us
        self._bounds = bounds
        self._disk = disk
        self._lock = threading.Lock()
        self._failed: DiskFailed | None = None
        self._log = HolderLog(folder / "log.jsonl", disk)
        self._held: dict[Key, Held] = {}
        self._size = 0
        disk.make_folder(self._shares)
        disk.sync_folder(folder)
        try:
            self._recover()
        except BaseException:
            self._log.close()
            raise

    @property
    def log_head(self) -> str:
        """The hash of the newest line."""
        return self._log.head

    @property
    def size(self) -> int:
        """The bytes of all shares."""
        return self._size

    def held(self) -> dict[Key, Held]:
        """The shares that are there."""
        with self._lock:
            return dict(self._held)

    def get(self, key: Key) -> Held | None:
        """What is known of a share; None where there is none."""
        return self._held.get(key)

    def put(self, key: Key, share: bytes, root: str, *, rebuilt: bool = False) -> str:
        """Keep a share; the log's head once file and line are on the disk. The same share again changes nothing,
        unless it is ``rebuilt``: then it takes the place of what is there.

        Raises :class:`HolderFull`, and then all is as it was, or :class:`HolderOut`.
        """
        with self._lock:
            self._check_works()
            known = self._held.get(key)
            if known == Held(root, len(share)) and not rebuilt and self._reads_as(key, share):
                return self._log.head
            self._check_room(known, len(share))
            path = self._path(key)
            try:
                write_atomically(path, share, mode=_MODE, disk=self._disk)
            except OSError as error:
                if known is None:
                    self._unlink(path)
                raise self._trouble(disk_failure(error, path)) from error
            try:
                self._enter(REBUILT if rebuilt else STORED, key, Held(root, len(share)))
            except (NoSpaceLeft, DiskFailed) as error:
                if known is None:
                    self._unlink(path)
                raise self._trouble(error) from error
            return self._log.head

    def read(self, key: Key) -> bytes:
        """The share as the disk has it, whatever became of it there. :class:`ShareMissing` where there is none."""
        with self._lock:
            self._check_works()
            if key not in self._held:
                raise ShareMissing(f"this holder has no share of version {key[1]} of {key[0]}")
            try:
                return self._disk.read(self._path(key))
            except FileNotFoundError:
                self._enter_lost(key)
                raise ShareMissing(f"the share of version {key[1]} of {key[0]} is gone from the disk") from None
            except OSError as error:
                raise HolderOut(f"the share of version {key[1]} of {key[0]} cannot be read: {error.strerror}") from None

    def delete(self, key: Key, *, expired: bool = False) -> str:
        """Have a share no more; the log's head. Nothing where there is none."""
        with self._lock:
            self._check_works()
            known = self._held.get(key)
            if known is None:
                return self._log.head
            try:
                self._enter(EXPIRED if expired else DELETED, key, known)
                self._disk.unlink(self._path(key))
                self._disk.sync_folder(self._shares)
            except (NoSpaceLeft, DiskFailed) as error:
                raise self._trouble(error) from error
            except OSError as error:
                raise self._trouble(disk_failure(error, self._path(key))) from error
            return self._log.head

    def close(self) -> None:
        """Give the files back."""
        with self._lock:
            self._log.close()

    def _recover(self) -> None:
        said: dict[Key, Held | None] = {}
        for line in self._log.open():
            key = (line.object, line.version)
            said[key] = Held(line.root, line.size) if line.kind in PRESENT else None
        files = self._files()
        for key, known in said.items():
            if key in files and known is None:
                self._disk.unlink(self._path(key))
            elif key in files and known is not None:
                self._hold(key, known)
            elif known is not None:
                _log.error("a share is gone from the disk: it is to be repaired", extra=_named(key))
                self._log.append(LOST, key, root=known.root, size=known.size, time_us=self._now_us())
        for key in sorted(files - said.keys()):
            share = self._disk.read(self._path(key))
            _log.warning("a share without a line in the log was found", extra=_named(key))
            self._enter(FOUND, key, Held(commitment.root(share).hex(), len(share)))
        self._disk.sync_folder(self._shares)

    def _files(self) -> set[Key]:
        """The shares in the folder. What is none was left by a write that did not end, and goes."""
        found: set[Key] = set()
        for name in self._disk.names(self._shares):
            match = _SHARE_FILE.fullmatch(name)
            if match is None:
                self._disk.unlink(self._shares / name)
            else:
                found.add((match[1], int(match[2])))
        return found

    def _enter(self, kind: str, key: Key, held: Held) -> Line:
        line = self._log.append(kind, key, root=held.root, size=held.size, time_us=self._now_us())
        self._hold(key, held if kind in PRESENT else None)
        return line

    def _enter_lost(self, key: Key) -> None:
        _log.error("a share is gone from the disk: it is to be repaired", extra=_named(key))
        try:
            self._enter(LOST, key, self._held[key])
        except (NoSpaceLeft, DiskFailed):  # it is entered when the store is opened again
            self._hold(key, None)

    def _hold(self, key: Key, held: Held | None) -> None:
        before = self._held.pop(key, None)
        self._size -= before.size if before else 0
        if held is not None:
            self._held[key] = held
            self._size += held.size

    def _check_room(self, known: Held | None, size: int) -> None:
        if known is None and len(self._held) >= self._bounds.max_shares:
            raise HolderFull(
                f"this holder keeps {self._bounds.max_shares} shares, and takes no further one: raise limits.max_shares"
            )
        more = size - (known.size if known else 0)
        if self._size + more > self._bounds.max_bytes:
            raise HolderFull(
                f"this holder keeps {self._bounds.max_bytes} bytes at most, and {self._size} are there: raise "
                "limits.max_share_bytes"
            )

    def _reads_as(self, key: Key, share: bytes) -> bool:
        try:
            return self._disk.read(self._path(key)) == share
        except OSError:
            return False

    def _check_works(self) -> None:
        if self._failed is not None:
            raise HolderOut(self._failed.message)

    def _trouble(self, error: NoSpaceLeft | DiskFailed) -> GridLedgerError:
        """What is told; after a failed flush nobody knows what the disk has, and nothing more is done with it."""
        if isinstance(error, NoSpaceLeft):
            return HolderFull(error.message, **error.details)
        self._failed = error
        return HolderOut(error.message, **error.details)

    def _unlink(self, path: Path) -> None:
        try:
            self._disk.unlink(path)
            self._disk.sync_folder(path.parent)
        except OSError:  # it is found when the store is opened again
            _log.warning("a share that was not entered could not be removed", extra={"file": str(path)})

    def _path(self, key: Key) -> Path:
        return self._shares / f"{key[0]}.{key[1]}"


def _named(key: Key) -> dict[str, object]:
    return {"object": key[0], "version": key[1]}
