"""Checksums of what a ledger's tables hold: a CRC-32 over table, key and value stands behind each value on the disk.

Whoever reads an entry compares it: a changed bit is named and never served. Flips in LMDB's own pages are another
matter: the size of the file is compared with what its newest page table needs before it is mapped (a page that is
missing there would end the process, SIGBUS), the rest is found by ``gridledger verify``.
"""

from __future__ import annotations

import os
import struct
from pathlib import Path
from zlib import crc32

from gridledger.errors import CorruptionError
from gridledger.ledger.codec import Table

CRC_BYTES = 4
SEEDS = {table: crc32(table.value.encode()) for table in Table}
_REMEDY = "remove the ledger's folder and start the peer again: it fetches all blocks anew"

# LMDB's meta page, native byte order: 16 bytes of page header, then magic, version, address, map size, two databases of
# 48 bytes (the first one's first word is the page size), the last page's number, the transaction's.
_META = struct.Struct("=16xIIQQI44x48xQQ")
_MAGIC = 0xBEEFC0DE
_SPARE_PAGES = 16
"""A page that was taken and given back within one commit is counted, and never written."""


def sealed(seed: int, key: bytes, value: bytes) -> bytes:
    """An entry's value as it lies on the disk. ``seed`` is its table's."""
    return value + crc32(value, crc32(key, seed)).to_bytes(CRC_BYTES, "big")


def unsealed(table: Table, key: bytes, stored: bytes, folder: Path) -> bytes:
    """The value that was sealed; :class:`CorruptionError` where it is not as it was written."""
    value = stored[:-CRC_BYTES]
    if crc32(value, crc32(key, SEEDS[table])).to_bytes(CRC_BYTES, "big") != stored[-CRC_BYTES:]:
        raise CorruptionError(
            f"the entry {key[:64].hex()} of the table {table.value} in {folder} is damaged; {_REMEDY}",
            table=table.value,
            key=key.hex(),
        )
    return value


def check_size(file: Path, *, writable: bool) -> None:
    """Refuse an LMDB file that lacks pages which its newest meta page counts.

    A file that is a few pages short may be sound; where it may be written they are added, since a missing page ends the
    process that touches it and a page of zeros is an error.
    """
    with file.open("rb") as opened:
        first = opened.read(_META.size)
        if len(first) < _META.size or _META.unpack(first)[0] != _MAGIC:
            raise CorruptionError(f"{file} is no ledger's file: its head is damaged or cut off; {_REMEDY}")
        page_bytes = _META.unpack(first)[4]
        opened.seek(page_bytes)
        second = opened.read(_META.size)
        size = os.fstat(opened.fileno()).st_size  # read last: a writer at work writes pages before it counts them
    metas = [_META.unpack(one) for one in (first, second) if len(one) == _META.size]
    newest = max((meta for meta in metas if meta[0] == _MAGIC), key=lambda meta: int(meta[6]))
    needed = (newest[5] + 1) * page_bytes
    if size < needed - _SPARE_PAGES * page_bytes or size < 2 * page_bytes:
        raise CorruptionError(f"{file} has {size} bytes and needs {needed}: it was cut short; {_REMEDY}")
    if size < needed and writable:
        os.truncate(file, needed)
