"""Endorsements that another peer asks for together: what travels, each answered by itself, nothing left behind."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.contract.hosting.calls import Deliver
from gridledger.errors import GridLedgerError, MalformedJSON, MalformedMessage
from gridledger.protocol.fields import hash_of
from gridledger.protocol.proposal import SignedProposal
from gridledger.protocol.result import Endorsement, endorsement_text
from gridledger.transport.call_client import StreamRefused
from services.peer.channel import Channel, Channels
from services.peer.endorser.endorser import Abandon, Admitted, Answer, Answers, Endorser
from services.peer.endorser.remote import AskedFor, read_answer, read_ask, write_answer, write_ask
from services.peer.gateway.other_nodes import PeerClients, write_json
from services.peer.settings import EndorsementLimits
from tests.support import peer_world as world


class Here:
    """This peer: a real endorser whose chaincode answers when the test lets it."""

    def __init__(self, folder: Path) -> None:
        self.chain = world.Chain(folder)
        self.channel = Channel(self.chain.ledger)
        self.together: list[int] = []
        self.given_up: list[int] = []
        self.gate = asyncio.Event()
        self.endorser = Endorser(
            "peer1",
            world.peer(1),
            Channels({"shard1": self.channel}),
            self,
            clock_us=lambda: world.NOW_US,
            catch_up_s=5.0,
        )

    async def run(self, admitted: Admitted) -> str:
        return world.result(admitted.signed.proposal, writes=[("k", 1)]).text

    def run_many(self, admitted: Sequence[Admitted], deliver: Deliver) -> Abandon:
        async def run() -> None:
            await self.gate.wait()
            deliver([(position, await self.run(each)) for position, each in enumerate(admitted)])

        self.together.append(len(admitted))
        running = asyncio.ensure_future(run())

        def give_up() -> None:
            self.given_up.append(len(admitted))
            running.cancel()

        return give_up

    async def endorse(self, admitted: Admitted, min_height: int) -> Answer:
        return await self.endorser.endorse(admitted, min_height=min_height)

    def endorse_many(self, admitted: Sequence[Admitted], take: Callable[[Answers], None]) -> Abandon:
        return self.endorser.endorse_many(admitted, take)


@pytest.fixture
async def here(tmp_path: Path) -> Here:
    return Here(tmp_path)


def ask(here: Here, *bodies: bytes) -> tuple[AskedFor, dict[int, bytes | GridLedgerError]]:
    found: dict[int, bytes | GridLedgerError] = {}

    def answer(position: int, outcome: bytes | GridLedgerError) -> None:
        assert position not in found
        found[position] = outcome

    asked = AskedFor(here, answer)
    asked.begin(bodies, world.identity(world.peer(2), "peer"))
    return asked, found


def proposal(number: int, **parts: Any) -> SignedProposal:
    return world.proposal("k", number, nonce=number, **parts)


@given(st.integers(0, 2**64 - 1), st.binary(min_size=32, max_size=32), st.binary(max_size=255), st.text())
def test_answers_are_read_as_they_were_written(height: int, endorser: bytes, signature: bytes, text: str) -> None:
    answer = Answer(text, Endorsement(endorser.hex(), signature), height)
    assert read_answer(write_answer(answer)) == answer


@pytest.mark.parametrize("transient", [None, {}, {"secret": [1.5]}])
@pytest.mark.parametrize("height", [0, 2**64 - 1])
def test_asks_are_read_as_they_were_written(height: int, transient: dict[str, Any] | None) -> None:
    signed = proposal(1, transient=transient)
    assert read_ask(write_ask(height, signed)) == (height, signed)


@pytest.mark.parametrize("data", [b"", b"\0" * 40, write_answer(Answer("ä", Endorsement("0" * 64, b""), 1))[:-1]])
def test_unreadable_answers_are_refused(data: bytes) -> None:
    with pytest.raises(MalformedMessage) as caught:
        read_answer(data)
    assert caught.value.status == 502


@pytest.mark.parametrize(
    "data",
    [
        b"12345678",
        write_ask(0, proposal(1))[:-1],
        write_ask(0, proposal(1)) + b"\xff",
        write_ask(0, replace(proposal(1, transient={"a": 1}), transient=None)),
        bytes(9) + b"{}",
    ],
)
def test_unreadable_asks_are_refused(data: bytes) -> None:
    with pytest.raises((MalformedMessage, MalformedJSON)):
        read_ask(data)


async def test_each_is_answered_by_itself(here: Here) -> None:
    here.gate.set()
    bodies = [
        write_ask(0, proposal(1)),
        b"",
        write_ask(0, replace(proposal(4), signature=b"forged")),
        write_ask(0, proposal(2, channel="other")),
        write_ask(1, proposal(3)),
    ]
    _, found = ask(here, *bodies)
    await world.until(lambda: len(found) == 5)
    codes = [getattr(found[position], "code", "endorsed") for position in range(5)]
    assert codes == ["endorsed", "MALFORMED_MESSAGE", "BAD_CREATOR_SIGNATURE", "CHANNEL_UNKNOWN", "endorsed"]
    assert here.together == [2]
    for position in (0, 4):
        answer = read_answer(bytes(found[position]))  # type: ignore[arg-type]
        text = endorsement_text(world.peer(1).fingerprint, hash_of(answer.result_text))
        assert world.peer(1).certificate.verify(answer.endorsement.signature, text)
        assert answer.height == 1


async def test_one_that_waits_for_a_height_holds_up_none(here: Here) -> None:
    here.gate.set()
    _, found = ask(here, write_ask(2, proposal(1)), write_ask(0, proposal(2)))
    await world.until(lambda: 1 in found)
    assert 0 not in found
    here.channel.committed(here.chain.commit(world.envelope("other", 1, nonce=7)))
    await world.until(lambda: 0 in found)
    assert read_answer(bytes(found[0])).height == 2  # type: ignore[arg-type]


async def test_what_nobody_waits_for_is_given_up(here: Here) -> None:
    asked, found = ask(here, write_ask(0, proposal(1)), write_ask(9, proposal(2)), write_ask(0, proposal(3)))
    asked.abandon()
    assert here.given_up == [2]
    await world.until(lambda: not here.channel._waiting)
    assert found == {}


class Refusing:
    """Calls to a peer that takes no further connection of this kind."""

    def begin(self, kind: int, body: bytes) -> asyncio.Future[bytes]:
        refused: asyncio.Future[bytes] = asyncio.get_running_loop().create_future()
        refused.set_exception(StreamRefused("full"))
        return refused


class Posting:
    """The same peer's routes; ``signer`` endorses."""

    def __init__(self, here: Here) -> None:
        self.here = here
        self.signer = 1
        self.posted: list[tuple[str, Any]] = []

    async def post(self, path: str, body: bytes, *, params: Any, timeout_s: float) -> bytes:
        self.posted.append((path, params))
        admitted = self.here.endorser.read(body, world.identity(world.peer(2), "peer"))
        answer = await self.here.endorser.endorse(admitted)
        endorsement = replace(answer.endorsement, endorser=world.peer(self.signer).fingerprint)
        return write_json(replace(answer, endorsement=endorsement))


async def test_peer_that_refuses_the_connection_is_asked_by_requests(here: Here) -> None:
    clients: Any = PeerClients(world.peer(2), "", EndorsementLimits())
    posting = Posting(here)
    clients._calls["peer1"], clients._clients["peer1"] = Refusing(), posting
    peer = here.channel.config.peers["peer1"]
    admitted = [here.endorser.admit(proposal(number), world.identity(world.client(), "client")) for number in (1, 2)]
    answer = await clients.endorse(peer, admitted[0], 1, 5.0)
    assert posting.posted == [("/endorse", {"min_height": "1"})]
    found: Answers = []
    clients.endorse_many(peer, admitted, found.extend)
    await world.until(lambda: len(found) == 2)
    assert dict(found)[0] == answer
    # An endorsement that is not that peer's own is not taken.
    posting.signer = 2
    with pytest.raises(MalformedMessage, match="no endorsement of its own"):
        await clients.endorse(peer, admitted[0], 0, 5.0)
