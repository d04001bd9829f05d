"""A disk that is asked to make nothing durable: for tests of what is read back of files that are torn on purpose."""

from __future__ import annotations

from pathlib import Path

from gridledger.disk import SystemDisk


class UnsyncedDisk(SystemDisk):
    """The system's, but for the flushes, of which a sweep over all bytes of a file would make thousands."""

    def fsync(self, descriptor: int) -> None:
        """Not now."""

    def fdatasync(self, descriptor: int) -> None:
        """Not now."""

    def sync_folder(self, folder: Path) -> None:
        """Not now."""
