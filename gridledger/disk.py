"""The disk under the files that must survive a crash: the system's calls, as a port that a test can put another disk
behind, one that tears, loses, rots and fills."""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Protocol

Piece = bytes | memoryview


class Disk(Protocol):
    """What the write-ahead log, the block store and files that are replaced whole ask of a disk.

    Every call may raise :class:`OSError`. What was written is durable after ``fsync`` (or ``fdatasync``) of the file,
    a name that was made, replaced or removed after ``sync_folder`` of its folder.
    """

    def open(self, path: Path, flags: int, mode: int = 0o666) -> int:
        """A descriptor; ``flags`` are those of :func:`os.open`. What is read of the file is what the disk has."""

    def close(self, descriptor: int) -> None:
        """Give a descriptor back."""

    def size(self, descriptor: int) -> int:
        """A file's length in bytes."""

    def read(self, path: Path) -> bytes:
        """A whole file."""

    def pread(self, descriptor: int, count: int, offset: int) -> bytes:
        """At most so many bytes from an offset on."""

    def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        """Write pieces one behind the other, all of them; at most 1000."""

    def truncate(self, descriptor: int, size: int) -> None:
        """Cut or lengthen a file."""

    def reserve(self, descriptor: int, offset: int, count: int) -> None:
        """Allocate a file's blocks ahead; they read as zeros."""

    def free_bytes(self, descriptor: int) -> int:
        """How much room the disk has that this file lies on."""

    def set_mode(self, descriptor: int, mode: int) -> None:
        """Set a file's rights, where the system has them."""

    def fsync(self, descriptor: int) -> None:
        """Make a file durable."""

    def fdatasync(self, descriptor: int) -> None:
        """Make a file's content durable."""

    def lock(self, descriptor: int) -> None:
        """Lock a file for this process until it is closed, and write its id into it; an :class:`OSError` that names the
        other process where one holds it."""

    def make_folder(self, folder: Path) -> None:
        """Make a folder and those above it, where they are missing."""

    def names(self, folder: Path) -> list[str]:
        """The names in a folder, sorted."""

    def exists(self, path: Path) -> bool:
        """Whether there is a file of this name."""

    def replace(self, old: Path, new: Path) -> None:
        """Give a file another name, in place of what had it."""

    def unlink(self, path: Path) -> None:
        """Remove a name; no error where there is none."""

    def sync_folder(self, folder: Path) -> None:
        """Make the names in a folder durable."""


class SystemDisk:
    """The real one."""

    def open(self, path: Path, flags: int, mode: int = 0o666) -> int:
        descriptor = os.open(path, flags | getattr(os, "O_CLOEXEC", 0), mode)
        _drop_cached(descriptor)
        return descriptor

    def close(self, descriptor: int) -> None:
        os.close(descriptor)

    def size(self, descriptor: int) -> int:
        return os.fstat(descriptor).st_size

    def read(self, path: Path) -> bytes:
        with path.open("rb") as file:
            _drop_cached(file.fileno())
            return file.read()

    def pread(self, descriptor: int, count: int, offset: int) -> bytes:
        return os.pread(descriptor, count, offset)

    def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        if not hasattr(os, "pwritev"):  # Windows, where the SDK replaces small files
            os.lseek(descriptor, offset, os.SEEK_SET)
            view = memoryview(b"".join(pieces))
            while view:
                view = view[os.write(descriptor, view) :]
            return
        written = os.pwritev(descriptor, pieces, offset)
        if written == sum(map(len, pieces)):
            return
        view = memoryview(b"".join(pieces))[written:]
        while view:
            offset += written
            written = os.pwrite(descriptor, view, offset)
            view = view[written:]

    def truncate(self, descriptor: int, size: int) -> None:
        os.ftruncate(descriptor, size)

    def reserve(self, descriptor: int, offset: int, count: int) -> None:
        os.posix_fallocate(descriptor, offset, count)

    def free_bytes(self, descriptor: int) -> int:
        disk = os.fstatvfs(descriptor)
        return disk.f_bavail * disk.f_frsize

    def set_mode(self, descriptor: int, mode: int) -> None:
        if hasattr(os, "fchmod"):  # rights are POSIX's
            os.fchmod(descriptor, mode)

    def fsync(self, descriptor: int) -> None:
        os.fsync(descriptor)

    def fdatasync(self, descriptor: int) -> None:
        os.fdatasync(descriptor)

    def lock(self, descriptor: int) -> None:
        import fcntl  # noqa: PLC0415 - only servers lock, and Windows has no such module

        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            holder = os.pread(descriptor, 32, 0).decode("ascii", "replace").strip()
            raise OSError(error.errno, f"process {holder or 'unknown'}") from None
        os.ftruncate(descriptor, 0)
        os.pwrite(descriptor, f"{os.getpid()}\n".encode(), 0)

    def make_folder(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)

    def names(self, folder: Path) -> list[str]:
        return sorted(path.name for path in folder.iterdir())

    def exists(self, path: Path) -> bool:
        return path.exists()

    def replace(self, old: Path, new: Path) -> None:
        old.replace(new)

    def unlink(self, path: Path) -> None:
        path.unlink(missing_ok=True)

    def sync_folder(self, folder: Path) -> None:
        if not hasattr(os, "O_DIRECTORY"):
            return  # Windows opens no folders
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
        try:
            os.fsync(descriptor)
        finally:
            os.close(descriptor)


def _drop_cached(descriptor: int) -> None:
    """Have what is read come from the disk: what a failed flush left in the page cache looks written."""
    if hasattr(os, "posix_fadvise"):
        os.posix_fadvise(descriptor, 0, 0, os.POSIX_FADV_DONTNEED)


SYSTEM_DISK = SystemDisk()
