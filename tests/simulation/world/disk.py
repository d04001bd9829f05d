"""A simulated disk: what was not synced is lost, kept or torn at a power loss; it can fill, fail a sync and rot.

It behaves as Linux with a journaling file system does: names change in order, and a folder's sync makes all changes of
names before it durable; a file's content is durable after its sync, and before that any part of it may be, by sectors
of 512 bytes. After a sync that failed the cache still shows what was written, and the disk will never have it.
"""

from __future__ import annotations

import errno
import os
import zlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from gridledger.disk import Piece

SECTOR = 512


class PowerLost(BaseException):
    """The machine went off in this call, or before it."""


@dataclass
class Inode:
    """A file: as programs see it, as the disk has it, and what lies between the two.

    ``dirty`` are writes (offset, bytes) and lengths (size, None) in order.
    """

    content: bytearray = field(default_factory=bytearray)
    durable: bytearray = field(default_factory=bytearray)
    dirty: list[tuple[int, bytes | None]] = field(default_factory=list)
    locked: bool = False

    def durable_write(self, offset: int, data: bytes | None) -> None:
        """Do a write to what the disk has."""
        _change(self.durable, offset, data)


class SimulatedDisk:
    """One machine's disk. ``mount`` gives the programs of one life their view of it, as ``gridledger.disk.Disk``."""

    def __init__(self, chance: Random, note: Callable[[str], None], fired: Callable[[str], None]) -> None:
        self._chance = chance
        self.note = note
        self.fired = fired
        self.names: dict[str, Inode] = {}
        self._durable_names: dict[str, Inode] = {}
        self._renamings: list[tuple[str, Inode | None]] = []
        self.full = False
        self.fail_syncs = 0
        """How many of the next syncs fail."""

    def mount(self, on_power_loss: Callable[[], None]) -> Mount:
        """The disk as one life of its machine has it."""
        return Mount(self, on_power_loss)

    # what a mounted disk does

    def rename(self, name: str, inode: Inode | None) -> None:
        """Give a name to a file, or take it away."""
        if inode is None:
            self.names.pop(name, None)
        else:
            self.names[name] = inode
        self._renamings.append((name, inode))

    def sync_names(self) -> None:
        """Make all names durable."""
        self._settle_names(len(self._renamings))

    def _settle_names(self, count: int) -> None:
        for name, inode in self._renamings[:count]:
            if inode is None:
                self._durable_names.pop(name, None)
            else:
                self._durable_names[name] = inode
        del self._renamings[:count]

    def sync(self, inode: Inode) -> None:
        """Make a file durable, or fail to: then what was written is lost, and nobody is told again."""
        dirty, inode.dirty = inode.dirty, []
        if self.fail_syncs:
            self.fail_syncs -= 1
            self.fired("failed sync")
            raise OSError(errno.EIO, "Input/output error")
        for offset, data in dirty:
            _change(inode.durable, offset, data)

    def content(self) -> dict[str, bytes]:
        """Every file, as programs see it."""
        return {name: bytes(inode.content) for name, inode in self.names.items()}

    # what happens to it

    def release(self) -> None:
        """Its programs were killed: what they wrote stays, what they held is free."""
        for inode in self.names.values():
            inode.locked = False

    def lose_power(self) -> None:
        """Only what was made durable is sure to be there afterwards."""
        chance = self._chance
        kept = chance.choice((0, len(self._renamings), chance.randint(0, len(self._renamings))))
        self._settle_names(kept)
        self._renamings.clear()
        for inode in {id(item): item for item in (*self.names.values(), *self._durable_names.values())}.values():
            if inode.dirty:
                self._settle(inode, chance.choice(("lost", "kept", "torn", "scattered")))
        for inode in self._durable_names.values():
            inode.content = bytearray(inode.durable)
            inode.dirty.clear()
            inode.locked = False
        self.names = dict(self._durable_names)

    def _settle(self, inode: Inode, way: str) -> None:
        """Which of a file's unsynced writes the disk has: none, all, up to a place in one of them, or any sectors."""
        dirty, inode.dirty = inode.dirty, []
        if way == "lost":
            self.fired("unsynced writes lost")
        elif way == "kept":
            for offset, data in dirty:
                _change(inode.durable, offset, data)
        elif way == "torn":
            last = self._chance.randrange(len(dirty))
            for offset, data in dirty[:last]:
                _change(inode.durable, offset, data)
            offset, data = dirty[last]
            if data:
                _change(inode.durable, offset, data[: self._chance.randrange(len(data))])
                self.fired("torn write")
        else:
            for offset, data in dirty:
                self._scatter(inode, offset, data)
            self.fired("sectors out of order")

    def _scatter(self, inode: Inode, offset: int, data: bytes | None) -> None:
        if data is None:
            if self._chance.random() < 0.5:
                _change(inode.durable, offset, None)
            return
        start = 0
        while start < len(data):
            end = min(len(data), start + SECTOR - (offset + start) % SECTOR)
            if self._chance.random() < 0.5:
                _change(inode.durable, offset + start, data[start:end])
            start = end

    def rot(self, name: str, offset: int) -> None:
        """Flip one bit of a file, in what the disk has and in what programs see."""
        inode = self.names[name]
        bit = 1 << self._chance.randrange(8)
        for content in (inode.content, inode.durable):
            if offset < len(content):
                content[offset] ^= bit
        self.note(f"bit {bit} flipped in {Path(name).name} at {offset}")

    def remove(self, name: str) -> None:
        """Somebody removes a file, for good."""
        self.names.pop(name, None)
        self._durable_names.pop(name, None)

    def wipe(self) -> None:
        """Put an empty disk in its place."""
        self.names.clear()
        self._durable_names.clear()
        self._renamings.clear()
        self.full, self.fail_syncs = False, 0

    def digest(self) -> int:
        """A checksum of all that programs see."""
        crc = 0
        for name in sorted(self.names):
            crc = zlib.crc32(self.names[name].content, zlib.crc32(name.encode(), crc))
        return crc


class Mount:
    """A disk as the programs of one life see it (``gridledger.disk.Disk``). Dead once its machine is off.

    ``lose_power_at`` makes the machine lose power in the call of this number, counted from now.
    """

    def __init__(self, disk: SimulatedDisk, on_power_loss: Callable[[], None]) -> None:
        self.disk = disk
        self.dead = False
        self.lose_power_at: int | None = None
        self._on_power_loss = on_power_loss
        self._open: dict[int, Inode] = {}
        self._next = 3

    def begin(self, what: str) -> None:
        """Every call that changes the disk begins here."""
        if self.dead:
            raise PowerLost
        if self.lose_power_at is not None:
            self.lose_power_at -= 1
            if self.lose_power_at < 0:
                self.dead = True
                self.disk.note(f"power lost in {what}")
                self.disk.fired("power loss in a disk call")
                self._on_power_loss()
                raise PowerLost

    def open(self, path: Path, flags: int, mode: int = 0o666) -> int:
        del mode
        self.begin("open")
        name = str(path)
        inode = self.disk.names.get(name)
        if inode is None:
            if not flags & os.O_CREAT:
                raise FileNotFoundError(errno.ENOENT, "No such file or directory", name)
            self._require_room()
            inode = Inode()
            self.disk.rename(name, inode)
        elif flags & os.O_EXCL:
            raise FileExistsError(errno.EEXIST, "File exists", name)
        elif flags & os.O_TRUNC:
            set_size(inode, 0)
        _drop_cached(inode)
        self._next += 1
        self._open[self._next] = inode
        return self._next

    def close(self, descriptor: int) -> None:
        self._open.pop(descriptor).locked = False

    def size(self, descriptor: int) -> int:
        return len(self._open[descriptor].content)

    def read(self, path: Path) -> bytes:
        inode = self.disk.names.get(str(path))
        if inode is None:
            raise FileNotFoundError(errno.ENOENT, "No such file or directory", str(path))
        _drop_cached(inode)
        return bytes(inode.content)

    def pread(self, descriptor: int, count: int, offset: int) -> bytes:
        if self.dead:
            raise PowerLost
        return bytes(self._open[descriptor].content[offset : offset + count])

    def pwrite(self, descriptor: int, pieces: Sequence[Piece], offset: int) -> None:
        inode, data = self._open[descriptor], b"".join(pieces)
        if self.disk.full and offset + len(data) > len(inode.content):
            room = max(0, len(inode.content) - offset)
            write_to(inode, offset, data[:room])
            self._require_room()
        if self.lose_power_at == 0:  # some of it may be on its way to the disk
            write_to(inode, offset, data)
        self.begin("write")
        write_to(inode, offset, data)

    def truncate(self, descriptor: int, size: int) -> None:
        self.begin("truncate")
        set_size(self._open[descriptor], size)

    def reserve(self, descriptor: int, offset: int, count: int) -> None:
        self.begin("reserve")
        inode = self._open[descriptor]
        set_size(inode, max(len(inode.content), offset + count))

    def free_bytes(self, descriptor: int) -> int:
        del descriptor
        return 0 if self.disk.full else 1 << 40

    def set_mode(self, descriptor: int, mode: int) -> None:
        del descriptor, mode

    def fsync(self, descriptor: int) -> None:
        self.begin("fsync")
        self.disk.sync(self._open[descriptor])

    def fdatasync(self, descriptor: int) -> None:
        self.begin("fdatasync")
        self.disk.sync(self._open[descriptor])

    def lock(self, descriptor: int) -> None:
        inode = self._open[descriptor]
        if inode.locked:
            raise BlockingIOError(errno.EAGAIN, "Resource temporarily unavailable")
        inode.locked = True

    def make_folder(self, folder: Path) -> None:
        del folder  # a folder is there as soon as a file is in it

    def names(self, folder: Path) -> list[str]:
        return sorted(Path(name).name for name in self.disk.names if Path(name).parent == folder)

    def exists(self, path: Path) -> bool:
        return str(path) in self.disk.names

    def replace(self, old: Path, new: Path) -> None:
        self.begin("rename")
        inode = self.disk.names[str(old)]
        self.disk.rename(str(new), inode)
        self.disk.rename(str(old), None)

    def unlink(self, path: Path) -> None:
        self.begin("unlink")
        if str(path) in self.disk.names:
            self.disk.rename(str(path), None)

    def sync_folder(self, folder: Path) -> None:
        del folder
        self.begin("sync of a folder")
        self.disk.sync_names()

    def _require_room(self) -> None:
        if self.disk.full:
            self.disk.fired("full disk")
            raise OSError(errno.ENOSPC, "No space left on device")


def _change(content: bytearray, offset: int, data: bytes | None) -> None:
    """Do a write, or set the length (data None)."""
    if data is None:
        del content[offset:]
        content.extend(bytes(offset - len(content)))
        return
    if not data:
        return
    if len(content) < offset:
        content.extend(bytes(offset - len(content)))
    content[offset : offset + len(data)] = data


def _drop_cached(inode: Inode) -> None:
    """Read from the disk what is not waiting to be written: after a failed sync that is less than the cache shows."""
    inode.content = bytearray(inode.durable)
    for offset, data in inode.dirty:
        _change(inode.content, offset, data)


def write_to(inode: Inode, offset: int, data: bytes) -> None:
    """Write to a file; not durable yet."""
    if data:
        _change(inode.content, offset, data)
        inode.dirty.append((offset, data))


def set_size(inode: Inode, size: int) -> None:
    """Cut or lengthen a file; not durable yet."""
    if size != len(inode.content):
        _change(inode.content, size, None)
        inode.dirty.append((size, None))
