"""How a block's bytes lie in the store: cut into chunks of one size.

A value larger than half a page would get whole pages of its own, and a block of one 5 KB transaction waste most of a
page. Chunks that share pages waste a few percent, blocks of any size are written without looking for a contiguous run
of free pages, and one envelope is read without the rest of its block.
"""

from __future__ import annotations

from gridledger.errors import CorruptionError
from gridledger.ledger.codec import Table, pack_chunk
from gridledger.ledger.records import FRAME_BYTES
from gridledger.ledger.store import CommitBatch, Reader
from gridledger.protocol.block import MAX_ENVELOPES, Block

CHUNK_BYTES = 994
"""Four to a page of 4096 bytes: page header 16; each entry 8 of LMDB's header, 2 in the page's index, 12 of key."""

MAX_BLOCK_FRAMES = MAX_ENVELOPES + 1


def block_with_ends(block: Block) -> tuple[bytes, int, tuple[int, ...]]:
    """A block's bytes, and where in them the header and each envelope end."""
    data = block.to_bytes()
    header_end = position = FRAME_BYTES + len(block.header.text.encode())
    ends = []
    for envelope in block.envelopes:
        position += FRAME_BYTES + len(envelope)
        ends.append(position)
    return data, header_end, tuple(ends)


def write_block(batch: CommitBatch, number: int, data: bytes) -> None:
    """Add a block's bytes to a batch."""
    chunks = batch.changes[Table.BLOCKS]
    for chunk, start in enumerate(range(0, len(data), CHUNK_BYTES)):
        chunks[pack_chunk(number, chunk)] = data[start : start + CHUNK_BYTES]


def read_block(reader: Reader, number: int) -> bytes:
    """All bytes of a block that is on the ledger."""
    data = b"".join([value for _, value in reader.scan(Table.BLOCKS, pack_chunk(number, 0), pack_chunk(number + 1, 0))])
    if not data:
        raise CorruptionError(f"block {number} is missing from the store")
    return data


def read_span(reader: Reader, number: int, start: int, stop: int) -> bytes:
    """The bytes from ``start`` to ``stop`` of a block."""
    first, last = start // CHUNK_BYTES, (stop - 1) // CHUNK_BYTES
    found = reader.scan(Table.BLOCKS, pack_chunk(number, first), pack_chunk(number, last + 1))
    data = b"".join([value for _, value in found])
    offset = first * CHUNK_BYTES
    if len(data) < stop - offset:
        raise CorruptionError(f"block {number} is cut short in the store")
    return data[start - offset : stop - offset]
