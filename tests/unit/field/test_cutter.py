"""The cutter: any cutting of a stream gives the same frames, and it finds the next frame after garbage."""

from __future__ import annotations

from unittest.mock import patch

from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.field.c37118 import FrameTime, FrameType
from gridledger.field.c37118.frame import MAX_FRAME, checksum, put_frame
from gridledger.field.cutter import Cutter
from tests.support.examples import examples
from tests.support.pmu_frames import STANDARD_COMMAND, STANDARD_CONFIGURATION, STANDARD_DATA

FRAMES = (STANDARD_CONFIGURATION, STANDARD_DATA, STANDARD_COMMAND)
pieces = st.one_of(
    st.sampled_from(FRAMES),
    st.binary(max_size=40),
    st.sampled_from((b"\xaa", b"\xaa\x01", b"\xaa\x01\x00\x34", STANDARD_DATA[:-1], STANDARD_DATA[:-1] + b"x")),
)


def cut(data: bytes, places: list[int]) -> tuple[list[bytes], Cutter]:
    """The frames of the data, fed in parts."""
    cutter = Cutter(largest=600)
    found: list[bytes] = []
    for start, end in zip([0, *places], [*places, len(data)], strict=True):
        found += cutter.feed(data[start:end])
        assert cutter.waiting < 600
    return found, cutter


@settings(deadline=None, max_examples=examples(200))
@given(st.lists(pieces, max_size=12), st.data())
def test_any_cutting_gives_the_same_frames(parts: list[bytes], data: st.DataObject) -> None:
    stream = b"".join(parts)
    places = sorted(data.draw(st.lists(st.integers(0, len(stream)), max_size=20)))
    whole, one = cut(stream, [])
    found, other = cut(stream, places)
    assert found == whole
    assert (other.dropped_bytes, other.waiting) == (one.dropped_bytes, one.waiting)
    assert one.dropped_bytes + one.waiting + sum(map(len, whole)) == len(stream)


def test_frames_come_one_byte_at_a_time_and_all_at_once() -> None:
    stream = b"".join(FRAMES) * 3
    found, cutter = cut(stream, list(range(1, len(stream))))
    assert found == list(FRAMES) * 3
    assert (cutter.dropped_bytes, cutter.resynchronisations) == (0, 0)


def test_garbage_is_dropped_and_counted() -> None:
    broken = STANDARD_DATA[:20] + b"\xff" + STANDARD_DATA[21:]
    cutter = Cutter()
    assert cutter.feed(b"garbage" + STANDARD_COMMAND + broken + STANDARD_CONFIGURATION) == [
        STANDARD_COMMAND,
        STANDARD_CONFIGURATION,
    ]
    assert cutter.dropped_bytes == len("garbage") + len(broken)
    assert cutter.resynchronisations == 2


def test_a_frame_inside_a_broken_one_is_found() -> None:
    cutter = Cutter()
    assert cutter.feed(STANDARD_DATA[:30] + STANDARD_DATA) == [STANDARD_DATA]
    assert cutter.dropped_bytes == 30


def test_frames_of_other_streams_and_sizes_are_dropped() -> None:
    other = put_frame(FrameType.COMMAND, 1, 5, FrameTime(0, 0), b"\0\1")
    cutter = Cutter(idcode=7734, largest=100)
    assert cutter.feed(other + STANDARD_COMMAND + STANDARD_CONFIGURATION + STANDARD_DATA) == [
        STANDARD_COMMAND,
        STANDARD_DATA,
    ]
    assert cutter.dropped_bytes == len(other) + len(STANDARD_CONFIGURATION)


def test_a_chance_sync_waits_no_longer_than_its_size() -> None:
    cutter = Cutter(largest=1000)
    assert cutter.feed(b"\xaa\x01\xff\xff\x1e\x36" + STANDARD_COMMAND) == [STANDARD_COMMAND]
    assert cutter.feed(b"\xaa\x01\x03\xe8\x1e\x36" + STANDARD_DATA * 19) == []
    assert cutter.feed(STANDARD_DATA) == [STANDARD_DATA] * 20


def looks_like_frames(size: int, count: int) -> bytes:
    """Bytes of which every sixth begins what may be a frame of ``size`` bytes."""
    return (b"\xaa\x01" + size.to_bytes(2, "big") + b"\x00\x01") * count


def test_bytes_made_to_look_like_frames_cost_little() -> None:
    checked = 0

    def count(data: bytes | bytearray | memoryview) -> int:
        nonlocal checked
        checked += len(data)
        return checksum(data)

    garbage = looks_like_frames(MAX_FRAME, 20_000)
    with patch("gridledger.field.cutter.checksum", count):
        cutter = Cutter()
        assert cutter.feed(garbage) == []
    assert 0 < checked < 40 * (len(garbage) + MAX_FRAME)


def test_frames_are_found_after_an_attack_however_it_is_cut() -> None:
    stream = looks_like_frames(500, 3_000) + STANDARD_DATA * 20
    whole, _ = cut(stream, [])
    assert whole[-15:] == [STANDARD_DATA] * 15
    for step in (1, 7, 64, 4_096):
        places = list(range(step, len(stream), step))
        assert cut(stream, places)[0] == whole
