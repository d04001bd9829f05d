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
    """Puts the frames of a stream together from the pieces in which it comes; holds one frame at most."""

    __slots__ = ("_held", "_max_bytes", "_needed", "_pieces")

    def __init__(self, max_bytes: int) -> None:
        self._max_bytes = max_bytes
        self._pieces: list[bytes] = []
        self._held = 0
        self._needed = 4

    @property
    def partial(self) -> bool:
        """Whether a frame has begun and is not complete."""
        return bool(self._pieces)

    def feed(self, piece: bytes) -> list[bytes]:
        """The frames that are complete with this piece. Raises :class:`MalformedFrames` for one beyond the bound."""
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
            if length > self._max_bytes:
                raise MalformedFrames(f"a frame of {length} bytes is beyond the bound of {self._max_bytes}")
            needed = 4 + length
            if offset + needed > end:
                break
            frames.append(piece[offset + 4 : offset + needed])
            offset += needed
            needed = 4
        if offset < end:
            self._pieces = [piece[offset:]]
            self._held = end - offset
            self._needed = needed
        return frames
