"""How keys and values lie in the store's tables.

Tables are ordered by the bytes of their keys. A state key is two bytes of namespace length, the namespace, the key, so
that the keys of one namespace lie together in the order of their UTF-8 bytes. The store takes keys of up to 511 bytes;
a longer state key is cut to its first ``CUT`` bytes and told from its neighbours by its SHA-256, with the whole key
kept beside the value. Long keys with one prefix then lie together but unordered: whoever scans sorts such a group.
"""

from __future__ import annotations

from enum import StrEnum
from functools import lru_cache
from hashlib import sha256
from struct import Struct

from gridledger.protocol.result import Version


class Table(StrEnum):
    """The tables of one ledger."""

    META = "meta"  # "head" -> Head
    STATE = "state"  # state key -> version, value
    HISTORY = "history"  # state key, version -> whether deleted; the value stands in the block
    TRANSACTIONS = "transactions"  # transaction id -> block, index, code
    BLOCKS = "blocks"  # block, segment, chunk -> part of the segment
    METADATA = "metadata"  # block -> BlockMetadata
    INDEX = "index"  # what gridledger.ledger.index has of each block; ledgers of earlier versions lack it


HEAD = b"head"
MAX_STORE_KEY = 511
_VERSION = Struct(">QI")
_NUMBER = Struct(">Q")
_CHUNK = Struct(">QII")
_TRANSACTION = Struct(">QIB")
_SHORT = Struct(">H")
CUT = MAX_STORE_KEY - _VERSION.size - 32
_LONG = CUT + 32

DELETED = b"d"
WRITTEN = b""


def whole_key(namespace: str, key: str) -> bytes:
    """The uncut state key."""
    return _prefix(namespace) + key.encode()


@lru_cache(maxsize=256)
def _prefix(namespace: str) -> bytes:
    name = namespace.encode()
    return _SHORT.pack(len(name)) + name


def cut_key(whole: bytes) -> bytes:
    """The state key as the store takes it."""
    return whole if len(whole) <= CUT else whole[:CUT] + sha256(whole).digest()


def is_cut(stored: bytes) -> bool:
    """Whether a stored state key stands for a longer one."""
    return len(stored) == _LONG


def namespace_end(prefix: bytes) -> bytes:
    """The first whole key after all that start with ``prefix`` (never 0xFF alone: lengths start with 0 to 4)."""
    number = int.from_bytes(prefix, "big") + 1
    return number.to_bytes(len(prefix), "big")


def pack_state(whole: bytes, version: Version, value: bytes) -> bytes:
    """A state entry: version, the whole key where the stored one is cut, value."""
    if len(whole) <= CUT:
        return _VERSION.pack(*version) + value
    return _VERSION.pack(*version) + _SHORT.pack(len(whole)) + whole + value


def state_version(entry: bytes) -> Version:
    """The version in a state entry."""
    return Version(*_VERSION.unpack_from(entry))


def state_value(stored: bytes, entry: bytes) -> bytes:
    """The value in a state entry."""
    if not is_cut(stored):
        return entry[_VERSION.size :]
    (length,) = _SHORT.unpack_from(entry, _VERSION.size)
    return entry[_VERSION.size + _SHORT.size + length :]


def state_whole(stored: bytes, entry: bytes) -> bytes:
    """The whole key of a state entry."""
    if not is_cut(stored):
        return stored
    start = _VERSION.size + _SHORT.size
    (length,) = _SHORT.unpack_from(entry, _VERSION.size)
    return entry[start : start + length]


def pack_version(version: Version) -> bytes:
    """A version as bytes. Later versions sort after earlier ones."""
    return _VERSION.pack(*version)


def unpack_version(data: bytes) -> Version:
    """The version at the end of a history key."""
    return Version(*_VERSION.unpack_from(data, len(data) - _VERSION.size))


def pack_number(number: int) -> bytes:
    """A block's number as a key."""
    return _NUMBER.pack(number)


def pack_chunk(number: int, segment: int, chunk: int) -> bytes:
    """The key of one chunk of a segment of a block."""
    return _CHUNK.pack(number, segment, chunk)


def chunk_segment(key: bytes) -> int:
    """The segment in a chunk's key."""
    segment: int = _CHUNK.unpack(key)[1]
    return segment


def pack_transaction(block: int, index: int, code: int) -> bytes:
    """An entry of the transaction index."""
    return _TRANSACTION.pack(block, index, code)


def unpack_transaction(entry: bytes) -> tuple[int, int, int]:
    """Block, index and code."""
    block, index, code = _TRANSACTION.unpack(entry)
    return block, index, code


def transaction_key(tx_id: str) -> bytes | None:
    """The index's key for a transaction id; None for what is no id at all."""
    try:
        key = bytes.fromhex(tx_id)
    except ValueError:
        return None
    return key if len(key) == 32 else None  # noqa: PLR2004 - SHA-256
