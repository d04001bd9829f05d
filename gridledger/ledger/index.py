"""The index of transactions by what people look for: creator, chaincode, function, code; and of blocks by their hash.

For each value of a field and each block that has it there is one entry, a posting: which of the block's transactions it
is. All postings of one value lie together, in the order of the blocks. What the index has follows from the blocks and
their codes alone, so it is rebuilt where it is missing: a ledger that an earlier version wrote has none.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from enum import Enum
from functools import lru_cache
from hashlib import sha256
from typing import NamedTuple

from gridledger import framing, jsontext
from gridledger.errors import CorruptionError, MalformedFrames
from gridledger.ledger.codec import pack_number
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.search import CONFIG, INVALID, UNREADABLE

INDEX = b"index"
"""The key of META under which :class:`IndexHead` stands."""

_PREFIX_BYTES = 16
_FINGERPRINT_BYTES = 15
_HASH_BYTES = 16
_UNREADABLE_CODES = frozenset((TxValidationCode.NIL_ENVELOPE, TxValidationCode.BAD_PAYLOAD))


class Field(Enum):
    """What is looked for. The value is the first byte of the keys."""

    MSPID = b"m"
    CREATOR = b"n"
    CHAINCODE = b"c"
    FUNCTION = b"f"
    CODE = b"v"
    KIND = b"k"


_BLOCK_HASH = b"h"
_CERTIFICATE = b"i"


class Invocation(NamedTuple):
    """Who calls what by a transaction. ``mspid`` is empty where the channel does not know the creator; ``creator`` is
    the common name, ``certificate`` the fingerprint."""

    mspid: str
    creator: str
    certificate: str
    chaincode: str
    function: str


@dataclass(frozen=True, slots=True)
class IndexHead:
    """How far the index is: it has the first ``height`` blocks. ``config_block`` holds the configuration that the next
    block is read under."""

    height: int
    config_block: int

    def to_bytes(self) -> bytes:
        """The stored form."""
        return jsontext.dumps({"height": self.height, "config_block": self.config_block})

    @classmethod
    def from_bytes(cls, data: bytes | None) -> IndexHead:
        """Read the stored form; None is that of an index that was never begun."""
        if data is None:
            return NO_INDEX
        message = jsontext.loads_trusted(data)
        return cls(message["height"], message["config_block"])


NO_INDEX = IndexHead(0, 0)


def entries_of(
    number: int, block_hash: str, codes: Sequence[TxValidationCode], invocations: Sequence[Invocation | None]
) -> dict[bytes, bytes]:
    """All that the index has of one block. ``invocations`` has None for what is no transaction of a client."""
    called: dict[Invocation, int] = {}
    masks: dict[bytes, int] = {}
    for index, (invocation, code) in enumerate(zip(invocations, codes, strict=True)):
        bit = 1 << index
        if invocation is None:
            _mark(masks, posting_prefix(Field.KIND, UNREADABLE if code in _UNREADABLE_CODES else CONFIG), bit)
        else:
            called[invocation] = called.get(invocation, 0) | bit
        if code is not TxValidationCode.VALID:
            _mark(masks, posting_prefix(Field.CODE, INVALID), bit)
            _mark(masks, posting_prefix(Field.CODE, code.name), bit)
    entries = {}
    for invocation, mask in called.items():
        key, entry, prefixes = _of_invocation(invocation)
        entries[key] = entry
        for prefix in prefixes:
            _mark(masks, prefix, mask)
    place = pack_number(number)
    for prefix, mask in masks.items():
        entries[prefix + place] = pack_mask(mask)
    entries[block_hash_key(block_hash)] = place
    return entries


def _mark(masks: dict[bytes, int], prefix: bytes, bits: int) -> None:
    masks[prefix] = masks.get(prefix, 0) | bits


@lru_cache(maxsize=4096)
def _of_invocation(invocation: Invocation) -> tuple[bytes, bytes, tuple[bytes, ...]]:
    """The entry of the creator's certificate, and the prefixes of the postings."""
    mspid, creator, certificate, chaincode, function = invocation
    named = [(Field.CREATOR, creator), (Field.CHAINCODE, chaincode), (Field.FUNCTION, function)]
    if mspid:
        named.append((Field.MSPID, mspid))
    prefixes = tuple(posting_prefix(field, value) for field, value in named)
    key = certificate_prefix(certificate) + sha256(mspid.encode()).digest()[:_FINGERPRINT_BYTES]
    return key, framing.pack((mspid.encode(), creator.encode())), prefixes


@lru_cache(maxsize=4096)
def posting_prefix(field: Field, value: str) -> bytes:
    """What the keys of all postings of a value begin with; the block's number follows."""
    prefix: bytes = field.value + sha256(value.encode()).digest()
    return prefix[:_PREFIX_BYTES]


def certificate_prefix(fingerprint: str) -> bytes:
    """What the keys begin with under which a certificate's organisations stand: one entry for each MSP id that it was
    taken for, and one for none."""
    return _CERTIFICATE + bytes.fromhex(fingerprint)[:_FINGERPRINT_BYTES]


def unpack_certificate(entry: bytes) -> tuple[str, str]:
    """MSP id, empty for none, and common name."""
    try:
        mspid, creator = framing.unpack(entry, max_frames=2)
    except (MalformedFrames, ValueError) as error:
        raise CorruptionError(f"an entry of the index cannot be read: {error}") from None
    return mspid.decode(), creator.decode()


def block_hash_key(block_hash: str) -> bytes:
    """The key under which a block's number stands, by the hash of its header."""
    return _BLOCK_HASH + bytes.fromhex(block_hash)[:_HASH_BYTES]


def is_of_certificate(key: bytes) -> bool:
    """Whether a key is that of a certificate, which several blocks may write alike; every other is one block's."""
    return key[:1] == _CERTIFICATE


def pack_mask(mask: int) -> bytes:
    """Positions in a block as bytes, the lowest first; no byte more than the last position needs."""
    return mask.to_bytes((mask.bit_length() + 7) // 8, "little")


def unpack_mask(entry: bytes) -> int:
    """Positions in a block: bit n stands for transaction n."""
    return int.from_bytes(entry, "little")


def positions_of(mask: int) -> Iterator[int]:
    """The positions in a mask, the last one first."""
    while mask:
        position = mask.bit_length() - 1
        yield position
        mask ^= 1 << position
