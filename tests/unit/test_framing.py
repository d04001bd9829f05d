"""Length-prefixed frames."""

from __future__ import annotations

import asyncio
import contextlib
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger import framing
from gridledger.errors import MalformedFrames


@given(st.lists(st.binary(max_size=50), max_size=8))
def test_frames_come_back_as_they_went(frames: list[bytes]) -> None:
    assert framing.unpack(framing.pack(frames), max_frames=8) == frames
    assert b"".join(map(framing.frame, frames)) == framing.pack(frames)


@given(st.lists(st.binary(max_size=9), min_size=1, max_size=4), st.data())
def test_a_cut_text_is_never_read_as_all_of_it(frames: list[bytes], data: st.DataObject) -> None:
    packed = framing.pack(frames)
    cut = packed[: data.draw(st.integers(0, len(packed) - 1))]
    with contextlib.suppress(MalformedFrames):
        assert len(framing.unpack(cut, max_frames=8)) < len(frames)


def test_more_frames_than_allowed_are_refused() -> None:
    with pytest.raises(MalformedFrames, match="more than 2"):
        framing.unpack(framing.pack([b"a", b"b", b"c"]), max_frames=2)


async def test_a_stream_is_read_frame_by_frame_to_a_clean_end() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(framing.pack([b"one", b""]))
    reader.feed_eof()
    assert [await framing.read_frame(reader) for _ in range(3)] == [b"one", b"", None]


@pytest.mark.parametrize("data", [b"\0\0", b"\0\0\0\5abc"])
async def test_a_stream_that_ends_inside_a_frame_is_refused(data: bytes) -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(data)
    reader.feed_eof()
    with pytest.raises(MalformedFrames, match="ended"):
        await framing.read_frame(reader)


async def test_an_impossible_length_is_refused_before_its_bytes_are_read() -> None:
    reader = asyncio.StreamReader()
    reader.feed_data(b"\xff\xff\xff\xff")
    with pytest.raises(MalformedFrames, match="beyond the bound"):
        await framing.read_frame(reader, max_bytes=1000)


def test_frames_come_together_from_any_pieces() -> None:
    chance = random.Random(5)
    for _ in range(200):
        frames = [chance.randbytes(chance.choice((0, 1, 3, 4, 5, 100))) for _ in range(chance.randint(0, 6))]
        data = framing.pack(frames)
        buffer, found = framing.FrameBuffer(100), list[bytes]()
        while data:
            cut = chance.randint(1, len(data))
            found += buffer.feed(data[:cut])
            data = data[cut:]
        assert found == frames


def test_a_frame_beyond_the_bound_is_refused_before_it_comes() -> None:
    with pytest.raises(MalformedFrames):
        framing.FrameBuffer(100).feed((101).to_bytes(4))


def test_frames_beyond_the_bound_are_read_past() -> None:
    """In whatever pieces they come, and never held: their first bytes are told, the others come as they went."""
    chance = random.Random(7)
    for _ in range(300):
        frames = [chance.randbytes(chance.choice((0, 3, 17, 20, 21, 40, 100))) for _ in range(chance.randint(0, 6))]
        data = framing.pack(frames)
        buffer, found, skipped = framing.FrameBuffer(20, max_skipped=100), list[bytes](), list[bytes]()
        while data:
            cut = chance.randint(1, len(data))
            found += buffer.feed(data[:cut])
            assert buffer.held <= 24
            skipped += buffer.skipped
            buffer.skipped.clear()
            data = data[cut:]
        assert found == [frame for frame in frames if len(frame) <= 20]
        assert skipped == [frame[:16] for frame in frames if len(frame) > 20]
        assert not buffer.partial
    with pytest.raises(MalformedFrames):
        framing.FrameBuffer(20, max_skipped=100).feed((101).to_bytes(4))
