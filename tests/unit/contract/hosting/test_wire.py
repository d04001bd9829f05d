"""The messages between a peer and a chaincode host: what crosses is what comes out."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger import framing, jsontext
from gridledger.contract import ClientIdentity
from gridledger.contract.hosting import wire
from gridledger.contract.hosting.wire import Reply, Request
from gridledger.errors import ConflictError, GridLedgerError, MalformedFrames, MalformedMessage
from tests.support.paper import PaperNetwork

PAPER = PaperNetwork()
CALLER = ClientIdentity("x509::CN=a::CN=ca", "Org1MSP", "client", {"group": "2"}, "MIIB")


def unframed(data: bytes) -> bytes:
    (frame,) = framing.FrameBuffer(1 << 20).feed(data)
    return bytes(frame)


@pytest.mark.parametrize("transient", [None, {}, {"secret": [1.5, None]}])
def test_a_call_crosses_whole(transient: dict[str, Any] | None) -> None:
    proposal = PAPER.proposal("put", "k", {"v": ["ü", 1.5]}, transient=transient)
    made = wire.request(wire.caller_bytes(CALLER), proposal, transient)
    (crossed,) = wire.read_batch(unframed(wire.write_batch([made])))
    caller, read, secret = wire.read_request(crossed)
    assert crossed == made
    assert (caller, read, secret) == (CALLER, proposal, transient or {})
    assert dict(caller.attributes) == {"group": "2"}


def test_a_batch_keeps_the_order_of_its_calls() -> None:
    made = [wire.request(b"[]", PAPER.proposal("put", number), None) for number in range(wire.MAX_BATCH)]
    assert wire.read_batch(unframed(wire.write_batch(made))) == made
    assert made[0].size == len(made[0].caller) + len(made[0].proposal)


@pytest.mark.parametrize("parts", [0, 3, 5, 4 * (wire.MAX_BATCH + 1)])
def test_what_is_no_batch_is_refused(parts: int) -> None:
    with pytest.raises((MalformedFrames, GridLedgerError)):
        wire.read_batch(framing.pack([b"x"] * parts))


def test_a_caller_that_is_none_is_refused() -> None:
    request = Request(b'["id"]', b"t", PAPER.proposal().text.encode(), b"")
    with pytest.raises(MalformedMessage, match="a caller is"):
        wire.read_request(request)


@pytest.mark.parametrize("kind", list(Reply))
def test_a_reply_is_its_kind_and_a_text(kind: Reply) -> None:
    assert unframed(wire.reply(kind, "ü".encode())) == bytes((kind,)) + "ü".encode()
    assert wire.read_result("ü".encode()) == "ü"
    with pytest.raises(MalformedMessage):
        wire.read_result(b"\xff")


def test_an_error_crosses_with_its_code_and_details() -> None:
    frame = unframed(wire.error_reply(ConflictError("taken", code="TAKEN", by="org2")))
    assert frame[0] == Reply.ERROR
    error = wire.read_error(frame[1:])
    assert isinstance(error, ConflictError)
    assert (error.code, error.message, error.details) == ("TAKEN", "taken", {"by": "org2"})
    for text in (b"{}", b"[1]", jsontext.dumps({"status": "409", "error": {}})):
        with pytest.raises(MalformedMessage):
            wire.read_error(text)
