"""The error with which a stream ends, as its last line, frame or event."""

from __future__ import annotations

import pytest

from gridledger import framing
from gridledger.errors import BusyError, PermissionDeniedError
from gridledger.transport.stream_errors import NDJSON, SERVER_SENT_EVENTS, read_error, write_error

ERROR = PermissionDeniedError("no reader any more", policy="readers")


def test_an_error_comes_back_from_each_kind_of_stream() -> None:
    line = write_error(ERROR, NDJSON)
    assert line.endswith(b"\n")
    (frame,) = framing.unpack(write_error(ERROR, "application/octet-stream"), max_frames=1)
    for piece in (line, frame):
        read = read_error(piece)
        assert isinstance(read, PermissionDeniedError)
        assert (read.message, read.details) == ("no reader any more", {"policy": "readers"})
    assert write_error(ERROR, SERVER_SENT_EVENTS).startswith(b'event: error\ndata: {"error":')


def test_a_busy_error_keeps_its_pause() -> None:
    read = read_error(write_error(BusyError("full", retry_after_s=2.0), NDJSON))
    assert isinstance(read, BusyError)
    assert read.retry_after_s == 2.0


@pytest.mark.parametrize("piece", [b"", b"{}", b'{"number":1}', b'{"error":', b'{"error":[]}', b'{"error":{}}'])
def test_what_is_no_error_is_none(piece: bytes) -> None:
    assert read_error(piece) is None


def test_a_status_that_is_no_number_is_an_error_of_the_node() -> None:
    read = read_error(b'{"error":{"status":"x","code":7,"message":[]}}')
    assert read is not None
    assert read.status == 500
