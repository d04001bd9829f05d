"""Zip archives of one form: the same files always make the same bytes, and any other form is refused.

Entries stand in the order given, stored and not compressed, dated 1980-01-01, without attributes, extra fields or
comments; nothing stands before, between or behind them. Every unzip reads them.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from struct import Struct
from typing import Final, NamedTuple
from zlib import crc32

from gridledger.evidence.errors import EvidenceError

MAX_FILES: Final = 60_000
MAX_BYTES: Final = 2**31
"""Of an archive."""
MAX_NAME: Final = 200
DIRECTORY: Final = "directory"
"""What a refusal names that is about no file: the list of files at the archive's end."""

_NAME: Final = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*(?:/[A-Za-z0-9_-][A-Za-z0-9._-]*)*", re.ASCII)
_LOCAL: Final = Struct("<4sHHHHHIIIHH")
_CENTRAL: Final = Struct("<4sHHHHHHIIIHHHHHII")
_END: Final = Struct("<4sHHHHIIH")
_DATE: Final = 1 << 5 | 1
"""1980-01-01, as MS-DOS writes it."""
_VERSION: Final = 20


class _Entry(NamedTuple):
    name: str
    crc: int
    size: int
    offset: int

    def local(self, crc: int) -> bytes:
        name = self.name.encode()
        head = (b"PK\x03\x04", _VERSION, 0, 0, 0, _DATE, crc, self.size, self.size, len(name), 0)
        return _LOCAL.pack(*head) + name

    def central(self) -> bytes:
        name = self.name.encode()
        head = (b"PK\x01\x02", _VERSION, _VERSION, 0, 0, 0, _DATE, self.crc, self.size, self.size, len(name))
        return _CENTRAL.pack(*head, 0, 0, 0, 0, 0, self.offset) + name


def pack(files: Mapping[str, bytes]) -> bytes:
    """The archive of these files, in the mapping's order; :class:`EvidenceError` for what it cannot hold."""
    if len(files) > MAX_FILES:
        raise EvidenceError(DIRECTORY, f"an archive has at most {MAX_FILES} files, not {len(files)}")
    parts: list[bytes] = []
    entries: list[_Entry] = []
    offset = 0
    for name, data in files.items():
        if not _is_name(name):
            raise EvidenceError(f"{name:.{MAX_NAME}}", "is no name for a file here")
        entry = _Entry(name, crc32(data), len(data), offset)
        entries.append(entry)
        local = entry.local(entry.crc)
        parts += (local, data)
        offset += len(local) + len(data)
    tail = _tail(entries, offset)
    if offset + len(tail) > MAX_BYTES:
        raise EvidenceError(DIRECTORY, f"an archive has at most {MAX_BYTES} bytes")
    return b"".join((*parts, tail))


def unpack(data: bytes) -> dict[str, bytes]:
    """The files of an archive that :func:`pack` makes, in their order.

    :class:`EvidenceError` for any other: ``field`` is the file in which it differs, or :data:`DIRECTORY`.
    """
    files: dict[str, bytes] = {}
    offset = 0
    for entry in _entries(data):
        start = offset + _LOCAL.size + len(entry.name)
        content = data[start : start + entry.size]
        crc = crc32(content)
        own = data[offset + _LOCAL.size : start].decode("ascii", "replace")
        if own != entry.name:
            raise EvidenceError(DIRECTORY, f"it has {entry.name} where the file's own head has {own!r}")
        if data[offset:start] != entry.local(crc):
            raise EvidenceError(entry.name, "its bytes are not those that its head in the archive says")
        if crc != entry.crc:
            raise EvidenceError(DIRECTORY, f"the checksum of {entry.name} is another one there")
        files[entry.name] = content
        offset = start + entry.size
    return files


def _entries(data: bytes) -> list[_Entry]:
    """What the directory says; it must be all that follows the files, and leave no room between them."""
    if not _END.size <= len(data) <= MAX_BYTES:
        raise EvidenceError(DIRECTORY, f"this is no archive of at most {MAX_BYTES} bytes")
    count, begin = (_END.unpack_from(data, len(data) - _END.size)[at] for at in (4, 6))
    entries: list[_Entry] = []
    offset, position = 0, begin
    for _ in range(min(count, MAX_FILES)):
        if position + _CENTRAL.size > len(data):
            raise EvidenceError(DIRECTORY, "it is cut short")
        head = _CENTRAL.unpack_from(data, position)
        crc, size, length = head[7], head[8], head[10]
        name = data[position + _CENTRAL.size : position + _CENTRAL.size + length].decode("ascii", "replace")
        if not _is_name(name):
            raise EvidenceError(DIRECTORY, "it has a name that no file has here")
        entries.append(_Entry(name, crc, size, offset))
        offset += _LOCAL.size + length + size
        position += _CENTRAL.size + length
    if len({entry.name for entry in entries}) != len(entries):
        raise EvidenceError(DIRECTORY, "a name comes twice")
    if data[offset:] != _tail(entries, offset):
        raise EvidenceError(DIRECTORY, "it is not as it must be: the archive was changed, or made by other means")
    return entries


def _tail(entries: list[_Entry], offset: int) -> bytes:
    directory = b"".join([entry.central() for entry in entries])
    return directory + _END.pack(b"PK\x05\x06", 0, 0, len(entries), len(entries), len(directory), offset, 0)


def _is_name(name: str) -> bool:
    return len(name) <= MAX_NAME and _NAME.fullmatch(name) is not None
