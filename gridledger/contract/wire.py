"""What a peer and a chaincode host say to each other over their socket.

Each message is one frame (32-bit big-endian length). A request's frame holds three more: the caller, the proposal's
text, the transient data's text (empty for none). A reply's frame is one byte, the kind, and then its text.
"""

from __future__ import annotations

from collections.abc import Mapping
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final

from gridledger import framing, jsontext
from gridledger.contract.context import ClientIdentity
from gridledger.errors import GridLedgerError, MalformedFrames, MalformedMessage, from_wire

MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
_CALLERS: Final = 4096


class Reply(IntEnum):
    """The kind of a host's message."""

    READY = 0
    """The chaincode is loaded; the text says how the host is confined."""
    RESULT = 1
    """The text is the result's."""
    LAST_RESULT = 2
    """As RESULT, from a host that should be replaced (it ran out of memory)."""
    ERROR = 3
    """The proposal could not be run, or the chaincode not loaded: {"status", "error"}."""
    STALE = 4
    """The channel came after this host was confined: replace it, and ask again."""


def caller_bytes(identity: ClientIdentity) -> bytes:
    """An identity as it crosses; make it once for each certificate."""
    return jsontext.dumps([identity.id, identity.mspid, identity.role, dict(identity.attributes), identity.certificate])


@lru_cache(_CALLERS)
def read_caller(text: bytes) -> ClientIdentity:
    """The identity that :func:`caller_bytes` wrote."""
    match jsontext.loads_trusted(text):
        case [str(id_), str(mspid), str(role), dict(attributes), str(certificate)]:
            return ClientIdentity(id_, mspid, role, MappingProxyType(attributes), certificate)
        case _:
            raise MalformedMessage("a caller is [id, mspid, role, attributes, certificate]")


def request(caller: bytes, proposal_text: str, transient: Mapping[str, Any] | None) -> bytes:
    """One request, framed."""
    transient_text = b"" if transient is None else jsontext.dumps(dict(transient))
    return framing.frame(framing.pack((caller, proposal_text.encode(), transient_text)))


def read_request(body: bytes) -> tuple[ClientIdentity, str, dict[str, Any]]:
    """Caller, proposal text and transient data of one request's frame."""
    parts = framing.unpack(body, max_frames=3)
    if len(parts) != 3:  # noqa: PLR2004 - as request() writes them
        raise MalformedFrames("a request has three parts")
    return read_caller(parts[0]), parts[1].decode(), jsontext.loads_trusted(parts[2]) if parts[2] else {}


def reply(kind: Reply, text: bytes) -> bytes:
    """One reply, framed."""
    return framing.frame(bytes((kind,)) + text)


def error_reply(error: GridLedgerError) -> bytes:
    """An error as a reply, framed."""
    return reply(Reply.ERROR, jsontext.dumps({"status": error.status, "error": error.to_dict()}))


def read_error(text: bytes) -> GridLedgerError:
    """The error of an error reply."""
    document = jsontext.loads(text)
    return from_wire(document["status"], document["error"])
