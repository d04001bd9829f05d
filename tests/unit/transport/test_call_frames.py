"""The frames of calls: what travels, and what is refused."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger import jsontext
from gridledger.errors import BusyError, MalformedFrames
from gridledger.framing import FrameBuffer
from gridledger.transport.call_frames import (
    HEARTBEAT,
    MAX_NUMBER,
    read_answer,
    read_call,
    write_answer,
    write_call,
)


def frames(data: bytes) -> list[bytes]:
    return list(FrameBuffer(1000).feed(data))


@given(st.integers(0, MAX_NUMBER), st.integers(0, 255), st.binary(max_size=100))
def test_calls_and_answers_are_read_as_written(number: int, kind: int, body: bytes) -> None:
    (frame,) = frames(write_call(number, kind, body))
    assert read_call(frame) == (number, kind, body)
    (frame,) = frames(write_answer(number, body))
    assert read_answer(frame) == (number, 200, body)


def test_an_error_travels_in_its_wire_form() -> None:
    (frame,) = frames(write_answer(7, BusyError("full", retry_after_s=0.5)))
    number, status, payload = read_answer(frame)
    assert (number, status) == (7, 429)
    assert jsontext.loads(payload) == BusyError("full", retry_after_s=0.5).to_dict()


def test_a_heartbeat_is_an_empty_frame_between_others() -> None:
    assert frames(write_call(1, 2, b"x") + HEARTBEAT + write_call(2, 2, b"y"))[1] == b""


@pytest.mark.parametrize("frame", [b"", b"\0" * 4])
def test_what_is_too_short_for_a_call_is_refused(frame: bytes) -> None:
    with pytest.raises(MalformedFrames):
        read_call(frame)
    with pytest.raises(MalformedFrames):
        read_answer(frame + b"\0")
