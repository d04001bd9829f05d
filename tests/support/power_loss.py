"""Power losses for real programs: what they wrote and did not sync is lost, torn or scattered after they were killed.

A library that is loaded before the program's own (power_loss.c) writes down every write, sync and renaming of files in
one folder. After the program was killed :meth:`PowerLoss.strike` replays that on a simulated disk, takes its power, and
puts back into the folder what that disk has left.
"""

from __future__ import annotations

import os
import shutil
import struct
import subprocess
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from random import Random

from tests.simulation.world.disk import Inode, SimulatedDisk, set_size, write_to

SOURCE = Path(__file__).with_suffix(".c")
_HEAD = struct.Struct("=cHQQ")
_NOT_KEPT = frozenset(("lock.mdb", "lock"))
"""Locks mean nothing after a power loss."""


def why_not() -> str:
    """Why power losses cannot be had on this machine, "" where they can."""
    if os.uname().sysname != "Linux":
        return f"LD_PRELOAD and /proc are Linux's, this is {os.uname().sysname}"
    return "" if compiler() else "there is no C compiler (cc) to make tests/support/power_loss.c"


def compiler() -> str | None:
    """The machine's C compiler."""
    return shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")


class PowerLoss:
    """A folder whose disk can lose its power. ``work`` is a folder for the library and its notes, elsewhere. With
    ``parts`` only what lies in folders of these names."""

    def __init__(self, folder: Path, work: Path, chance: Random, *, parts: Sequence[str] = ()) -> None:
        self.folder = folder.resolve()
        self._parts = frozenset(parts)
        self.fired: list[str] = []
        self._log = work / "writes"
        self._library = work / "power_loss.so"
        self._chance = chance
        cc = compiler()
        assert cc is not None, why_not()
        subprocess.run([cc, "-shared", "-fPIC", "-O1", "-o", str(self._library), str(SOURCE), "-ldl"], check=True)
        self.begin()

    def begin(self) -> None:
        """From now on: all that is in the folder is durable."""
        self._disk = SimulatedDisk(self._chance, lambda _: None, self.fired.append)
        for path in self._files():
            self._disk.rename(str(path), Inode(bytearray(path.read_bytes()), bytearray(path.read_bytes())))
        self._disk.sync_names()
        self._log.unlink(missing_ok=True)

    def environment(self, *, at: int | None = None, syncs: bool = True) -> Mapping[str, str]:
        """What makes a program's writes be noted, for its environment; it is killed at the one of number ``at``.
        Without ``syncs`` as if it never synced."""
        return {
            "LD_PRELOAD": str(self._library),
            "POWER_LOSS_FOLDER": f"{self.folder}/",
            "POWER_LOSS_LOG": str(self._log),
            **({} if at is None else {"POWER_LOSS_AT": str(at)}),
            **({} if syncs else {"POWER_LOSS_NO_SYNC": "1"}),
        }

    def strike(self) -> None:
        """The programs were killed: take the power from the disk, and put into the folder what it has left."""
        for record in _records(self._log):
            self._replay(*record)
        self._disk.lose_power()
        left = self._disk.content()
        for path in self._files():
            if str(path) not in left:
                path.unlink()
        for name, content in left.items():
            Path(name).write_bytes(content)
        self.begin()

    def _files(self) -> list[Path]:
        return [path for path in sorted(self.folder.rglob("*")) if path.is_file() and self._is_kept(path)]

    def _is_kept(self, path: Path) -> bool:
        return path.name not in _NOT_KEPT and (not self._parts or not self._parts.isdisjoint(path.parts))

    def _replay(self, kind: bytes, path: str, offset: int, data: bytes) -> None:
        disk = self._disk
        if kind == b"r":
            old, new = path.split("\n")
            inode = disk.names.get(old)
            if inode is not None and self._is_kept(Path(new)):
                disk.rename(new, inode)
                disk.rename(old, None)
            return
        if kind != b"f" and not self._is_kept(Path(path)):
            return
        inode = disk.names.get(path)
        if kind == b"m" or (inode is None and kind in b"wWsa"):
            inode = Inode()
            disk.rename(path, inode)
        if kind == b"u":
            disk.rename(path, None)
        elif kind == b"f" and inode is None:
            disk.sync_names()  # a folder's
        elif inode is not None:
            _change(disk, inode, kind, offset, data)


def _change(disk: SimulatedDisk, inode: Inode, kind: bytes, offset: int, data: bytes) -> None:
    if kind == b"w":
        write_to(inode, offset, data)
    elif kind == b"W":  # through a descriptor that syncs each write, and only that
        write_to(inode, offset, data)
        inode.durable_write(*inode.dirty.pop())
    elif kind == b"s":
        set_size(inode, offset)
    elif kind == b"a":
        set_size(inode, max(offset, len(inode.content)))
    elif kind == b"f":
        disk.sync(inode)


def _records(log: Path) -> Iterator[tuple[bytes, str, int, bytes]]:
    data = log.read_bytes() if log.exists() else b""
    at = 0
    while at + _HEAD.size <= len(data):
        kind, named, offset, length = _HEAD.unpack_from(data, at)
        at += _HEAD.size + named + length
        yield kind, data[at - length - named : at - length].decode(), offset, data[at - length : at]
