"""Bloom filter of names: a no is sure, a yes must be looked up.

Pinned, so that every peer makes the same bits: d = SHA-256("gridledger-bloom-1" || 0x00 || UTF-8 name); h1 and h2 are
its first two 64-bit big-endian words, h2 made odd; bits (h1 + i h2) mod m for i < k; bit j is 0x80 >> (j & 7) of byte
j >> 3.
"""

from __future__ import annotations

import math
from hashlib import sha256
from typing import Final

from gridledger.evidence.errors import EvidenceError

MAX_BITS: Final = 2**30
"""128 MiB: 100 million names at 1 %."""
MAX_HASHES: Final = 64
_DOMAIN: Final = b"gridledger-bloom-1\x00"


class Bloom:
    """A filter of ``m`` bits, 1 to 2^30, of which each name sets ``k``, 1 to 64. Memory: m / 8 bytes."""

    def __init__(self, m: int, k: int, bits: bytes | None = None) -> None:
        """``bits``: of a filter made before. :class:`EvidenceError` for sizes that cannot be."""
        check_size(m, k)
        self.m, self.k = m, k
        self._bits = bytearray(byte_count(m)) if bits is None else bytearray(bits)
        if len(self._bits) != byte_count(m):
            raise EvidenceError("bits", f"a filter of {m} bits has {byte_count(m)} bytes, not {len(self._bits)}")

    def add(self, name: str) -> None:
        """Set the bits of a name."""
        for j in positions(name, self.m, self.k):
            self._bits[j >> 3] |= 0x80 >> (j & 7)

    def __contains__(self, name: str) -> bool:
        """Whether all bits of a name are set: False says that it was never added."""
        return all(self._bits[j >> 3] & (0x80 >> (j & 7)) for j in positions(name, self.m, self.k))

    @property
    def bits(self) -> bytes:
        """All bits, m rounded up to whole bytes."""
        return bytes(self._bits)


def positions(name: str, m: int, k: int) -> list[int]:
    """The bits of a name, in the order of i; the same one may come twice."""
    digest = sha256(_DOMAIN + name.encode()).digest()
    h1 = int.from_bytes(digest[:8], "big")
    h2 = int.from_bytes(digest[8:16], "big") | 1
    return [(h1 + i * h2) % m for i in range(k)]


def byte_count(m: int) -> int:
    """How many bytes m bits take up."""
    return (m + 7) >> 3


def check_size(m: int, k: int) -> None:
    """Raise :class:`EvidenceError` where no filter has these sizes."""
    if not 1 <= m <= MAX_BITS:
        raise EvidenceError("m", f"a filter has 1 to {MAX_BITS} bits, not {m}")
    if not 1 <= k <= MAX_HASHES:
        raise EvidenceError("k", f"a name sets 1 to {MAX_HASHES} bits, not {k}")


def best_size(n: int, rate: float) -> tuple[int, int]:
    """(m, k) of the smallest filter that says yes to ``rate`` (between 0 and 1) of strangers when it has n names.

    Not for contracts: it takes logarithms, whose last bits differ between machines.
    """
    if n < 1:
        raise EvidenceError("n", f"a filter is sized for 1 name or more, not {n}")
    if not 0 < rate < 1:
        raise EvidenceError("rate", f"the rate of false yeses lies between 0 and 1, not {rate}")
    m = max(8, math.ceil(-n * math.log(rate) / math.log(2) ** 2))
    k = min(MAX_HASHES, max(1, round(m / n * math.log(2))))
    check_size(m, k)
    return m, k
