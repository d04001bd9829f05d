"""Whether any part of a share stands on a ledger, in any form in which bytes are written.

A share must leave no 16 bytes of it: raw, as hex in both cases, as base64 and base64url in every alignment; and no
group element as decimal text. What a ledger holds is searched as it is, and again behind each run of digits or letters
that may be such an encoding, decoded in every phase, as deep as encodings stand in encodings.

Two sets of hashes are compared: those of all windows of 16 bytes of the shares, and those of what is searched; what is
in both is looked at byte by byte. Windows of fewer than five different bytes are left out: headers of fragments have
runs of zeros, and so has everything else.
"""

from __future__ import annotations

import binascii
import re
from bisect import bisect_right
from collections.abc import Iterable, Iterator, Mapping
from itertools import accumulate
from typing import Any, Final

import numpy as np

from gridledger.ledger import Ledger
from gridledger.ledger.codec import Table
from gridledger.sharing import sealed
from gridledger.sharing.field import ELEMENT_BYTES

WINDOW: Final = 16
LEAST_DIFFERENT: Final = 5
DEPTH: Final = 3
"""A share as hex in JSON in base64 in an envelope would be two encodings deep."""
_LEAST_DIGITS: Final = 20
"""Shorter numbers stand everywhere: times, ids. Of 2^57 elements one is as short."""
_BATCH_BYTES: Final = 1 << 22
_HEX: Final = re.compile(rb"[0-9a-fA-F]{32,}")
_BASE64: Final = re.compile(rb"[A-Za-z0-9+/]{22,}")
_BASE64URL: Final = re.compile(rb"[A-Za-z0-9_-]{22,}")
_DIGITS: Final = re.compile(rb"[0-9]{%d,}" % _LEAST_DIGITS)
_TO_BASE64: Final = bytes.maketrans(b"-_", b"+/")


class ShareSearch:
    """Shares that are looked for, by a name for each; ``elements`` are looked for as decimal text."""

    def __init__(self, shares: Mapping[str, bytes], elements: Iterable[int] = ()) -> None:
        self._shares = dict(shares)
        found = [_hashes(share) for share in self._shares.values()]
        self._hashes = np.unique(np.concatenate(found)) if found else np.empty(0, np.uint64)
        self._texts = {text for text in (str(value).encode() for value in elements) if len(text) >= _LEAST_DIGITS}
        self._lengths = sorted({len(text) for text in self._texts})

    @property
    def windows(self) -> int:
        """How many different windows are looked for."""
        return len(self._hashes)

    @property
    def elements(self) -> int:
        """How many elements are looked for as text."""
        return len(self._texts)

    def find(self, pieces: Iterable[tuple[str, bytes]]) -> list[str]:
        """What stands in the pieces, each a name and bytes: one line for each form of each piece, none if nothing."""
        told: list[str] = []
        batch: list[tuple[str, bytes]] = []
        size = 0
        for name, data in pieces:
            for form, decoded in forms(data):
                told += [f"{name}, {form}: the element {text[:24]}... as text" for text in self._decimals(decoded)]
                batch.append((f"{name}, {form}", decoded))
                size += len(decoded)
            if size > _BATCH_BYTES:
                told += self._in_batch(batch)
                batch, size = [], 0
        return told + self._in_batch(batch)

    def _in_batch(self, batch: list[tuple[str, bytes]]) -> list[str]:
        """One look at all of a batch, one behind the other: what reaches over a border is no window of a share."""
        starts = list(accumulate((len(data) for _, data in batch), initial=0))
        whole = b"".join(data for _, data in batch)
        hashes = _hashes(whole)
        told: dict[str, str] = {}
        if not len(hashes) or not len(self._hashes):
            return []
        places = np.minimum(np.searchsorted(self._hashes, hashes), len(self._hashes) - 1)
        for at in np.flatnonzero(self._hashes[places] == hashes):
            window = whole[at : at + WINDOW]
            name = batch[bisect_right(starts, at) - 1][0]
            if name in told or len(set(window)) < LEAST_DIFFERENT:
                continue
            owner = next((owner for owner, share in self._shares.items() if window in share), None)
            if owner is not None:
                told[name] = f"{name}: {window.hex()} of {owner}"
        return list(told.values())

    def _decimals(self, data: bytes) -> Iterator[str]:
        for run in _DIGITS.finditer(data):
            digits = run.group()
            for length in self._lengths:
                for at in range(len(digits) - length + 1):
                    if digits[at : at + length] in self._texts:
                        yield digits[at : at + length].decode()


def forms(data: bytes, depth: int = DEPTH) -> Iterator[tuple[str, bytes]]:
    """``data`` as it is, and all that its runs of hex and base64 decode to, and theirs: (how, bytes)."""
    yield "raw", data
    if not depth:
        return
    seen: set[bytes] = set()
    for how, decoded in _decoded(data):
        if len(decoded) < WINDOW or decoded in seen:
            continue
        seen.add(decoded)
        for inner, found in forms(decoded, depth - 1):
            yield (how if inner == "raw" else f"{how}, {inner}"), found


def elements_of(profile: str, share: bytes) -> list[int]:
    """The group elements in a share: of ``sealed`` the key's, of ``article`` and ``shamir`` all."""
    if profile == "sealed":
        return [sealed.key_share(share)]
    if profile in ("article", "shamir"):
        starts = range(0, len(share), ELEMENT_BYTES)
        return [int.from_bytes(share[at : at + ELEMENT_BYTES], "big") for at in starts]
    return []


def pieces_of(ledger: Ledger) -> Iterator[tuple[str, bytes]]:
    """Every block as it was ordered, and every key and value of every table of the store, the world state's too."""
    for number in range(ledger.height):
        yield f"block {number}", ledger.block_bytes(number)
    with ledger.store.reader() as reader:
        for table in Table:
            if table is Table.BLOCKS:  # compressed parts of what stands above
                continue
            for key, value in reader.scan(table, b"", b"\xff" * 512):
                yield f"{table.value} {key[:60]!r}", key + b"\n" + value


def _decoded(data: bytes) -> Iterator[tuple[str, bytes]]:
    for run in _HEX.finditer(data):
        digits = run.group()
        for phase in (0, 1):
            whole = digits[phase : phase + (len(digits) - phase) // 2 * 2]
            yield "hex", binascii.unhexlify(whole)
    for how, pattern in (("base64", _BASE64), ("base64url", _BASE64URL)):
        for run in pattern.finditer(data):
            letters = run.group().translate(_TO_BASE64)
            for phase in range(4):
                yield how, _from_base64(letters[phase:])


def _from_base64(letters: bytes) -> bytes:
    """All whole bytes of unpadded base64."""
    whole = len(letters) * 6 // 8
    return binascii.a2b_base64(letters + b"A" * (-len(letters) % 4))[:whole]


def _hashes(data: bytes) -> Any:
    """A number for each window of 16 bytes; equal windows have equal ones."""
    count = len(data) - WINDOW + 1
    if count < 1:
        return np.empty(0, np.uint64)
    values = np.frombuffer(data, np.uint8).astype(np.uint64)
    words = np.zeros(len(data) - 7, np.uint64)
    for at in range(8):
        words |= values[at : at + len(words)] << np.uint64(8 * at)
    with np.errstate(over="ignore"):
        mixed = words[:count] * np.uint64(0x9E3779B97F4A7C15) ^ (words[8:] * np.uint64(0xC2B2AE3D27D4EB4F))
    return mixed ^ (mixed >> np.uint64(29))
