"""Writing files: atomically, so that a reader never sees half a file; and what is told where the disk is full."""

from __future__ import annotations

import errno
import os
import stat
import threading
from pathlib import Path

from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import ConflictError, DiskFailed, NoSpaceLeft

_MAKE = os.O_WRONLY | os.O_CREAT | os.O_EXCL | getattr(os, "O_BINARY", 0)  # Windows has a text mode below Python's
_DEFAULT_RIGHTS = 0o644
_NEXT_TO_NOTHING = 64 * 1024
_FULL = frozenset((errno.ENOSPC, errno.EDQUOT))


def write_atomically(path: Path, content: bytes, *, mode: int | None = None, disk: Disk = SYSTEM_DISK) -> None:
    """Replace a file in one step: a crash at any moment leaves the old file or the new one, whole and on the disk.

    ``mode`` are the file's rights; without it they are those of the file that is replaced, or what the umask leaves of
    0644. Blocks for two flushes of the disk, the file's and the folder's. Raises :class:`OSError` and leaves the old
    file where the new one cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{os.getpid()}.{threading.get_native_id()}")
    disk.unlink(temporary)
    rights = _rights_of(path) if mode is None else mode
    descriptor = disk.open(temporary, _MAKE, _DEFAULT_RIGHTS if rights is None else rights)
    try:
        try:
            if rights is not None:
                disk.set_mode(descriptor, rights)
            disk.pwrite(descriptor, (content,), 0)
            disk.fsync(descriptor)
        finally:
            disk.close(descriptor)
        disk.replace(temporary, path)
    except BaseException:
        disk.unlink(temporary)
        raise
    disk.sync_folder(path.parent)


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable: of files that were made, replaced or removed in it."""
    SYSTEM_DISK.sync_folder(folder)


def lock_folder(folder: Path, disk: Disk = SYSTEM_DISK) -> int:
    """Lock a folder by its file ``lock``; the descriptor that holds it until it is closed.

    Raises :class:`ConflictError`, which names the process, where another one holds it, and :class:`NoSpaceLeft`.
    """
    descriptor = disk.open(folder / "lock", os.O_CREAT | os.O_RDWR, 0o600)
    try:
        disk.lock(descriptor)
    except OSError as error:
        disk.close(descriptor)
        if (full := no_space_left(error, folder)) is not None:
            raise full from None
        raise ConflictError(f"{folder} is in use by another process ({error.strerror}): stop that one first") from None
    return descriptor


def no_space_left(error: BaseException, folder: Path | str) -> NoSpaceLeft | None:
    """What is told in place of ``error`` where it is, holds, or came of a write that found the disk full, else None.

    ``folder`` is where space is missing: a path, or in words.
    """
    if isinstance(error, NoSpaceLeft):
        return error
    if isinstance(error, OSError) and error.errno in _FULL:
        return NoSpaceLeft(f"no space left on device: free space in {folder}", folder=str(folder))
    inner = error.exceptions if isinstance(error, BaseExceptionGroup) else (error.__cause__,)
    for one in inner:
        if one is not None and (found := no_space_left(one, folder)) is not None:
            return found
    return None


def disk_failure(error: OSError, path: Path) -> NoSpaceLeft | DiskFailed:
    """What is told where writing or flushing ``path`` failed. The writer must not go on after either."""
    full = no_space_left(error, path.parent)
    return full or DiskFailed(
        f"{path}: {os.strerror(error.errno or errno.EIO)}: what the disk holds is unknown, and nothing more is "
        "written; check the disk and start again",
        file=str(path),
    )


def is_full(folder: Path) -> bool:
    """Whether next to nothing can be written in a folder."""
    disk = os.statvfs(folder)
    return disk.f_bavail * disk.f_frsize < _NEXT_TO_NOTHING


def _rights_of(path: Path) -> int | None:
    try:
        return stat.S_IMODE(path.stat().st_mode)
    except FileNotFoundError:
        return None
