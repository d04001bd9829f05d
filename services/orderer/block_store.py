"""One channel's blocks on one orderer: an append-only file, a file of offsets, and a mark of what was last synced.

A block's record is CRC-32, length, the Raft index of the entry that made it, the number of the block whose
configuration holds after it, and the two frames (block, header signature) that deliver sends as they lie here. Records
are written without waiting for the disk: until the Raft log is compacted it holds the same entries durably.
:meth:`BlockStore.sync` makes everything durable and moves the mark; opening looks only at what lies behind the mark,
cuts a torn tail off, and Raft applies the entries again from there.
"""

from __future__ import annotations

import os
import zlib
from collections.abc import Iterator, Sequence
from pathlib import Path
from struct import Struct

from gridledger import framing, jsontext
from gridledger.disk import SYSTEM_DISK, Disk, Piece
from gridledger.errors import CorruptionError, NotFoundError
from gridledger.files import write_atomically
from gridledger.protocol import Block, BlockHeader

_RECORD = Struct(">IIQQ")  # CRC-32 of the rest, length of the payload, Raft index, number of the config block
_OFFSET = Struct(">Q")
_LENGTH = Struct(">I")  # a frame's
_MARK = {"height": "height", "applied": "applied", "config_block": "config_block", "end": "_end"}
MAX_RECORD_BYTES = 256 * 1024 * 1024


class BlockStore:
    """Append, read and sync. One process opens a store; reads and appends come from one event loop."""

    def __init__(self, directory: Path, disk: Disk, *, blocks: int, offsets: int) -> None:
        self._directory = directory
        self._disk = disk
        self._blocks = blocks
        self._offsets = offsets
        self.height = 0
        """How many blocks the store holds."""
        self.applied = 0
        """The Raft index that the last block came from, 0 for none."""
        self.config_block = 0
        """Number of the block whose configuration holds after the last one."""
        self.last_header: BlockHeader | None = None
        self._end = 0
        self._last_read: tuple[int, bytes] | None = None

    @classmethod
    def open(cls, directory: Path, disk: Disk = SYSTEM_DISK) -> BlockStore:
        """Open or create; cuts off what a crash left half-written.

        Raises :class:`CorruptionError` for damage before the mark.
        """
        disk.make_folder(directory)
        flags = os.O_RDWR | os.O_CREAT
        store = cls(
            directory,
            disk,
            blocks=disk.open(directory / "blocks.dat", flags, 0o640),
            offsets=disk.open(directory / "blocks.idx", flags, 0o640),
        )
        store._recover()
        return store

    def close(self) -> None:
        """Close the files, without syncing them."""
        self._disk.close(self._blocks)
        self._disk.close(self._offsets)

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
        frame, signed = _LENGTH.pack(sum(map(len, block))), framing.frame(signature)
        payload: list[Piece] = [frame, *block, signed]
        length = sum(map(len, payload))
        head = _RECORD.pack(0, length, raft_index, config_block)[4:]
        crc = zlib.crc32(head)
        for piece in payload:
            crc = zlib.crc32(piece, crc)
        self._disk.pwrite(self._blocks, [crc.to_bytes(4, "big"), head, *payload], self._end)
        self._disk.pwrite(self._offsets, [_OFFSET.pack(self._end)], self.height * _OFFSET.size)
        self._advance(header, raft_index, config_block, _RECORD.size + length)

    def frames(self, start: int, *, max_bytes: int) -> Iterator[bytes]:
        """The frames of blocks from ``start`` on, at least one and at most about ``max_bytes`` in all."""
        sent = 0
        for number in range(start, self.height):
            payload = self._newest() if number == self.height - 1 else self._payload(number)
            yield payload
            sent += len(payload)
            if sent >= max_bytes:
                return

    def block(self, number: int) -> Block:
        """One block."""
        data, _ = framing.unpack(self._payload(number), max_frames=2)
        return Block.from_bytes(data)

    def sync(self) -> None:
        """Make everything durable and remember that it is. Blocks the caller for as long as the disk takes."""
        self._disk.fdatasync(self._blocks)
        self._disk.fdatasync(self._offsets)
        mark = jsontext.dumps({name: getattr(self, attribute) for name, attribute in _MARK.items()})
        write_atomically(self._directory / "synced.json", mark, mode=0o640, disk=self._disk)

    def _newest(self) -> bytes:
        """The newest block's payload, read once for all who follow the channel."""
        if self._last_read is None or self._last_read[0] != self.height - 1:
            self._last_read = self.height - 1, self._payload(self.height - 1)
        return self._last_read[1]

    def _payload(self, number: int) -> bytes:
        if not 0 <= number < self.height:
            raise NotFoundError(f"there is no block {number}; the channel's height is {self.height}")
        offset, length = self._record_at(number)
        payload = self._disk.pread(self._blocks, length, offset + _RECORD.size)
        if len(payload) != length:
            raise CorruptionError(f"block {number} in {self._directory} is cut short")
        return payload

    def _record_at(self, number: int) -> tuple[int, int]:
        (offset,) = _OFFSET.unpack(self._disk.pread(self._offsets, _OFFSET.size, number * _OFFSET.size))
        _, length, _, _ = _RECORD.unpack(self._disk.pread(self._blocks, _RECORD.size, offset))
        return offset, length

    def _advance(self, header: BlockHeader, raft_index: int, config_block: int, length: int) -> None:
        self._end += length
        self.height += 1
        self.last_header = header
        self.config_block = config_block
        self.applied = max(self.applied, raft_index)

    def _recover(self) -> None:
        mark_file = self._directory / "synced.json"
        if self._disk.exists(mark_file):
            mark = jsontext.loads(self._disk.read(mark_file))
            for name, attribute in _MARK.items():
                setattr(self, attribute, mark[name])
            if self._disk.size(self._blocks) < self._end:
                raise CorruptionError(
                    f"{self._directory}: the block file is shorter than what was made durable; restore it, or empty "
                    "the orderer's data folder and let it join again"
                )
            if self.height:
                self.last_header = self.block(self.height - 1).header
        self._scan()
        self._disk.truncate(self._blocks, self._end)
        self._disk.truncate(self._offsets, self.height * _OFFSET.size)

    def _scan(self) -> None:
        """Take in the whole records behind the mark, up to a tail of fetched blocks (Raft index 0): the snapshot that
        those were fetched for was not completed, and Raft starts it anew."""
        waiting: list[tuple[BlockHeader, int, int, int]] = []
        offset = self._end
        while (record := self._read_record(offset)) is not None:
            header, raft_index, _, length = record
            if header.number != self.height + len(waiting):
                break
            waiting.append(record)
            offset += length
            if raft_index or header.number == 0:
                for taken in waiting:
                    self._disk.pwrite(self._offsets, [_OFFSET.pack(self._end)], self.height * _OFFSET.size)
                    self._advance(*taken)
                waiting.clear()

    def _read_record(self, offset: int) -> tuple[BlockHeader, int, int, int] | None:
        head = self._disk.pread(self._blocks, _RECORD.size, offset)
        if len(head) < _RECORD.size:
            return None
        crc, length, raft_index, config_block = _RECORD.unpack(head)
        if length > MAX_RECORD_BYTES:
            return None
        payload = self._disk.pread(self._blocks, length, offset + _RECORD.size)
        if len(payload) < length or zlib.crc32(payload, zlib.crc32(head[4:])) != crc:
            return None
        data, _ = framing.unpack(payload, max_frames=2)
        return Block.from_bytes(data).header, raft_index, config_block, _RECORD.size + length
