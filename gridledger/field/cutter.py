"""Cuts a stream of bytes into frames of C37.118, however it comes.

A frame begins with SYNC and ends with a CHK that holds. After bytes that are no frame the cutter looks for the next
one byte by byte, and counts what it dropped. What it gives depends on the bytes only, not on how they were cut.
"""

from __future__ import annotations

from typing import Final

from gridledger.field.c37118.frame import (
    CHK_BYTES,
    MAX_FRAME,
    MIN_FRAME,
    SYNC,
    checksum,
    is_sync,
)

_LEAD: Final = 6
"""SYNC, FRAMESIZE and IDCODE."""
_SYNC_BYTE: Final = bytes((SYNC,))
_CHECKS: Final = 32
"""By how many checksums a byte may be read on average, so that bytes made to look like frames cost little."""


class Cutter:
    """Takes bytes, gives frames. ``idcode``: frames of another stream are dropped. It keeps under ``largest`` bytes.

    A chance SYNC in garbage names a size, for which the cutter waits; ``idcode`` and ``largest`` make that rare and
    short. Where most bytes are a SYNC with a size, and no frame, some are dropped unchecked, lest each be read by the
    checksums of thousands.
    """

    def __init__(self, *, idcode: int | None = None, largest: int = MAX_FRAME) -> None:
        self.dropped_bytes = 0
        self.resynchronisations = 0
        """How often bytes had to be dropped between two frames."""
        self._idcode = idcode
        self._largest = self._most = largest
        self._buffer = bytearray()
        self._most_to_check = _CHECKS * largest
        self._to_check = self._most_to_check
        self._lost = False

    def bound(self, largest: int) -> None:
        """From now on no frame is longer than ``largest`` bytes, nor than what the cutter was made with."""
        self._largest = min(largest, self._most)

    @property
    def waiting(self) -> int:
        """Bytes that are kept until more come."""
        return len(self._buffer)

    def feed(self, data: bytes) -> list[bytes]:
        """The frames that these bytes complete."""
        buffer = self._buffer
        buffer += data
        frames: list[bytes] = []
        at = 0
        while (end := self._frame_at(at)) is not None:
            after = end or self._skip(at)
            if end:
                frames.append(bytes(buffer[at:end]))
                self._lost = False
            self._to_check = min(self._most_to_check, self._to_check + _CHECKS * (after - at))
            at = after
        del buffer[:at]
        return frames

    def _frame_at(self, at: int) -> int | None:
        """Where the frame that begins at ``at`` ends; 0 where none begins; None where more bytes must come."""
        buffer = self._buffer
        there = len(buffer) - at
        if there and buffer[at] != SYNC:
            return 0
        if there > 1 and not is_sync(buffer[at + 1]):
            return 0
        if there < _LEAD:
            return None
        size = buffer[at + 2] << 8 | buffer[at + 3]
        if not MIN_FRAME <= size <= self._largest:
            return 0
        if self._idcode is not None and buffer[at + 4] << 8 | buffer[at + 5] != self._idcode:
            return 0
        if size > self._to_check:
            return 0
        if there < size:
            return None
        self._to_check -= size
        end = at + size
        with memoryview(buffer) as view:
            holds = checksum(view[at : end - CHK_BYTES]) == buffer[end - 2] << 8 | buffer[end - 1]
        return end if holds else 0

    def _skip(self, at: int) -> int:
        """The next place where a SYNC may begin."""
        found = self._buffer.find(_SYNC_BYTE, at + 1)
        after = len(self._buffer) if found < 0 else found
        self.dropped_bytes += after - at
        self.resynchronisations += not self._lost
        self._lost = True
        return after
