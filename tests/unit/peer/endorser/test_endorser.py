"""The endorser: what it refuses, what it signs, how it waits for blocks."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import GridLedgerError
from gridledger.identity.errors import UnknownAuthority
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Result, endorsement_text
from services.peer.channel import Channel, Channels
from services.peer.endorser.endorser import AdmittedProposal, Endorser
from services.peer.errors import ChaincodeFailed, ChaincodeRefused, DuplicateTransaction, PeerBehind
from tests.support import peer_world as world


class Hosts:
    """A chaincode that does what the test says."""

    def __init__(self) -> None:
        self.ran: list[str] = []
        self.parts: dict[str, Any] = {"writes": [("k", 1)], "payload": "done"}
        self.text: str | None = None

    async def run(self, proposal: AdmittedProposal) -> str:
        made = proposal.signed.proposal
        self.ran.append(made.tx_id)
        return self.text if self.text is not None else world.result(made, **self.parts).text


class House:
    """A peer's endorser over a real ledger; its clock stands still."""

    def __init__(self, folder: Path, **config: Any) -> None:
        self.chain = world.Chain(folder, world.config(**config))
        self.channel = Channel(self.chain.ledger)
        self.hosts = Hosts()
        self.now_us = world.NOW_US
        self.endorser = Endorser(
            "peer1",
            world.peer(1),
            Channels({"shard1": self.channel}),
            self.hosts,
            clock_us=lambda: self.now_us,
            catch_up_s=0.2,
        )
        self.caller = world.identity(world.client(), "client")

    def admit(self, signed: SignedProposal, **options: Any) -> AdmittedProposal:
        return self.endorser.admit(signed, options.pop("caller", self.caller), **options)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_endorsement_signs_the_result(house: House) -> None:
    signed = world.proposal("k", 1)
    answer = await house.endorser.endorse(house.admit(signed))
    outcome = Result.parse(answer.result_text)
    assert outcome.tx_id == signed.proposal.tx_id
    assert answer.endorsement.endorser == world.peer(1).fingerprint
    text = endorsement_text(world.peer(1).fingerprint, outcome.hash)
    assert world.peer(1).certificate.verify(answer.endorsement.signature, text)
    assert answer.height == 1


def _tampered(signed: SignedProposal) -> SignedProposal:
    text = signed.proposal.text.replace('"put"', '"del"')
    return SignedProposal(Proposal.parse(text), signed.signature)


def _foreign() -> SignedProposal:
    return world.proposal("k", signer=world.Org("ElsewhereMSP").issue("eve", "client"))


@pytest.mark.parametrize(
    ("signed", "code", "status"),
    [
        (lambda: world.proposal("k", channel="other"), "CHANNEL_UNKNOWN", 404),
        (lambda: world.proposal("k", chaincode="other"), "CHAINCODE_UNKNOWN", 404),
        (lambda: world.proposal("k", sequence=2), "CHAINCODE_SEQUENCE", 409),
        (lambda: world.proposal("k", time_us=world.NOW_US - 301_000_000), "PROPOSAL_STALE", 400),
        (lambda: world.proposal("k", time_us=world.NOW_US + 301_000_000), "PROPOSAL_STALE", 400),
        (lambda: _tampered(world.proposal("k")), "BAD_CREATOR_SIGNATURE", 401),
        (lambda: world.proposal("x" * 3_000_000), "ENVELOPE_TOO_LARGE", 413),
    ],
)
def test_refusals(house: House, signed: Any, code: str, status: int) -> None:
    with pytest.raises(GridLedgerError) as caught:
        house.admit(signed())
    assert (caught.value.code, caught.value.status) == (code, status)


def test_stranger_is_refused(house: House) -> None:
    with pytest.raises(UnknownAuthority):
        house.admit(_foreign())


def test_proposal_is_brought_by_its_creator_or_by_a_peer(house: House) -> None:
    signed = world.proposal("k")
    house.admit(signed, caller=world.identity(world.peer(2), "peer"))
    with pytest.raises(GridLedgerError) as caught:
        house.admit(signed, caller=world.identity(world.client(2), "client"))
    assert caught.value.code == "PERMISSION_DENIED"


def test_writers_policy_is_asked(tmp_path: Path) -> None:
    house = House(tmp_path, writers="'Org2MSP.client'")
    with pytest.raises(GridLedgerError) as caught:
        house.admit(world.proposal("k"))
    assert caught.value.code == "PERMISSION_DENIED"
    assert caught.value.details["policy"] == "'Org2MSP.client'"
    house.admit(world.proposal("k"), policy="readers")


async def test_refusal_of_the_chaincode_signs_nothing(house: House) -> None:
    house.hosts.parts = {"status": 400, "message": "no such bus"}
    with pytest.raises(ChaincodeRefused) as caught:
        await house.endorser.endorse(house.admit(world.proposal("k")))
    assert caught.value.message == "no such bus"
    assert caught.value.details == {
        "peer": "peer1",
        "response": {"status": 400, "message": "no such bus"},
        "height": 1,
    }


async def test_committed_transaction_is_not_endorsed_again(house: House) -> None:
    envelope = world.envelope("k", 1)
    house.channel.committed(house.chain.commit(envelope))
    with pytest.raises(DuplicateTransaction) as caught:
        await house.endorser.endorse(house.admit(world.proposal("k", 1)))
    assert caught.value.code == "DUPLICATE_TXID"
    assert caught.value.details["outcome"]["code_name"] == "VALID"
    assert caught.value.details["outcome"]["block"] == 1
    assert house.hosts.ran == []


async def test_uncommitted_proposal_may_be_endorsed_again(house: House) -> None:
    admitted = house.admit(world.proposal("k", 1))
    assert await house.endorser.endorse(admitted) == await house.endorser.endorse(admitted)


async def test_endorser_waits_for_the_height_that_is_asked_for(house: House) -> None:
    admitted = house.admit(world.proposal("k", 1))
    waiting = asyncio.create_task(house.endorser.endorse(admitted, min_height=2))
    await asyncio.sleep(0)
    assert not waiting.done()
    house.channel.committed(house.chain.commit(world.envelope("other", 1, nonce=7)))
    assert (await waiting).height == 2


async def test_endorser_that_stays_behind_says_so(house: House) -> None:
    with pytest.raises(PeerBehind) as caught:
        await house.endorser.endorse(house.admit(world.proposal("k")), min_height=5)
    assert caught.value.status == 503
    assert caught.value.details == {"height": 1}
    assert house.channel._waiting == []


@pytest.mark.parametrize("text", ["rubbish", world.result(world.proposal("other").proposal).text])
async def test_answer_that_is_not_this_proposals_result_is_not_signed(house: House, text: str) -> None:
    house.hosts.text = text
    with pytest.raises(ChaincodeFailed):
        await house.endorser.endorse(house.admit(world.proposal("k")))
