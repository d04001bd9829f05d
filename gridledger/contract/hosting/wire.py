"""Messages between a peer and a chaincode host over their socket.

Each message is one frame (32-bit big-endian length). A batch's frame holds four frames for each call: the caller, the
transaction's id, the proposal's text, the transient data's text (empty for none). The host answers each call by a frame
of its own, in the order of the batch: one byte, the kind, and then a text. Several of them may arrive together.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from enum import IntEnum
from functools import lru_cache
from types import MappingProxyType
from typing import Any, Final, NamedTuple

from gridledger import framing, jsontext
from gridledger.contract.context import ClientIdentity
from gridledger.errors import GridLedgerError, MalformedFrames, MalformedMessage, from_wire
from gridledger.protocol.proposal import Proposal

MAX_REQUEST_BYTES: Final = 64 * 1024 * 1024
MAX_REPLY_BYTES: Final = 64 * 1024 * 1024
MAX_BATCH: Final = 32
_CALLERS: Final = 4096
_PARTS: Final = 4


class Reply(IntEnum):
    """The kind of a host's message."""

    READY = 0
    """The chaincode is loaded; the text says how the host is confined."""
    RESULT = 1
    """The text is the result's."""
    LAST_RESULT = 2
    """As RESULT, from a host that should be replaced (it ran out of memory). It runs nothing more of its batch."""
    ERROR = 3
    """The proposal could not be run, or the chaincode not loaded: {"status", "error"}."""
    STALE = 4
    """The channel came after this host was confined: replace it, and ask again."""


class Request(NamedTuple):
    """One call as it crosses."""

    caller: bytes
    tx_id: bytes
    proposal: bytes
    transient: bytes

    @property
    def size(self) -> int:
        """Its bytes, without the lengths between them."""
        return len(self.caller) + len(self.proposal) + len(self.transient)


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


def request(caller: bytes, proposal: Proposal, transient: Mapping[str, Any] | None) -> Request:
    """One call."""
    transient_text = b"" if transient is None else jsontext.dumps(dict(transient))
    return Request(caller, proposal.tx_id.encode(), proposal.text.encode(), transient_text)


def write_batch(requests: Iterable[Request]) -> bytes:
    """Calls to be run one after the other, framed."""
    return framing.frame(framing.pack([part for each in requests for part in each]))


def read_batch(body: bytes) -> list[Request]:
    """The calls in a batch's frame."""
    parts = framing.unpack(body, max_frames=_PARTS * MAX_BATCH)
    if not parts or len(parts) % _PARTS:
        raise MalformedFrames("a batch has four parts for each call")
    return [Request(*parts[start : start + _PARTS]) for start in range(0, len(parts), _PARTS)]


def read_request(call: Request) -> tuple[ClientIdentity, Proposal, dict[str, Any]]:
    """Caller, proposal and transient data of one call. The peer has checked them, and is trusted."""
    text = call.proposal.decode()
    message = jsontext.loads_trusted(text)
    proposal = Proposal(
        text=text,
        tx_id=call.tx_id.decode(),
        channel=message["channel"],
        chaincode=message["chaincode"],
        sequence=message["sequence"],
        function=message["function"],
        args=tuple(message["args"]),
        creator=message["creator"],
        nonce=message["nonce"],
        time_us=message["time"],
        transient_hash=message["transient"],
    )
    return read_caller(call.caller), proposal, jsontext.loads_trusted(call.transient) if call.transient else {}


def reply(kind: Reply, text: bytes) -> bytes:
    """One reply, framed."""
    return framing.frame(bytes((kind,)) + text)


def error_reply(error: GridLedgerError) -> bytes:
    """An error as a reply, framed."""
    return reply(Reply.ERROR, jsontext.dumps({"status": error.status, "error": error.to_dict()}))


def read_result(text: bytes) -> str:
    """The result's text of a result reply; :class:`MalformedMessage` where it is none."""
    try:
        return text.decode()
    except UnicodeDecodeError as error:
        raise MalformedMessage(f"a chaincode host's result cannot be read: {error}", status=502) from None


def read_error(text: bytes) -> GridLedgerError:
    """The error of an error reply; raises :class:`MalformedMessage` where it is none."""
    match jsontext.loads(text):
        case {"status": int(status), "error": dict(error)}:
            return from_wire(status, error)
        case _:
            raise MalformedMessage("a chaincode host's error cannot be read", status=502)
