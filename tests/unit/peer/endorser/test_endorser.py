"""The endorser: what it refuses, what it signs, how it waits for blocks."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import GridLedgerError
from gridledger.identity.errors import UnknownAuthority
from gridledger.protocol.proposal import Proposal, SignedProposal
from gridledger.protocol.result import Response, Result, endorsement_text
from services.peer.channel import Channel, Channels
from services.peer.endorser.endorser import AdmittedProposal, Endorser
from services.peer.errors import ChaincodeFailed, ChaincodeRefused, DuplicateTransaction, NotInConfig, PeerBehind
from tests.support.paper import NOW_US, PaperNetwork, PaperOrganisation, PaperPeer


class Hosts:
    """A chaincode that does what the test says."""

    def __init__(self, paper: PaperNetwork) -> None:
        self.paper = paper
        self.ran: list[str] = []
        self.response = Response(200, "", "done")
        self.text: str | None = None

    async def run(self, proposal: AdmittedProposal) -> str:
        made = proposal.signed.proposal
        self.ran.append(made.tx_id)
        return self.text if self.text is not None else self.paper.result(made, {"k": 1}, response=self.response).text


class House:
    """A peer's endorser over a real ledger; its clock stands still."""

    def __init__(self, folder: Path, writers: str = "any.member") -> None:
        self.paper = PaperNetwork(writers=writers)
        self.peer = PaperPeer(folder, self.paper)
        self.channel = Channel(self.peer.ledger)
        self.hosts = Hosts(self.paper)
        self.endorser = Endorser(
            "peer1",
            self.paper.peers["peer1"],
            Channels({"shard1": self.channel}),
            self.hosts,
            clock_us=lambda: NOW_US,
            catch_up_s=0.2,
        )
        self.caller = self.paper.identity(self.paper.client)

    def propose(self, *args: Any, **changes: Any) -> SignedProposal:
        """A client's proposal."""
        return self.paper.signed_proposal("put", *args, **changes)

    def admit(self, signed: SignedProposal, **options: Any) -> AdmittedProposal:
        return self.endorser.admit(signed, options.pop("caller", self.caller), **options)


@pytest.fixture
def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_endorsement_signs_the_result(house: House) -> None:
    signed = house.propose()
    answer = await house.endorser.endorse(house.admit(signed))
    outcome, endorser = Result.parse(answer.result_text), house.paper.peers["peer1"]
    assert outcome.tx_id == signed.proposal.tx_id
    assert answer.endorsement.endorser == endorser.fingerprint
    text = endorsement_text(endorser.fingerprint, outcome.hash)
    assert endorser.certificate.verify(answer.endorsement.signature, text)
    assert answer.height == 1


async def test_a_peer_that_the_config_does_not_have_endorses_nothing(house: House) -> None:
    admitted = house.admit(house.propose())
    config = house.channel.config
    house.channel.config = replace(config, peers={"peer2": config.peers["peer2"]})
    with pytest.raises(NotInConfig, match="peer1 is no peer of shard1"):
        await house.endorser.endorse(admitted)
    assert house.hosts.ran == []


def _tampered(signed: SignedProposal) -> SignedProposal:
    text = signed.proposal.text.replace('"put"', '"del"')
    return SignedProposal(Proposal.parse(text), signed.signature)


@pytest.mark.parametrize(
    ("signed", "code", "status"),
    [
        (lambda house: house.propose(channel="other"), "CHANNEL_UNKNOWN", 404),
        (lambda house: house.propose(chaincode="other"), "CHAINCODE_UNKNOWN", 404),
        (lambda house: house.propose(sequence=2), "CHAINCODE_SEQUENCE", 409),
        (lambda house: house.propose(time_us=NOW_US - 301_000_000), "PROPOSAL_STALE", 400),
        (lambda house: house.propose(time_us=NOW_US + 301_000_000), "PROPOSAL_STALE", 400),
        (lambda house: _tampered(house.propose()), "BAD_CREATOR_SIGNATURE", 401),
        (lambda house: house.propose("x" * 3_000_000), "ENVELOPE_TOO_LARGE", 413),
    ],
)
def test_refusals(house: House, signed: Any, code: str, status: int) -> None:
    with pytest.raises(GridLedgerError) as caught:
        house.admit(signed(house))
    assert (caught.value.code, caught.value.status) == (code, status)


def test_stranger_is_refused(house: House) -> None:
    with pytest.raises(UnknownAuthority):
        house.admit(house.propose(client=PaperOrganisation("ElsewhereMSP").issue("eve", "client")))


def test_proposal_is_brought_by_its_creator_or_by_a_peer(house: House) -> None:
    signed = house.propose()
    house.admit(signed, caller=house.paper.identity(house.paper.peers["peer2"]))
    with pytest.raises(GridLedgerError) as caught:
        house.admit(signed, caller=house.paper.identity(house.paper.clients["Org2MSP"]))
    assert caught.value.code == "PERMISSION_DENIED"


def test_writers_policy_is_asked(tmp_path: Path) -> None:
    house = House(tmp_path, writers="OR('Org2MSP.client', 'Org2MSP.peer')")
    with pytest.raises(GridLedgerError) as caught:
        house.admit(house.propose())
    assert caught.value.code == "PERMISSION_DENIED"
    assert caught.value.details == {"resource": "peer/Propose", "policy": "/Channel/Application/Writers"}
    assert "asks for /Channel/Application/Writers (OR('Org2MSP.client', 'Org2MSP.peer'))" in caught.value.message
    house.admit(house.propose(), resource="gateway/Evaluate")


async def test_refusal_of_the_chaincode_signs_nothing(house: House) -> None:
    house.hosts.response = Response(400, "no such bus", None)
    with pytest.raises(ChaincodeRefused) as caught:
        await house.endorser.endorse(house.admit(house.propose()))
    assert caught.value.message == "no such bus"
    assert caught.value.details == {
        "peer": "peer1",
        "response": {"status": 400, "message": "no such bus"},
        "height": 1,
    }


async def test_committed_transaction_is_not_endorsed_again(house: House) -> None:
    signed = house.propose()
    house.channel.committed(house.peer.commit(house.paper.transaction({"k": 1}, proposal=signed.proposal)))
    with pytest.raises(DuplicateTransaction) as caught:
        await house.endorser.endorse(house.admit(signed))
    assert caught.value.code == "DUPLICATE_TXID"
    assert caught.value.details["outcome"]["code_name"] == "VALID"
    assert caught.value.details["outcome"]["block"] == 1
    assert house.hosts.ran == []


async def test_uncommitted_proposal_may_be_endorsed_again(house: House) -> None:
    admitted = house.admit(house.propose())
    assert await house.endorser.endorse(admitted) == await house.endorser.endorse(admitted)


async def test_endorser_waits_for_the_height_that_is_asked_for(house: House) -> None:
    admitted = house.admit(house.propose())
    waiting = asyncio.create_task(house.endorser.endorse(admitted, min_height=2))
    await asyncio.sleep(0)
    assert not waiting.done()
    house.channel.committed(house.peer.commit(house.paper.transaction({"other": 1})))
    assert (await waiting).height == 2


async def test_endorser_that_stays_behind_says_so(house: House) -> None:
    with pytest.raises(PeerBehind) as caught:
        await house.endorser.endorse(house.admit(house.propose()), min_height=5)
    assert caught.value.status == 503
    assert caught.value.details == {"height": 1}
    assert house.channel._waiting == []


async def test_what_is_not_the_proposals_result_is_not_signed(house: House) -> None:
    for text in ("rubbish", house.paper.result(house.paper.proposal()).text):
        house.hosts.text = text
        with pytest.raises(ChaincodeFailed):
            await house.endorser.endorse(house.admit(house.propose()))
