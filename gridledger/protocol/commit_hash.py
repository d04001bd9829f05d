"""The commit hash: one number that tells whether two peers hold the same ledger.

    commit_hash(-1) = 32 zero bytes
    commit_hash(n)  = SHA-256( frame(commit_hash(n-1))        32 bytes
                             + frame(n)                        8 bytes, big-endian
                             + frame(header hash of block n)  32 bytes
                             + frame(codes)                    one byte for each transaction, in order
                             + for each key that the block changed:
                                   frame(namespace)            UTF-8
                                 + frame(key)                  UTF-8
                                 + frame(0x00 + value)         the value's JSON text; for a deletion frame(0x01) )

``frame(x)`` is the length of x as 32-bit big-endian number, then x. A key that several transactions of the block wrote
stands once, with what the last valid one left; the keys stand in ascending order of (namespace, key), each compared by
its UTF-8 bytes. A deletion counts whether or not the key existed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from hashlib import sha256
from struct import Struct

from gridledger import framing

_NUMBER = Struct(">Q")
_PUT, _DELETE = b"\x00", b"\x01"


def commit_hash(
    previous: str,
    number: int,
    header_hash: str,
    codes: Sequence[int],
    updates: Mapping[tuple[str, str], bytes | None],
) -> str:
    """The commit hash after block ``number``. Hashes are hexadecimal; ``updates`` maps (namespace, key) to the value's
    text, None for a deletion."""
    frames = [bytes.fromhex(previous), _NUMBER.pack(number), bytes.fromhex(header_hash), bytes(codes)]
    encoded = sorted(
        [(namespace.encode(), key.encode(), value) for (namespace, key), value in updates.items()], key=_by_name
    )
    for namespace, key, value in encoded:
        frames += (namespace, key, _DELETE if value is None else _PUT + value)
    return sha256(framing.pack(frames)).hexdigest()


def _by_name(item: tuple[bytes, bytes, bytes | None]) -> tuple[bytes, bytes]:
    return item[:2]
