"""The frames that docs/protocol.md shows are those that the code writes."""

from __future__ import annotations

import re
from pathlib import Path

from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Endorsement
from gridledger.transport.call_frames import ENDORSE_HERE, write_answer, write_call
from services.peer.endorser import remote
from services.peer.endorser.endorser import ProposalResponse

PAGE = Path(__file__).parents[3] / "docs/protocol.md"
HEXADECIMAL = re.compile(r"    ((?:[0-9a-f]{2} {1,2})+) {3,}\S")


def lines_of_the_example() -> list[bytes]:
    """The bytes at the beginning of each of its lines."""
    example = PAGE.read_text().partition("### Kind 5")[2]
    return [bytes.fromhex(match[1]) for match in map(HEXADECIMAL.match, example.splitlines()) if match]


def test_the_frames_shown_for_kind_5_are_those_sent() -> None:
    text, signature, fingerprint = "p" * 412, b"s" * 71, "ab" * 32
    proposal = Proposal(text, "", "", "", 1, "", (), "", "", 0, None)
    call = write_call(42, ENDORSE_HERE, remote.write_request(7, SignedProposal(proposal, signature)))
    response = ProposalResponse("r" * 1250, Endorsement(fingerprint, b"e" * 70), 7)
    answer = write_answer(42, remote.write_response(response))

    head, request, answer_head, height, length = lines_of_the_example()
    assert call == head + request + signature + text.encode()
    assert answer == answer_head + height + bytes.fromhex(fingerprint) + length + b"e" * 70 + b"r" * 1250
