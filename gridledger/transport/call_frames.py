"""The frames of calls: a client's requests to a gateway, many over one connection, answered as answers are known.

A client POSTs to ``PATH``. The body is a stream of frames that lasts as long as the client likes. Each frame is a call:
its number (32 bits, chosen by the client), its kind (8 bits) and the body that the kind's own route takes. The answer
is a stream of frames as well: a call's number, an HTTP status (16 bits) and the answer of the kind's own route; with a
status of 400 or more the payload is the error's wire form. An empty frame is a heartbeat.
"""

from __future__ import annotations

from struct import Struct

from gridledger import jsontext
from gridledger.errors import GridLedgerError, MalformedFrames

PATH = "/gateway/calls"
ENDORSE, SUBMIT, ORDER, EVALUATE = 1, 2, 3, 4
ENDORSE_HERE = 5
"""From a peer to another: one endorsement of its own. No route answers alike."""
PING = 6
"""Answered at once with nothing: the node's event loop runs. No route answers alike."""
ROUTES = {
    ENDORSE: "/gateway/endorse",
    SUBMIT: "/gateway/submit?wait=commit",
    ORDER: "/gateway/submit?wait=order",
    EVALUATE: "/gateway/evaluate",
}
"""The route that answers one call of this kind alike."""

SUCCESS = 200
HEARTBEAT = b"\0\0\0\0"
"""An empty frame, with its length."""

_CALL = Struct(">IB")
_FRAMED_CALL = Struct(">IIB")
_ANSWER = Struct(">IH")
_FRAMED_ANSWER = Struct(">IIH")
MAX_NUMBER = 2**32 - 1


def write_call(number: int, kind: int, body: bytes) -> bytes:
    """A call as a frame, its length included."""
    return _FRAMED_CALL.pack(len(body) + _CALL.size, number, kind) + body


def read_call(frame: bytes) -> tuple[int, int, bytes]:
    """A call's number, kind and body."""
    if len(frame) < _CALL.size:
        raise MalformedFrames("a call is a number of 32 bits, a kind of 8 bits, and a body")
    number, kind = _CALL.unpack_from(frame)
    return number, kind, frame[_CALL.size :]


def write_answer(number: int, outcome: bytes | GridLedgerError) -> bytes:
    """The answer to a call as a frame, its length included."""
    if isinstance(outcome, GridLedgerError):
        status, payload = outcome.status, jsontext.dumps(outcome.to_dict())
    else:
        status, payload = SUCCESS, outcome
    return _FRAMED_ANSWER.pack(len(payload) + _ANSWER.size, number, status) + payload


def read_answer(frame: bytes) -> tuple[int, int, bytes]:
    """An answer's number, status and payload."""
    if len(frame) < _ANSWER.size:
        raise MalformedFrames("an answer is a number of 32 bits, a status of 16 bits, and a payload")
    number, status = _ANSWER.unpack_from(frame)
    return number, status, frame[_ANSWER.size :]
