"""A peer that lies to a gateway: what it sends is in no transaction, others stand in for it, and it is named."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from gridledger.errors import InputError
from gridledger.ledger.validation import SignatureCheck, verify_one_by_one
from gridledger.protocol.result import Endorsement, Read, Response, Version, endorsement_text
from services.peer.endorser.endorser import ProposalResponse
from services.peer.errors import (
    BadEndorsement,
    ChaincodeRefused,
    ChaincodeSequence,
    DuplicateTransaction,
    EndorsersUnavailable,
    PeerBehind,
)
from services.peer.gateway import selection
from services.peer.gateway.endorsement import MAX_AHEAD
from services.peer.gateway.peer_health import FAILED, FIRST_DISTRUST_S, HEALTHY, MAX_DIFFERENCES
from services.peer.gateway.verification import verify_endorsement
from tests.support.paper import with_high_s
from tests.support.waiting import until
from tests.unit.peer.gateway.endorsing_peers import Peers


@pytest.fixture(autouse=True)
def _no_sharing(monkeypatch: pytest.MonkeyPatch) -> None:
    """Each proposal gets a set of its own."""
    monkeypatch.setattr(selection, "SHARED_S", 0.0)


def signed_by_another_key(peers: Peers) -> ProposalResponse:
    true = peers.answer("peer2")
    text = endorsement_text(true.endorsement.endorser, "0" * 64)
    return replace(true, endorsement=replace(true.endorsement, signature=peers.paper.peers["peer1"].sign(text)))


def signed_over_another_result(peers: Peers) -> ProposalResponse:
    return replace(peers.answer("peer2"), endorsement=peers.answer("peer2", payload="other").endorsement)


def signed_with_high_s(peers: Peers) -> ProposalResponse:
    true = peers.answer("peer2")
    return replace(true, endorsement=replace(true.endorsement, signature=with_high_s(true.endorsement.signature)))


def no_signature(peers: Peers) -> ProposalResponse:
    true = peers.answer("peer2")
    return replace(true, endorsement=replace(true.endorsement, signature=b""))


def of_somebody_else(peers: Peers) -> ProposalResponse:
    return peers.answer("peer3")


def of_nobody(peers: Peers) -> ProposalResponse:
    return replace(peers.answer("peer2"), endorsement=Endorsement("ab" * 32, b"signature"))


def of_another_proposal(peers: Peers) -> ProposalResponse:
    return peers.answer("peer2", tx_id="ab" * 32)


def of_another_channel(peers: Peers) -> ProposalResponse:
    return peers.answer("peer2", channel="shard9")


def of_another_sequence(peers: Peers) -> ProposalResponse:
    return peers.answer("peer2", sequence=7)


def of_a_refusal(peers: Peers) -> ProposalResponse:
    result = peers.paper.result(peers.signed.proposal, response=Response(400, "no", None))
    return ProposalResponse(result.text, peers.paper.endorsement("peer2", result), 10)


def of_no_result(peers: Peers) -> ProposalResponse:
    result = replace(peers.paper.result(peers.signed.proposal), text="[" * 100)
    return ProposalResponse(result.text, peers.paper.endorsement("peer2", result), 10)


LIES = (
    signed_by_another_key,
    signed_over_another_result,
    signed_with_high_s,
    no_signature,
    of_somebody_else,
    of_nobody,
    of_another_proposal,
    of_another_channel,
    of_another_sequence,
    of_a_refusal,
    of_no_result,
)


def answers(peers: Peers, name: str, make: Callable[[int], ProposalResponse]) -> None:
    async def behaviour(min_height: int) -> ProposalResponse:
        return make(min_height)

    peers.behaviours[name] = behaviour


@pytest.mark.parametrize("lie", LIES)
async def test_a_lying_peer_is_in_no_transaction_and_named(lie: Callable[[Peers], ProposalResponse]) -> None:
    peers = Peers(3, "OutOf(2, all)")
    answers(peers, "peer2", lambda _: lie(peers))
    for _ in range(6):
        collected = await peers.collect()
        assert set(collected.peers) == {"peer1", "peer3"}
        for endorsement, name in zip(collected.endorsements, collected.peers, strict=True):
            response = ProposalResponse(collected.result_text, endorsement, 0)
            verify_endorsement(response, peers.config.peers[name], peers.signed.proposal, result_known=False)
    assert peers.asked.count("peer2") == 1
    assert peers.health.status()["peer2"].startswith("BAD_ENDORSEMENT: ")
    assert peers.collector.bad_endorsements == 1
    assert peers.probed == []
    # The committer hears of those that were verified, and of nothing else.
    assert [check.certificate for check in peers.noted] == [peers.config.peers["peer3"].certificate] * 6
    assert verify_one_by_one(peers.noted) == [True] * 6


async def test_who_lied_is_told_where_nobody_stands_in() -> None:
    peers = Peers(2, "OutOf(2, all)")
    answers(peers, "peer2", lambda _: signed_by_another_key(peers))
    for _ in range(2):
        with pytest.raises(EndorsersUnavailable, match="peer2: BAD_ENDORSEMENT: the signature") as told:
            await peers.collect()
        assert told.value.details["peers"]["peer1"] == "endorsed"


async def test_this_peers_own_endorsement_is_not_verified(monkeypatch: pytest.MonkeyPatch) -> None:
    verified: list[str] = []

    def note(response: Any, peer: Any, proposal: Any, *, result_known: bool) -> SignatureCheck:
        verified.append(f"{peer.name} {result_known}")
        return verify_endorsement(response, peer, proposal, result_known=result_known)

    monkeypatch.setattr("services.peer.gateway.endorsement.verify_endorsement", note)
    await Peers(2, "OutOf(2, all)").collect()
    assert verified == ["peer2 True"]  # and an equal result is not read again


async def test_either_certificate_of_a_renewal_is_taken() -> None:
    peers = Peers(2, "OutOf(2, all)")
    renewed = peers.paper.organisations["Org2MSP"].issue("peer2", "peer")
    node = peers.config.peers["peer2"]
    both = replace(node, renewed=renewed.certificate)
    peers.config = replace(peers.config, peers={**peers.config.peers, "peer2": both})
    peers.proposal.channel.config = peers.config
    for signer in (peers.paper.peers["peer2"], renewed):
        peers.paper.peers["peer2"] = signer
        assert set((await peers.collect()).peers) == {"peer1", "peer2"}


async def test_a_peer_whose_results_differ_is_asked_less() -> None:
    peers = Peers(3, "OutOf(2, all)")
    answers(peers, "peer2", lambda _: peers.answer("peer2", writes={"k": "stolen"}))
    for _ in range(12):
        assert set((await peers.collect()).peers) == {"peer1", "peer3"}
    assert peers.asked.count("peer2") == MAX_DIFFERENCES
    assert peers.health.status() == {"peer2": "its results differ from those of peer1, peer3"}
    assert peers.health.rank("peer2", "kv") < FAILED  # before one that is down


@pytest.mark.parametrize(
    ("error", "told"),
    [
        (ChaincodeRefused("no", height=10), "it refuses what peer1, peer3 endorse: CHAINCODE_REFUSED: no"),
        (DuplicateTransaction("in block 7", outcome={"block": 7}), "DUPLICATE_TXID: in block 7"),
        (ChaincodeSequence("old", current=9), "CHAINCODE_SEQUENCE: old"),
        (InputError("bad"), "BAD_REQUEST: bad"),
    ],
)
async def test_a_peer_that_refuses_alone_holds_nothing_up(error: InputError, told: str) -> None:
    peers = Peers(3, "OutOf(2, all)")
    peers.fails("peer2", error)
    for _ in range(12):
        assert set((await peers.collect()).peers) == {"peer1", "peer3"}
    assert told in peers.health.status()["peer2"]


async def test_a_duplicate_that_another_peer_knows_of_is_told() -> None:
    peers = Peers(2, "OutOf(2, all)")
    peers.fails("peer2", DuplicateTransaction("it is in block 7", outcome={"block": 7, "code": 0}))
    with pytest.raises(DuplicateTransaction, match="peer2: it is in block 7") as caught:
        await peers.collect()
    assert "outcome" not in caught.value.details  # that would be one peer's word for what became of it


@pytest.mark.parametrize("claim", [11, 50, 10 + MAX_AHEAD, 10**6, 2**64 - 1])
async def test_a_height_that_nobody_reaches_holds_nothing_up(claim: int) -> None:
    peers = Peers(3, "OutOf(2, all)")

    def honest(name: str) -> Callable[[int], ProposalResponse]:
        def make(min_height: int) -> ProposalResponse:
            if min_height > 10:
                raise PeerBehind("this peer has 10 blocks", height=10)
            return peers.answer(name, reads=[Read("k", Version(9, 0))])

        return make

    answers(peers, "peer1", honest("peer1"))
    answers(peers, "peer3", honest("peer3"))
    answers(peers, "peer2", lambda _: peers.answer("peer2", claim, reads=[Read("k", Version(claim - 1, 0))]))
    for _ in range(12):
        assert set((await peers.collect()).peers) == {"peer1", "peer3"}
    assert list(peers.health.status()) == ["peer2"]
    assert "which neither peer1 nor this peer has" in peers.health.status()["peer2"]
    assert all(height <= 10 + MAX_AHEAD for _, height in peers.calls)


async def test_who_waits_for_a_claimed_height_is_not_left_out() -> None:
    """Whoever claimed it was asked on, and those who waited for it were not."""
    peers = Peers(3, "OutOf(2, all)", hedge_after_s=0.01)
    left_out: list[str] = []

    def waits(name: str) -> None:
        async def behaviour(min_height: int) -> ProposalResponse:
            if min_height > 10:
                await until(lambda: len({asked for asked, height in peers.calls if not height}) == 3)
                left_out.extend(known for known in peers.health.status() if known != "peer2")
                raise PeerBehind("this peer has 10 blocks", height=10)
            return peers.answer(name, reads=[Read("k", Version(9, 0))])

        peers.behaviours[name] = behaviour

    waits("peer1")
    waits("peer3")
    answers(peers, "peer2", lambda _: peers.answer("peer2", 50, reads=[Read("k", Version(49, 0))]))
    for _ in range(12):
        peers.calls.clear()
        assert set((await peers.collect()).peers) == {"peer1", "peer3"}
    assert left_out == []


async def test_a_refusals_height_may_be_anything() -> None:
    for height in (-1, 10**30, "7", None, True, 1.5):
        peers = Peers(3, "OutOf(2, all)")
        peers.fails("peer2", ChaincodeRefused("no", height=height))
        for _ in range(2):
            assert set((await peers.collect()).peers) == {"peer1", "peer3"}


async def test_a_peer_that_lies_again_is_left_out_for_longer() -> None:
    peers = Peers(3, "OutOf(2, all)")
    now = 0.0
    peers.health._clock = lambda: now
    answers(peers, "peer2", lambda _: signed_by_another_key(peers))
    asked_at = []
    while now < 300:
        before = peers.asked.count("peer2")
        for _ in range(2):
            await peers.collect()
        if peers.asked.count("peer2") > before:
            asked_at.append(now)
        now += FIRST_DISTRUST_S / 2
    assert asked_at == [0, 10, 30, 70, 150]
    del peers.behaviours["peer2"]
    now = 150 + 16 * FIRST_DISTRUST_S
    await peers.collect()
    assert peers.health.rank("peer2", "kv") == HEALTHY


def test_a_bad_endorsement_is_a_bad_gateways() -> None:
    assert (BadEndorsement.code, BadEndorsement.status) == ("BAD_ENDORSEMENT", 502)
