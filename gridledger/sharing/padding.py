"""Data as whole groups of bytes: behind the data 0x80, then zeros (ISO/IEC 7816-4)."""

from __future__ import annotations

from typing import Final

from gridledger.sharing.errors import ShareBroken

PART_BYTES: Final = 64
"""Of data in one element."""
_MARK: Final = b"\x80"


def group_count(length: int, group: int) -> int:
    """How many groups of ``group`` bytes padded data of ``length`` bytes has."""
    return length // group + 1


def pad(data: bytes, group: int) -> bytes:
    """Data, padded to whole groups."""
    return (data + _MARK).ljust(group_count(len(data), group) * group, b"\0")


def unpad(padded: bytes, group: int) -> bytes:
    """What was padded; :class:`ShareBroken` where the padding does not hold."""
    data = padded.rstrip(b"\0")
    if not data.endswith(_MARK) or len(padded) != group_count(len(data) - 1, group) * group:
        raise ShareBroken("shares", "they do not join to what was split: the padding does not hold")
    return data[:-1]
