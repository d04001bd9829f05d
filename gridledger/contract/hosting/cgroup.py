"""A control group of its own for each chaincode host, where the system lets the peer make one.

That takes version 2 of control groups, and that the peer's group, or the one around it, is delegated to it with the
memory controller enabled (systemd: ``Delegate=memory pids`` and ``DelegateSubgroup=peer``). It bounds what limits of a
process do not count, page tables above all; the process's own limits hold with and without it.
"""

from __future__ import annotations

import os
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Final

_ROOT: Final = Path("/sys/fs/cgroup")
_SPARE_BYTES: Final = 256 * 1024 * 1024
"""Room for the interpreter's and LMDB's pages, which are taken back before anything fails."""


class HostGroup:
    """The group of one host. Made by :meth:`of`."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    @classmethod
    def of(cls, pid: int, memory_bytes: int) -> HostGroup | None:
        """Put a host into a new group that bounds its memory and processes; None where no group can be made."""
        parent = delegated(_ROOT, Path("/proc/self/cgroup"))
        if parent is None:
            return None
        group = cls(parent / f"chaincode-{os.getpid()}-{pid}")
        try:
            group.folder.mkdir()
            (group.folder / "memory.max").write_text(str(2 * memory_bytes + _SPARE_BYTES))
            with suppress(OSError):  # no such controller, or no swap
                (group.folder / "pids.max").write_text("1")
                (group.folder / "memory.swap.max").write_text("0")
            (group.folder / "cgroup.procs").write_text(str(pid))
        except OSError:
            group.remove()
            return None
        return group

    def remove(self) -> None:
        """Remove the group, once its host has gone."""
        with suppress(OSError):
            self.folder.rmdir()


@cache
def delegated(root: Path, own: Path) -> Path | None:
    """The group in which this process may make others with bounded memory: its own, or the one around it."""
    try:
        line = next(line for line in own.read_text().splitlines() if line.startswith("0::/"))
    except (OSError, StopIteration):
        return None
    group = root / line.removeprefix("0::/")
    for folder in (group, group.parent):
        try:
            controllers = (folder / "cgroup.subtree_control").read_text().split()
        except OSError:
            continue
        if "memory" in controllers and os.access(folder, os.W_OK) and os.access(folder / "cgroup.procs", os.W_OK):
            return folder
    return None
