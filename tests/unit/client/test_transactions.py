"""The steps of a transaction: what is signed and sent, and which error each step raises."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from gridledger.client.errors import CommitError, CommitStatusError, EndorseError, SubmitError
from gridledger.client.session import Session
from gridledger.client.transactions import ClientProposal, ClientTransaction, check_committed
from gridledger.errors import GridLedgerError, TimeoutExceeded
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.fields import hash_of
from gridledger.protocol.proposal import SignedProposal
from gridledger.protocol.transaction import signing_text
from gridledger.protocol.transaction_status import Status
from gridledger.transport.call_frames import ENDORSE, EVALUATE, ORDER, SUBMIT
from gridledger.transport.node_client import ConnectionFailed
from tests.unit.client.paper_gateway import PaperGateway


def as_client(session: Session, signed: SignedProposal) -> ClientProposal:
    """A signed proposal as the SDK has it."""
    return ClientProposal(session, signed.proposal, signed.signature)


@pytest.fixture
def peer() -> PaperGateway:
    return PaperGateway()


@pytest.fixture
async def proposal(peer: PaperGateway) -> ClientProposal:
    return as_client(peer.session(), peer.paper.signed_proposal("put", "k", 1))


async def test_what_is_endorsed_is_signed_by_the_client(peer: PaperGateway, proposal: ClientProposal) -> None:
    endorsed = await proposal.endorse()
    transaction = endorsed.transaction
    assert transaction.proposal == proposal.proposal
    assert transaction.result.writes == (("k", 1),)
    fingerprints = [peer.paper.peers[name].fingerprint for name in ("peer1", "peer2")]
    assert [item.endorser for item in transaction.endorsements] == fingerprints
    text = signing_text(proposal.tx_id, transaction.result.hash, hash_of(transaction.endorsements_text))
    assert peer.paper.client.certificate.verify(transaction.signature, text)
    assert (endorsed.tx_id, endorsed.result) == (proposal.tx_id, 1)


async def test_a_result_of_another_proposal_is_not_signed(peer: PaperGateway, proposal: ClientProposal) -> None:
    peer.next[ENDORSE] = [peer.endorsed(peer.paper.signed_proposal("put", "k", 1))]
    with pytest.raises(EndorseError, match="belongs to another proposal") as caught:
        await proposal.endorse()
    assert (caught.value.code, caught.value.tx_id) == ("MALFORMED_MESSAGE", proposal.tx_id)


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"result":"{}","endorsements":[],"endorsed_by":[]}', b"[1]"])
async def test_an_answer_that_is_no_endorsement_is_told(
    peer: PaperGateway, proposal: ClientProposal, answer: bytes
) -> None:
    peer.next[ENDORSE] = [answer]
    with pytest.raises(EndorseError):
        await proposal.endorse()


async def test_each_step_raises_its_own_error_with_the_causes_code(
    peer: PaperGateway, proposal: ClientProposal
) -> None:
    cause = GridLedgerError("no such bus", code="CHAINCODE_REFUSED", status=400, endorsers={"peer1": "no such bus"})
    peer.next = {ENDORSE: [cause], EVALUATE: [cause], ORDER: [cause], SUBMIT: [cause]}
    for step, kind in ((proposal.endorse, EndorseError), (proposal.evaluate, EndorseError)):
        with pytest.raises(kind) as caught:
            await step()
        error = caught.value
        assert (error.code, error.status, error.tx_id) == ("CHAINCODE_REFUSED", 400, proposal.tx_id)
        assert error.details == {"endorsers": {"peer1": "no such bus"}}
    transaction = await proposal.endorse()
    for step in (transaction.submit, transaction.submit_and_wait):
        with pytest.raises(SubmitError) as refused:
            await step()
        assert (refused.value.code, refused.value.tx_id) == ("CHAINCODE_REFUSED", proposal.tx_id)


async def test_evaluating_gives_the_payload_and_orders_nothing(peer: PaperGateway, proposal: ClientProposal) -> None:
    assert await proposal.evaluate() == 7
    assert peer.submitted == []


async def test_submitting_and_waiting_gives_the_status(peer: PaperGateway, proposal: ClientProposal) -> None:
    transaction = await proposal.endorse()
    peer.next[SUBMIT] = [Code.MVCC_READ_CONFLICT, b"[]"]
    assert await transaction.submit_and_wait() == Status(proposal.tx_id, Code.MVCC_READ_CONFLICT, 1, "c" * 64)
    assert peer.submitted == [transaction.transaction]
    with pytest.raises(SubmitError):
        await transaction.submit_and_wait()


async def test_a_submitted_transaction_is_asked_for_by_its_id(peer: PaperGateway, proposal: ClientProposal) -> None:
    submitted = await (await proposal.endorse()).submit()
    assert (submitted.tx_id, submitted.result) == (proposal.tx_id, 1)
    path = f"/channels/shard1/transactions/{proposal.tx_id}/status"
    status = Status(proposal.tx_id, Code.VALID, 4, "d" * 64)
    peer.answers[path] = status.to_dict()
    assert await submitted.get_status() == status
    peer.answers[path] = TimeoutExceeded("not committed yet")
    with pytest.raises(CommitStatusError) as caught:
        await submitted.get_status()
    assert (caught.value.code, caught.value.tx_id) == ("TIMEOUT", proposal.tx_id)


@pytest.mark.parametrize("code", [Code.MVCC_READ_CONFLICT, Code.ENDORSEMENT_POLICY_FAILURE])
def test_a_transaction_without_effect_is_an_error(code: Code) -> None:
    with pytest.raises(CommitError) as caught:
        check_committed(Status("t" * 64, code, 7, "c" * 64))
    error = caught.value
    assert (error.validation_code, error.block, error.code, error.status) == (code, 7, code.name, 409)
    assert str(error) == f"{code.name}: invalid: {code.name} in block 7 (transaction {'t' * 64})"


def test_a_valid_transaction_is_none() -> None:
    check_committed(Status("t" * 64, Code.VALID, 7, "c" * 64))


LOST = ConnectionFailed("the connection was lost")
REFUSED = GridLedgerError("too old", code="PROPOSAL_STALE", status=400)


class TwoGateways:
    """A transaction that was endorsed through the first of two gateways, and is to be submitted."""

    def __init__(self, first: PaperGateway) -> None:
        self.first, self.second = first, PaperGateway()
        self.session = first.session(others=[self.second])

    async def endorsed(self) -> ClientTransaction:
        return await as_client(self.session, self.first.paper.signed_proposal("put", "k", 1)).endorse()

    def commits(self, transaction: ClientTransaction, code: Code = Code.VALID) -> Status:
        """Let the second gateway know the transaction."""
        status = Status(transaction.tx_id, code, 4, "d" * 64)
        self.second.answers[f"/channels/shard1/transactions/{transaction.tx_id}/status"] = status.to_dict()
        return status

    def knows_nothing_of(self, transaction: ClientTransaction) -> None:
        path = f"/channels/shard1/transactions/{transaction.tx_id}/status"
        self.second.answers[path] = TimeoutExceeded("not committed")


@pytest.fixture
async def two(peer: PaperGateway) -> AsyncIterator[TwoGateways]:
    made = TwoGateways(peer)
    yield made
    await asyncio.gather(*made.session.gateways._failed.values(), return_exceptions=True)


@pytest.mark.parametrize("kind", [ORDER, SUBMIT])
async def test_the_same_envelope_goes_to_the_next_gateway(two: TwoGateways, kind: int) -> None:
    transaction = await two.endorsed()
    two.first.next[kind] = [LOST]
    await (transaction.submit() if kind == ORDER else transaction.submit_and_wait())
    assert [item.to_bytes() for item in two.second.submitted] == [transaction.to_bytes()]
    assert two.first.submitted == []


@pytest.mark.parametrize("code", [Code.VALID, Code.MVCC_READ_CONFLICT])
async def test_a_refusal_after_a_lost_answer_is_no_outcome(two: TwoGateways, code: Code) -> None:
    transaction = await two.endorsed()
    two.first.next[SUBMIT], two.second.next[SUBMIT] = [LOST], [REFUSED]
    status = two.commits(transaction, code)
    assert await transaction.submit_and_wait() == status


@pytest.mark.parametrize("outcome", [{}, {"outcome": "not ordered"}])
async def test_an_outcome_that_nobody_knows_is_told_as_such(two: TwoGateways, outcome: dict[str, str]) -> None:
    transaction = await two.endorsed()
    refused = GridLedgerError("too old", code="PROPOSAL_STALE", status=400, **outcome)
    two.first.next[SUBMIT], two.second.next[SUBMIT] = [LOST], [refused]
    two.knows_nothing_of(transaction)
    with pytest.raises(SubmitError) as caught:
        await transaction.submit_and_wait()
    assert (caught.value.code, caught.value.details["outcome"]) == ("PROPOSAL_STALE", "unknown")


async def test_a_refusal_at_once_is_the_outcome(two: TwoGateways) -> None:
    transaction = await two.endorsed()
    two.first.next[SUBMIT] = [REFUSED]
    two.commits(transaction)
    with pytest.raises(SubmitError) as caught:
        await transaction.submit_and_wait()
    assert "outcome" not in caught.value.details


@pytest.mark.parametrize("kind", [ORDER, SUBMIT])
async def test_the_refusal_of_a_duplicate_is_an_answer(peer: PaperGateway, proposal: ClientProposal, kind: int) -> None:
    transaction = await proposal.endorse()
    peer.next[kind] = [GridLedgerError("on the ledger already", code="DUPLICATE_TXID", status=409)]
    status = Status(proposal.tx_id, Code.VALID, 4, "d" * 64)
    peer.answers[f"/channels/shard1/transactions/{proposal.tx_id}/status"] = status.to_dict()
    if kind == SUBMIT:
        assert await transaction.submit_and_wait() == status
    else:
        assert await (await transaction.submit()).get_status() == status


async def test_a_lost_answer_without_another_gateway_is_unknown(peer: PaperGateway, proposal: ClientProposal) -> None:
    transaction = await proposal.endorse()
    peer.next[SUBMIT] = [LOST]
    with pytest.raises(SubmitError) as caught:
        await transaction.submit_and_wait()
    assert (caught.value.code, caught.value.details) == ("CONNECTION_FAILED", {"outcome": "unknown"})


async def test_an_endorsement_that_failed_over_makes_no_doubt(two: TwoGateways) -> None:
    two.first.next[ENDORSE] = [LOST]
    attempts = two.session.attempts()
    proposal = as_client(two.session, two.first.paper.signed_proposal("put", "k", 1))
    two.second.paper = two.first.paper
    transaction = await proposal.endorse(retry=attempts)
    two.second.next[SUBMIT] = [REFUSED]
    with pytest.raises(SubmitError) as caught:
        await transaction.submit_and_wait(retry=attempts)
    assert "outcome" not in caught.value.details
