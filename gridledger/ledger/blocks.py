"""How a block's bytes lie in the store: in compressed segments, cut into chunks of one size.

Envelopes are JSON with base64 and hexadecimal in it, and those of one block resemble each other: deflate at its fastest
leaves 40 % of a single transaction's block and a third to a quarter of a larger one's. A segment ends with the first
envelope that brings it to ``SEGMENT_BYTES``, so that one envelope is read without the rest of a large block. Intel's
ISA-L compresses to the same zlib format as the standard library, in a quarter of its time; that one reads it.

A value larger than half a page would get whole pages of its own, and a small block waste most of one. Chunks that share
pages waste a few percent, and no commit has to look for a run of free pages.
"""

from __future__ import annotations

import zlib
from collections.abc import Iterator
from itertools import groupby
from typing import NamedTuple

from gridledger.errors import CorruptionError
from gridledger.ledger.codec import Table, chunk_segment, pack_chunk
from gridledger.ledger.metadata import FRAME_BYTES, BlockMetadata
from gridledger.ledger.store import CommitBatch, Reader
from gridledger.protocol.block import Block

CHUNK_BYTES = 650
"""Six to a page of 4096 bytes: page header 16; each entry 8 of LMDB's header, 2 in the page's index, 16 of key, 4 of
checksum."""

SEGMENT_BYTES = 32 * 1024
_LEVEL = 1

DICTIONARY = (
    b'{"kind":"block_header","channel":"shard1","number":1,"previous_hash":"","data_hash":"","timestamp":17'
    b'{"proposal":"{\\"kind\\":\\"proposal\\",\\"channel\\":\\"shard1\\",\\"chaincode\\":\\"dvs\\",\\"sequence\\":1,'
    b'\\"function\\":\\"\\",\\"args\\":[{\\"\\":\\"\\"}],\\"creator\\":\\"MIIB\\",\\"nonce\\":\\"\\",\\"time\\":17,'
    b'\\"transient\\":null}","result":"{\\"kind\\":\\"result\\",\\"tx_id\\":\\"\\",\\"channel\\":\\"shard1\\",'
    b'\\"chaincode\\":\\"dvs\\",\\"sequence\\":1,\\"reads\\":[[\\"\\",null],[\\"\\",[1,0]]],\\"ranges\\":[],'
    b'\\"writes\\":[[\\"\\",{\\"\\":\\"\\",\\"\\":}]],\\"response\\":{\\"status\\":200,\\"message\\":\\"\\",'
    b'\\"payload\\":{\\"}},\\"event\\":null}","endorsements":"[{\\"endorser\\":\\"\\",\\"signature\\":\\"MEUCIQ'
    b'"},{\\"endorser\\":\\"\\",\\"signature\\":\\"MEQCI==\\"}]","signature":"MEYCIQ=="}'
)
"""What most envelopes have in common, known to the compressor beforehand. Part of the store's format: never change it
without a new number of ``formats.LEDGER``."""


class PackedBlock(NamedTuple):
    """A block ready to be stored, and where in its bytes the header and each envelope end."""

    segments: tuple[bytes, ...]
    header_end: int
    envelope_ends: tuple[int, ...]


def pack_block(block: Block) -> PackedBlock:
    """Compress a block. Most of the time is spent outside the interpreter's lock."""
    data = block.to_bytes()
    header_end = position = FRAME_BYTES + len(block.header.text.encode())
    ends = []
    for envelope in block.envelopes:
        position += FRAME_BYTES + len(envelope)
        ends.append(position)
    segments = tuple(_compressed(data[start:stop]) for start, stop in _segments(header_end, ends))
    return PackedBlock(segments, header_end, tuple(ends))


def write_block(batch: CommitBatch, number: int, packed: PackedBlock) -> None:
    """Add a block to a batch."""
    chunks = batch.changes[Table.BLOCKS]
    for segment, data in enumerate(packed.segments):
        for chunk, start in enumerate(range(0, len(data), CHUNK_BYTES)):
            chunks[pack_chunk(number, segment, chunk)] = data[start : start + CHUNK_BYTES]


def read_block(reader: Reader, number: int) -> bytes:
    """All bytes of a block that is on the ledger."""
    found = reader.scan(Table.BLOCKS, pack_chunk(number, 0, 0), pack_chunk(number + 1, 0, 0))
    segments = [
        _expanded(b"".join([value for _, value in chunks]), number)
        for _, chunks in groupby(found, key=lambda item: chunk_segment(item[0]))
    ]
    if not segments:
        raise CorruptionError(f"block {number} is missing from the store")
    return b"".join(segments)


class EnvelopePlace(NamedTuple):
    """Where an envelope lies: in which segment, and where in its bytes it begins and ends."""

    segment: int
    begin: int
    end: int


def place_of(number: int, metadata: BlockMetadata, index: int) -> EnvelopePlace:
    """Where one envelope of a block lies."""
    begin = metadata.header_end if index == 0 else metadata.envelope_ends[index - 1]
    end = metadata.envelope_ends[index]
    for segment, (start, stop) in enumerate(_segments(metadata.header_end, metadata.envelope_ends)):
        if end <= stop:
            return EnvelopePlace(segment, begin - start + FRAME_BYTES, end - start)
    raise CorruptionError(f"block {number} has no envelope {index}")


def read_segment(reader: Reader, number: int, segment: int) -> bytes:
    """The bytes of a segment: some 32 KB, however large the block is."""
    found = reader.scan(Table.BLOCKS, pack_chunk(number, segment, 0), pack_chunk(number, segment + 1, 0))
    return _expanded(b"".join([value for _, value in found]), number)


def read_header(reader: Reader, number: int, metadata: BlockMetadata) -> bytes:
    """The text of a block's header; no envelope is expanded."""
    inflate, header, length = zlib.decompressobj(zlib.MAX_WBITS, DICTIONARY), b"", metadata.header_end
    for _, chunk in reader.scan(Table.BLOCKS, pack_chunk(number, 0, 0), pack_chunk(number, 1, 0)):
        try:
            header += inflate.decompress(inflate.unconsumed_tail + chunk, length - len(header))
        except zlib.error as error:
            raise CorruptionError(f"block {number} cannot be read from the store: {error}") from None
        if len(header) == length:
            return header[FRAME_BYTES:]
    raise CorruptionError(f"block {number} is cut short in the store")


def _segments(header_end: int, ends: tuple[int, ...] | list[int]) -> Iterator[tuple[int, int]]:
    """Where the segments of a block's bytes start and stop."""
    start = stop = 0
    for stop in (header_end, *ends):
        if stop - start >= SEGMENT_BYTES:
            yield start, stop
            start = stop
    if stop > start:
        yield start, stop


def _compressed(data: bytes) -> bytes:
    # Here, since only the committer compresses: what merely reads ledgers does without the library.
    from isal import isal_zlib as isal  # noqa: PLC0415

    deflate = isal.compressobj(
        _LEVEL, isal.DEFLATED, isal.MAX_WBITS, isal.DEF_MEM_LEVEL, isal.Z_DEFAULT_STRATEGY, DICTIONARY
    )
    return deflate.compress(data) + deflate.flush()


def _expanded(data: bytes, number: int) -> bytes:
    inflate = zlib.decompressobj(zlib.MAX_WBITS, DICTIONARY)
    try:
        expanded = inflate.decompress(data)
    except zlib.error as error:
        raise CorruptionError(f"block {number} cannot be read from the store: {error}") from None
    if not inflate.eof:
        raise CorruptionError(f"block {number} is cut short in the store")
    return expanded
