"""Proposals on their way from one peer to another, as calls
(:mod:`gridledger.transport.call_frames`): what travels, and how the peer that is asked answers.

A call's body is the height to wait for (64 bits), the client's signature behind its length (8 bits), and the proposal's
text; where there is transient data the length is 0, and the signed proposal's body follows. The answer is a height (64
bits), the endorser's fingerprint (32 bytes), the signature behind its length (8 bits), and the result's text.
"""

from __future__ import annotations

import asyncio
import struct
from collections.abc import Callable, Sequence
from typing import Protocol

from gridledger.errors import GridLedgerError, MalformedMessage
from gridledger.identity.msp import Identity
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Endorsement
from services.peer.endorser.endorser import Abandon, Admitted, Answer, Answers, Endorser

_ASK = struct.Struct(">QB")
_ANSWER = struct.Struct(">Q32sB")


def write_ask(min_height: int, signed: SignedProposal) -> bytes:
    """A call's body."""
    if signed.transient is not None:
        return _ASK.pack(min_height, 0) + signed.to_bytes()
    return b"%b%b%b" % (_ASK.pack(min_height, len(signed.signature)), signed.signature, signed.proposal.text.encode())


def read_ask(data: bytes) -> tuple[int, SignedProposal]:
    """What :func:`write_ask` wrote; :class:`MalformedMessage`, or what is wrong with the proposal."""
    try:
        min_height, length = _ASK.unpack_from(data)
        if not length:
            return min_height, SignedProposal.from_bytes(data[_ASK.size :])
        end = _ASK.size + length
        proposal = Proposal.parse(data[end:].decode())
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedMessage(f"no call for an endorsement can be read: {error}") from None
    if proposal.transient_hash is not None:
        raise MalformedMessage("the transient data is not what the proposal's hash says")
    return min_height, SignedProposal(proposal, data[_ASK.size : end])


def write_answer(answer: Answer) -> bytes:
    """An answer's payload."""
    endorsement = answer.endorsement
    signature = endorsement.signature
    head = _ANSWER.pack(answer.height, bytes.fromhex(endorsement.endorser), len(signature))
    return b"%b%b%b" % (head, signature, answer.result_text.encode())


def read_answer(data: bytes) -> Answer:
    """What :func:`write_answer` wrote."""
    try:
        height, endorser, length = _ANSWER.unpack_from(data)
        end = _ANSWER.size + length
        return Answer(data[end:].decode(), Endorsement(endorser.hex(), data[_ANSWER.size : end]), height)
    except (struct.error, UnicodeDecodeError) as error:
        raise MalformedMessage(f"no endorsement can be read: {error}", status=502) from None


class Here(Protocol):
    """This peer as an endorser."""

    endorser: Endorser

    async def endorse(self, admitted: Admitted, min_height: int) -> Answer: ...
    def endorse_many(self, admitted: Sequence[Admitted], take: Callable[[Answers], None]) -> Abandon: ...


class AskedFor:
    """Endorsements that another peer asked for together. ``answer`` gets each payload or error once, by position."""

    def __init__(self, here: Here, answer: Callable[[int, bytes | GridLedgerError], None]) -> None:
        self._here = here
        self._answer = answer
        self._abandons: list[Abandon] = []

    def begin(self, bodies: Sequence[bytes], caller: Identity) -> None:
        """Admit all, run and sign all; those that wait for a height by themselves."""
        together: dict[tuple[str, str], tuple[list[int], list[Admitted]]] = {}
        for position, data in enumerate(bodies):
            try:
                min_height, signed = read_ask(data)
                admitted = self._here.endorser.admit(signed, caller)
            except GridLedgerError as error:
                self._answer(position, error)
                continue
            if min_height > admitted.channel.height:
                waiting = asyncio.get_running_loop().create_task(self._wait(position, admitted, min_height))
                self._abandons.append(waiting.cancel)
                continue
            key = (admitted.channel.name, admitted.definition.name)
            positions, group = together.setdefault(key, ([], []))
            positions.append(position)
            group.append(admitted)
        for positions, group in together.values():
            self._abandons.append(self._here.endorse_many(group, self._taker(positions)))

    def abandon(self) -> None:
        """Nobody waits for the answers any more."""
        for abandon in self._abandons:
            abandon()

    def _taker(self, positions: Sequence[int]) -> Callable[[Answers], None]:
        def take(answers: Answers) -> None:
            for place, answer in answers:
                self._answer(positions[place], write_answer(answer) if isinstance(answer, Answer) else answer)

        return take

    async def _wait(self, position: int, admitted: Admitted, min_height: int) -> None:
        try:
            answer = write_answer(await self._here.endorse(admitted, min_height))
        except GridLedgerError as error:
            self._answer(position, error)
        else:
            self._answer(position, answer)
