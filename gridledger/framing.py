"""Length-prefixed frames, in which byte strings travel and are stored without quoting.

A frame is a 32-bit big-endian length and that many bytes.
"""

from __future__ import annotations

from collections.abc import Iterable
from struct import Struct
from typing import Protocol

from gridledger.errors import MalformedFrames

_LENGTH = Struct(">I")
MAX_FRAME_BYTES = 256 * 1024 * 1024
_SKIPPED_HEAD = 16


class ExactReader(Protocol):
    """The one method of a stream that frames are read with (asyncio's and aiohttp's readers both have it)."""

    async def readexactly(self, n: int, /) -> bytes:
        """Exactly ``n`` bytes, or :class:`asyncio.IncompleteReadError`."""


def frame(data: bytes) -> bytes:
    """One frame."""
    return _LENGTH.pack(len(data)) + data


def pack(frames: Iterable[bytes]) -> bytes:
    """Several frames, one after the other."""
    return b"".join([part for data in frames for part in (_LENGTH.pack(len(data)), data)])


def unpack(data: bytes, *, max_frames: int) -> list[bytes]:
    """The frames that fill ``data`` exactly; :class:`MalformedFrames` if not, or if more than ``max_frames``."""
    frames: list[bytes] = []
    offset, end = 0, len(data)
    while offset < end:
        if len(frames) == max_frames:
            raise MalformedFrames(f"more than {max_frames} frames")
        if offset + 4 > end:
            raise MalformedFrames("cut short inside a frame's length")
        (length,) = _LENGTH.unpack_from(data, offset)
        offset += 4
        if offset + length > end:
            raise MalformedFrames(f"a frame of {length} bytes is cut short after {end - offset}")
        frames.append(data[offset : offset + length])
        offset += length
    return frames


async def read_frame(reader: ExactReader, max_bytes: int = MAX_FRAME_BYTES) -> bytes | None:
    """Read one frame from a stream; None at a clean end. A longer frame, or an end inside one, is refused."""
    # Here, so that whoever only packs frames (a chaincode host) does not wait for asyncio.
    import asyncio  # noqa: PLC0415

    try:
        (length,) = _LENGTH.unpack(await reader.readexactly(4))
    except asyncio.IncompleteReadError as error:
        if not error.partial:
            return None
        raise MalformedFrames("the stream ended inside a frame's length") from None
    if length > max_bytes:
        raise MalformedFrames(f"a frame of {length} bytes is beyond the bound of {max_bytes}")
    try:
        return await reader.readexactly(length)
    except asyncio.IncompleteReadError as error:
        raise MalformedFrames(f"the stream ended {length - len(error.partial)} bytes before a frame's end") from None


class FrameBuffer:
    """Puts the frames of a stream together from the pieces in which it comes; holds one frame at most.

    A frame beyond ``max_bytes`` is refused, or with ``max_skipped`` read past without being held, up to that length.
    ``skipped`` then has its first bytes; whoever reads the frames takes them out.
    """

    __slots__ = ("_held", "_max_bytes", "_max_skipped", "_needed", "_pieces", "_skipping", "skipped")

    def __init__(self, max_bytes: int, *, max_skipped: int = 0) -> None:
        self._max_bytes = max_bytes
        self._max_skipped = max_skipped
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 4
        self._skipping = 0
        self.skipped: list[bytes] = []

    @property
    def held(self) -> int:
        """How many bytes of a frame that is not complete are here."""
        return self._held if self._pieces else 0

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._pieces or self._skipping)

    def feed(self, piece: bytes) -> list[bytes]:
        """The frames that are complete with this piece. Raises :class:`MalformedFrames` for one beyond the bound."""
        if self._skipping:
            past = min(self._skipping, len(piece))
            self._skipping -= past
            piece = piece[past:]
        if self._pieces:
            self._pieces.append(piece)
            self._held += len(piece)
            if self._held < self._needed:
                return []
            piece = b"".join(self._pieces)
            self._pieces = []
        frames: list[bytes] = []
        offset, end, needed = 0, len(piece), 4
        while offset + 4 <= end:
            (length,) = _LENGTH.unpack_from(piece, offset)
            needed = 4 + length if length <= self._max_bytes else self._skip(piece, offset, length)
            if offset + needed > end:
                break
            if length <= self._max_bytes:
                frames.append(piece[offset + 4 : offset + needed])
                offset += needed
            else:
                self._skipping = max(0, offset + 4 + length - end)
                offset += 4 + length
            needed = 4
        if offset < end:
            self._pieces = [piece[offset:]]
            self._held = end - offset
            self._needed = needed
        return frames

    def _skip(self, piece: bytes, offset: int, length: int) -> int:
        """Note a frame beyond the bound, once enough of it is here to say which one it is; how much that is."""
        if length > self._max_skipped:
            raise MalformedFrames(f"a frame of {length} bytes is beyond the bound of {self._max_bytes}")
        needed = 4 + min(length, _SKIPPED_HEAD)
        if offset + needed <= len(piece):
            self.skipped.append(piece[offset + 4 : offset + needed])
        return needed
