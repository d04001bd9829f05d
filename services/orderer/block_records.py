"""The records of a block file: how they lie there, and how one is read and checked.

The file begins with a word, the number of the format and a checksum of both. A record is CRC-32 of all that follows it,
length of the payload, the block's number, the Raft index of the entry that made it, the number of the block whose
configuration holds after it, and the payload: two frames (block, header signature), which deliver sends as they lie.
"""

from __future__ import annotations

import zlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from struct import Struct

from gridledger import framing
from gridledger.disk import Disk, Piece
from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.formats import BLOCK_STORE
from gridledger.protocol import Block, BlockHeader

MAX_RECORD_BYTES = 256 * 1024 * 1024
_RECORD = Struct(">IIQQQ")
_FILE = Struct(">8sII")
_MAGIC = b"GLBLOCKS"
_LENGTH = Struct(">I")  # a frame's
FILE_HEAD_BYTES = _FILE.size


@dataclass(frozen=True, slots=True)
class Record:
    """One record that was read, and whose checksum holds. ``end`` is where the next one begins."""

    number: int
    raft_index: int
    config_block: int
    payload: bytes
    end: int

    def header(self) -> BlockHeader:
        """The block's header."""
        data, _ = framing.unpack(self.payload, max_frames=2)
        return Block.from_bytes(data).header


def file_head() -> bytes:
    """What a block file begins with."""
    named = _FILE.pack(_MAGIC, BLOCK_STORE.number, 0)[:-4]
    return named + zlib.crc32(named).to_bytes(4, "big")


def check_file_head(data: bytes, path: Path, remedy: str) -> None:
    """That a block file is one, whole at its head, and of this version's format."""
    if data == file_head():
        return
    if len(data) == _FILE.size and data[:8] == _MAGIC and zlib.crc32(data[:-4]) == int.from_bytes(data[-4:], "big"):
        BLOCK_STORE.check(_FILE.unpack(data)[1], path)
    raise CorruptionError(f"{path} is damaged at its head, or of format 1; {remedy}", file=str(path))


def pack_record(
    number: int, block: Sequence[Piece], signature: bytes, *, raft_index: int, config_block: int
) -> tuple[list[Piece], int]:
    """A record in pieces, as it is to be written, and its size."""
    payload: list[Piece] = [_LENGTH.pack(sum(map(len, block))), *block, framing.frame(signature)]
    length = sum(map(len, payload))
    head = _RECORD.pack(0, length, number, raft_index, config_block)[4:]
    crc = zlib.crc32(head)
    for piece in payload:
        crc = zlib.crc32(piece, crc)
    return [crc.to_bytes(4, "big"), head, *payload], _RECORD.size + length


def read_record(disk: Disk, descriptor: int, offset: int) -> Record | None:
    """The record at an offset; None where there is no whole one."""
    head = disk.pread(descriptor, _RECORD.size, offset)
    if len(head) < _RECORD.size:
        return None
    crc, length, number, raft_index, config_block = _RECORD.unpack(head)
    if length > MAX_RECORD_BYTES:
        return None
    payload = disk.pread(descriptor, length, offset + _RECORD.size)
    if len(payload) < length or zlib.crc32(payload, zlib.crc32(head[4:])) != crc:
        return None
    return Record(number, raft_index, config_block, payload, offset + _RECORD.size + length)


def record_behind(disk: Disk, descriptor: int, offset: int) -> Record | None:
    """The whole record behind a damaged one at ``offset``, where that one's length still leads to it."""
    head = disk.pread(descriptor, _RECORD.size, offset)
    if len(head) < _RECORD.size:
        return None
    return read_record(disk, descriptor, offset + _RECORD.size + _RECORD.unpack(head)[1])


def header_of(record: Record) -> BlockHeader | None:
    """The header in a record, None where its payload is no block (only what was written wrong is so)."""
    try:
        return record.header()
    except GridLedgerError:
        return None
