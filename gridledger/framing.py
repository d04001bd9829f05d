"""Length-prefixed frames: how byte strings travel and lie together without being quoted or copied into a text.

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
    parts: list[bytes] = []
    for data in frames:
        parts.append(_LENGTH.pack(len(data)))
        parts.append(data)
    return b"".join(parts)


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
