"""Requests for endorsements between peers, and the responses: what travels, and what is refused."""

from __future__ import annotations

from contextlib import suppress
from dataclasses import replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.errors import InputError, MalformedMessage
from gridledger.protocol.result import Endorsement
from services.peer.endorser.endorser import ProposalResponse
from services.peer.endorser.remote import read_request, read_response, write_request, write_response
from tests.support.paper import PaperNetwork

PAPER = PaperNetwork()


@given(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32), st.binary(max_size=255), st.text())
def test_responses_are_read_as_written(height: int, endorser: bytes, signature: bytes, text: str) -> None:
    response = ProposalResponse(text, Endorsement(endorser.hex(), signature), height)
    assert read_response(write_response(response)) == response


@pytest.mark.parametrize("transient", [None, {}, {"secret": [1.5]}])
@pytest.mark.parametrize("height", [0, 2**64 - 1])
def test_requests_are_read_as_written(height: int, transient: dict[str, Any] | None) -> None:
    signed = PAPER.signed_proposal(transient=transient)
    assert read_request(write_request(height, signed)) == (height, signed)


RESPONSE = write_response(ProposalResponse("ä", Endorsement("0" * 64, b""), 1))


@pytest.mark.parametrize("data", [b"", b"\0" * 40, RESPONSE[:-1]])
def test_unreadable_responses_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        read_response(data)
    assert caught.value.status == 502


REQUEST = write_request(0, PAPER.signed_proposal())


@pytest.mark.parametrize(
    "data",
    [
        b"12345678",
        bytes(13),
        bytes(13) + b"{}",
        REQUEST[:-1],
        REQUEST[:9] + (int.from_bytes(REQUEST[9:13], "big") + 1).to_bytes(4, "big") + REQUEST[13:],
        REQUEST + b"\xff",
        REQUEST + b"{}",
        write_request(0, replace(PAPER.signed_proposal(transient={"a": 1}), transient=None)),
        write_request(0, replace(PAPER.signed_proposal(transient={"a": 1}), transient={"a": 2})),
    ],
)
def test_unreadable_requests_are_refused(data: bytes) -> None:
    with pytest.raises(InputError):
        read_request(data)


@given(st.integers(0, len(REQUEST) - 1), st.integers(0, 255))
def test_a_changed_byte_is_refused_or_read(position: int, byte: int) -> None:
    """Whatever comes, the reader says what is wrong with it, or reads it."""
    changed = REQUEST[:position] + bytes((byte,)) + REQUEST[position + 1 :]
    with suppress(InputError):
        read_request(changed)
