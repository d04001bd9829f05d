"""Why a stream ended, told in the stream: its head, with status 200, has long been sent.

The error is the stream's last piece: a line, a frame or a server-sent event whose content is
``{"error": {"status", "code", "message", "details"}}``. No block and no event begins so.
"""

from __future__ import annotations

from gridledger import framing, jsontext
from gridledger.errors import GridLedgerError, MalformedJSON, from_wire

NDJSON = "application/x-ndjson"
SERVER_SENT_EVENTS = "text/event-stream"
_BEGINNING = b'{"error":'


def write_error(error: GridLedgerError, media_type: str) -> bytes:
    """The last piece of a stream of this media type: of lines, of server-sent events, or else of frames."""
    text = jsontext.dumps({"error": {"status": error.status, **error.to_dict()}})
    if media_type == NDJSON:
        return text + b"\n"
    if media_type == SERVER_SENT_EVENTS:
        return b"event: error\ndata: %b\n\n" % text
    return framing.frame(text)


def read_error(piece: bytes) -> GridLedgerError | None:
    """The error that a line or a frame tells of, None where it is none."""
    if not piece.startswith(_BEGINNING):
        return None
    try:
        told = jsontext.loads(piece)["error"]
        status = told.pop("status")
    except (MalformedJSON, KeyError, TypeError, AttributeError):
        return None
    return from_wire(status if isinstance(status, int) else 500, told)
