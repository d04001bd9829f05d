"""The bytes of an endorsement between peers: request and response, carried as calls of kind ENDORSE_HERE
(:mod:`gridledger.transport.call_frames`).

Request: the height to wait for (64 bits), the length of the client's signature (8 bits), the length of the proposal's
text (32 bits), the signature, the proposal's text, and the transient data's JSON text, empty where there is none.
Response: a height (64 bits), the endorser's fingerprint (32 bytes), the length of its signature (8 bits), the
signature, and the result's text. Numbers are big-endian, texts UTF-8.
"""

from __future__ import annotations

import struct

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Endorsement
from services.peer.endorser.endorser import ProposalResponse

_REQUEST = struct.Struct(">QBI")
_RESPONSE = struct.Struct(">Q32sB")


def write_request(min_height: int, signed: SignedProposal) -> bytes:
    """A request's bytes."""
    text = signed.proposal.text.encode()
    transient = b"" if signed.transient is None else jsontext.dumps(dict(signed.transient))
    head = _REQUEST.pack(min_height, len(signed.signature), len(text))
    return b"%b%b%b%b" % (head, signed.signature, text, transient)


def read_request(data: bytes) -> tuple[int, SignedProposal]:
    """The height and the proposal of a request; :class:`MalformedMessage` says what is wrong with it."""
    try:
        min_height, signature_length, text_length = _REQUEST.unpack_from(data)
        text_begin = _REQUEST.size + signature_length
        transient_begin = text_begin + text_length
        if transient_begin > len(data):
            raise MalformedMessage("a request for an endorsement is shorter than the lengths in it say")
        text = data[text_begin:transient_begin].decode()
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedMessage(f"a request for an endorsement cannot be read: {error}") from None
    transient = jsontext.loads(data[transient_begin:]) if transient_begin < len(data) else None
    return min_height, SignedProposal.of(Proposal.parse(text), data[_REQUEST.size : text_begin], transient)


def write_response(response: ProposalResponse) -> bytes:
    """A response's bytes."""
    signature = response.endorsement.signature
    head = _RESPONSE.pack(response.height, bytes.fromhex(response.endorsement.endorser), len(signature))
    return b"%b%b%b" % (head, signature, response.result_text.encode())


def read_response(data: bytes) -> ProposalResponse:
    """What :func:`write_response` wrote; :class:`MalformedMessage` says what is wrong with it."""
    try:
        height, endorser, length = _RESPONSE.unpack_from(data)
        end = _RESPONSE.size + length
        return ProposalResponse(data[end:].decode(), Endorsement(endorser.hex(), data[_RESPONSE.size : end]), height)
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedMessage(f"an endorsement cannot be read: {error}", status=502) from None
