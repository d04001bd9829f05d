"""One channel's blocks on one orderer: an append-only file, a file of offsets, and a mark of what was last synced.

Records (block_records.py) are written without waiting for the disk: until the Raft log is compacted it holds the same
entries durably. :meth:`BlockStore.sync` makes everything durable and moves the mark. Opening compares the mark with the
record that it names, looks at what lies behind it, cuts a torn tail off, and Raft applies the entries again from there.

No record is handed out whose checksum does not hold. After a failed write or flush the store does nothing more: Linux
tells of a failure once, so the next flush would succeed and the mark name what the disk has not.
"""

from __future__ import annotations

import logging
import os
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct
from typing import Any

from gridledger import framing
from gridledger.disk import SYSTEM_DISK, Disk, Piece
from gridledger.errors import CorruptionError, DiskFailed, GridLedgerError, NotFoundError, OtherFormat
from gridledger.files import disk_failure, lock_folder, write_atomically
from gridledger.formats import BLOCK_STORE
from gridledger.protocol import Block, BlockHeader
from gridledger.sealed import seal, unseal
from services.orderer.block_records import (
    FILE_HEAD_BYTES,
    Record,
    check_file_head,
    file_head,
    header_of,
    pack_record,
    read_record,
    record_behind,
)

_OFFSET = Struct(">Q")
_REMEDY = "let this orderer join anew (gridledger orderer readmit)"
_MARK_REMEDY = "remove this file: the next start reads and checks all blocks"
_log = logging.getLogger(__name__)


def check_format(directory: Path, disk: Disk = SYSTEM_DISK) -> None:
    """Raise OtherFormat where a folder holds the store of a version that marked it otherwise."""
    mark = directory / "synced.json"
    if disk.exists(mark):
        try:
            unseal(BLOCK_STORE, disk.read(mark), mark, _MARK_REMEDY)
        except OtherFormat:
            raise
        except CorruptionError:
            return  # opening the store says so


class BlockStore:
    """Append, read and sync. One process opens a store; reads and appends come from one event loop."""

    def __init__(self, directory: Path, disk: Disk) -> None:
        """Use ``open``."""
        self._directory = directory
        self._disk = disk
        self._lock = lock_folder(directory, disk)
        self._blocks = self._offsets = -1
        self._failure: GridLedgerError | None = None
        self.height = 0
        """How many blocks the store holds."""
        self.applied = 0
        """The Raft index that the last block came from, 0 for none."""
        self.config_block = 0
        """Number of the block whose configuration holds after the last one."""
        self.last_header: BlockHeader | None = None
        self._end = FILE_HEAD_BYTES
        self._last_read: tuple[int, bytes] | None = None

    @staticmethod
    def remove(directory: Path, disk: Disk = SYSTEM_DISK) -> None:
        """Remove a store that nobody has open, the mark first: what a crash leaves of it is never taken for a store."""
        if not disk.exists(directory):
            return
        for name in sorted(disk.names(directory), key=lambda name: (name != "synced.json", name)):
            disk.unlink(directory / name)
        disk.sync_folder(directory)

    @classmethod
    def open(cls, directory: Path, disk: Disk = SYSTEM_DISK) -> BlockStore:
        """Open or create; cuts off what a crash left half-written.

        Raises :class:`CorruptionError` for damage before the mark, OtherFormat for another version's store, and
        ConflictError where another process has it open.
        """
        disk.make_folder(directory)
        store = cls(directory, disk)
        try:
            store._open_files()
            store._recover()
        except BaseException:
            store.close()
            raise
        return store

    def close(self) -> None:
        """Close the files, without syncing them, and give the lock back."""
        for descriptor in (self._blocks, self._offsets, self._lock):
            if descriptor >= 0:
                self._disk.close(descriptor)
        self._blocks = self._offsets = self._lock = -1

    @property
    def failed(self) -> bool:
        """Whether a write or a flush has failed: nothing more is written."""
        return self._failure is not None

    def append(
        self, header: BlockHeader, block: bytes, signature: bytes, *, raft_index: int, config_block: int
    ) -> None:
        """Add the next block. ``raft_index`` is 0 for a block fetched from another orderer ahead of its snapshot."""
        self.append_pieces(header, (block,), signature, raft_index=raft_index, config_block=config_block)

    def append_pieces(
        self, header: BlockHeader, block: Sequence[Piece], signature: bytes, *, raft_index: int, config_block: int
    ) -> None:
        """Add the next block, whose bytes lie in pieces. They are written as they lie: a block is large."""
        assert header.number == self.height, "blocks come in order"  # noqa: S101 - the chain's own invariant
        self._check_usable()
        pieces, size = pack_record(header.number, block, signature, raft_index=raft_index, config_block=config_block)
        try:
            self._disk.pwrite(self._blocks, pieces, self._end)
            self._write_offset()
        except OSError as error:
            raise self._note_failure(error) from error
        self._advance(header, raft_index, config_block, self._end + size)

    def frames(self, start: int, *, max_bytes: int) -> Iterator[bytes]:
        """The frames of blocks from ``start`` on, at least one and at most about ``max_bytes`` in all."""
        sent = 0
        for number in range(start, self.height):
            payload = self._newest() if number == self.height - 1 else self.record(number).payload
            yield payload
            sent += len(payload)
            if sent >= max_bytes:
                return

    def block(self, number: int) -> Block:
        """One block."""
        data, _ = framing.unpack(self.record(number).payload, max_frames=2)
        return Block.from_bytes(data)

    def record(self, number: int) -> Record:
        """One block's record; :class:`CorruptionError` where its checksum does not hold."""
        if not 0 <= number < self.height:
            raise NotFoundError(f"there is no block {number}; the channel's height is {self.height}")
        data = self._disk.pread(self._offsets, _OFFSET.size, number * _OFFSET.size)
        offset = int.from_bytes(data, "big") if len(data) == _OFFSET.size else 0
        record = read_record(self._disk, self._blocks, offset) if offset else None
        if record is None or record.number != number:
            raise CorruptionError(
                f"block {number} in {self._directory} is damaged, or its place in blocks.idx is: remove blocks.idx and "
                f"start again; where that does not help, {_REMEDY}",
                block=number,
            )
        return record

    def cut_fetched(self) -> int:
        """Cut off the blocks that were fetched ahead of a snapshot that is not complete; how many they were."""
        height = self.height
        while height > 1 and not self.record(height - 1).raft_index:
            height -= 1
        gone = self.height - height
        if gone:
            last = self.record(height - 1)
            self.height, self._end, self.config_block = height, last.end, last.config_block
            self.last_header, self._last_read = last.header(), None
            self.sync()  # the mark must name no block that is gone
            self._truncate()
        return gone

    def sync(self) -> None:
        """Make everything durable and remember that it is. Blocks the caller for as long as the disk takes."""
        self._check_usable()
        mark = self._mark()
        try:
            self._disk.fdatasync(self._blocks)
            self._disk.fdatasync(self._offsets)
            write_atomically(self._mark_file, seal(BLOCK_STORE, mark), mode=0o640, disk=self._disk)
        except OSError as error:
            raise self._note_failure(error) from error

    @property
    def _mark_file(self) -> Path:
        return self._directory / "synced.json"

    def _mark(self) -> dict[str, Any]:
        last = self.last_header
        return {
            "height": self.height,
            "hash": last.hash if last else "",
            "applied": self.applied,
            "config_block": self.config_block,
            "end": self._end,
        }

    def _check_usable(self) -> None:
        if self._failure is not None:
            raise DiskFailed(f"nothing more is written to {self._directory} after a failure: {self._failure.message}")

    def _note_failure(self, error: OSError) -> GridLedgerError:
        self._failure = disk_failure(error, self._directory / "blocks.dat")
        return self._failure

    def _newest(self) -> bytes:
        """The newest block's payload, read once for all who follow the channel."""
        if self._last_read is None or self._last_read[0] != self.height - 1:
            self._last_read = self.height - 1, self.record(self.height - 1).payload
        return self._last_read[1]

    def _write_offset(self) -> None:
        """Note where the next record lies."""
        self._disk.pwrite(self._offsets, [_OFFSET.pack(self._end)], self.height * _OFFSET.size)

    def _advance(self, header: BlockHeader, raft_index: int, config_block: int, end: int) -> None:
        self._end = end
        self.height += 1
        self.last_header = header
        self.config_block = config_block
        self.applied = max(self.applied, raft_index)

    # opening

    def _open_files(self) -> None:
        path = self._directory / "blocks.dat"
        if not self._disk.exists(path):
            write_atomically(path, file_head(), mode=0o640, disk=self._disk)
        self._blocks = self._disk.open(path, os.O_RDWR)
        self._offsets = self._disk.open(self._directory / "blocks.idx", os.O_RDWR | os.O_CREAT, 0o640)
        self._disk.sync_folder(self._directory)

    def _recover(self) -> None:
        if self._disk.exists(self._mark_file):
            mark = unseal(BLOCK_STORE, self._disk.read(self._mark_file), self._mark_file, _MARK_REMEDY)
            check_file_head(self._disk.pread(self._blocks, FILE_HEAD_BYTES, 0), self._directory / "blocks.dat", _REMEDY)
            self._take_mark(mark)
            self._take_in_what_follows()
        else:
            check_file_head(self._disk.pread(self._blocks, FILE_HEAD_BYTES, 0), self._directory / "blocks.dat", _REMEDY)
            self._take_in_what_follows()
            self._refuse_whole_blocks_behind()
        self._truncate()

    def _truncate(self) -> None:
        self._disk.truncate(self._blocks, self._end)
        self._disk.truncate(self._offsets, self.height * _OFFSET.size)

    def _take_mark(self, mark: dict[str, Any]) -> None:
        """Believe the mark where it agrees with the record that it names."""
        if self._disk.size(self._blocks) < mark["end"]:
            raise CorruptionError(f"{self._directory}: the block file is shorter than what was made durable; {_REMEDY}")
        if self._disk.size(self._offsets) < mark["height"] * _OFFSET.size:
            self._rebuild_offsets(mark["height"])
        self.height, self._end = mark["height"], mark["end"]
        self.applied, self.config_block = mark["applied"], mark["config_block"]
        if not self.height:
            return
        last = self.record(self.height - 1)
        self.last_header = last.header()
        found = last.end, last.config_block, self.last_header.hash
        if found != (mark["end"], mark["config_block"], mark["hash"]) or last.raft_index > self.applied:
            raise CorruptionError(
                f"{self._mark_file} names another block {self.height - 1} than the block file has; {_MARK_REMEDY}"
            )

    def _rebuild_offsets(self, height: int) -> None:
        """Write the file of offsets anew, from the blocks: it is missing, or cut short."""
        _log.warning("%s/blocks.idx is missing or short and is made anew from the blocks", self._directory)
        offset = FILE_HEAD_BYTES
        for number in range(height):
            record = read_record(self._disk, self._blocks, offset)
            if record is None or record.number != number:
                raise CorruptionError(f"block {number} in {self._directory} is damaged; {_REMEDY}", block=number)
            self._disk.pwrite(self._offsets, [_OFFSET.pack(offset)], number * _OFFSET.size)
            offset = record.end

    def _take_in_what_follows(self) -> None:
        """Take in the whole records behind the mark, up to a tail of fetched blocks (Raft index 0): the snapshot that
        those were fetched for was not completed, and Raft starts it anew."""
        waiting: list[tuple[BlockHeader, Record]] = []
        previous, offset = self.last_header, self._end
        while (record := read_record(self._disk, self._blocks, offset)) is not None:
            header = header_of(record)
            if header is None or record.number != self.height + len(waiting) or header.number != record.number:
                break
            if previous is not None and header.previous_hash != previous.hash:
                break
            waiting.append((header, record))
            previous, offset = header, record.end
            if record.raft_index or record.number == 0:
                for taken, of_it in waiting:
                    self._write_offset()
                    self._advance(taken, of_it.raft_index, of_it.config_block, of_it.end)
                waiting.clear()

    def _refuse_whole_blocks_behind(self) -> None:
        """Without a mark nothing says where the durable part ends: then a damaged record with more behind it than a
        crash can leave is not cut off."""
        following = record_behind(self._disk, self._blocks, self._end)
        if following is not None and following.raft_index:
            raise CorruptionError(
                f"block {self.height} in {self._directory} is damaged, and whole ones follow; {_REMEDY}",
                block=self.height,
            )
