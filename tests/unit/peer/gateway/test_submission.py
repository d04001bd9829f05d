"""Submission: what is ordered, waited for and refused, and that nothing is left behind."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger import jsontext
from gridledger.effort import Effort
from gridledger.errors import AuthenticationError, BusyError, GridLedgerError, PermissionDeniedError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.errors import EnvelopeTooLarge
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result
from services.peer.errors import CommitTimeout
from services.peer.gateway import submission as module
from services.peer.gateway.endorsed_here import MAX_KEPT, EndorsedHere
from tests.support.paper import paper_policies
from tests.support.waiting import until
from tests.unit.peer.gateway.ordering_house import OrderingHouse


@pytest.fixture
async def house(tmp_path: Path) -> OrderingHouse:
    return OrderingHouse(tmp_path)


async def test_order_alone_does_not_wait_for_the_commit(house: OrderingHouse) -> None:
    house.commits = False
    transaction = house.transaction()
    assert await house.submitter.order(transaction.to_bytes(), house.caller) == transaction.tx_id
    assert house.ordered == [[transaction.to_bytes()]]
    assert house.channel.status(transaction.tx_id) is None


async def test_committed_transaction_is_told_and_not_ordered_again(house: OrderingHouse) -> None:
    envelope = house.transaction().to_bytes()
    first = await house.submitter.submit(envelope, house.caller)
    assert await house.submitter.submit(envelope, house.caller) == first
    assert len(house.ordered) == 1


async def test_commit_answers_even_if_every_acknowledgement_is_lost(house: OrderingHouse) -> None:
    house.acknowledges = False
    outcome = await house.submitter.submit(house.transaction().to_bytes(), house.caller)
    assert outcome.code == Code.VALID
    assert len(house.queue) == 0


async def test_client_of_a_retry_learns_the_first_copys_code(house: OrderingHouse) -> None:
    envelope = house.transaction().to_bytes()
    house.commits = False
    waiting = asyncio.create_task(house.submitter.submit(envelope, house.caller))
    await until(lambda: house.ordered)
    house.peer.commit(envelope)  # and nobody is told of it
    house.commit(envelope)
    outcome = await waiting
    assert (outcome.code, outcome.block) == (Code.VALID, 1)
    with house.peer.ledger.snapshot() as snapshot:
        assert snapshot.metadata(2).codes == (Code.DUPLICATE_TXID,)


async def test_commit_that_does_not_come_is_told_with_the_id(tmp_path: Path) -> None:
    house = OrderingHouse(tmp_path, commit_timeout_s=0.2)
    house.commits = False
    transaction = house.transaction()
    with pytest.raises(CommitTimeout) as caught:
        await house.submitter.submit(transaction.to_bytes(), house.caller)
    assert caught.value.status == 504
    assert caught.value.details["tx_id"] == transaction.tx_id
    assert len(house.notifier) == 0


async def test_client_that_leaves_leaves_nothing_behind(house: OrderingHouse) -> None:
    house.commits = False
    task = asyncio.create_task(house.submitter.submit(house.transaction().to_bytes(), house.caller))
    await until(lambda: house.ordered)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (len(house.notifier), len(house.queue)) == (0, 0)
    await until(lambda: not house.queue._senders)


async def test_config_update_is_submitted_like_a_transaction(house: OrderingHouse) -> None:
    update = house.paper.update()
    outcome = await house.submitter.submit(update.to_bytes(), house.caller)
    assert (outcome.tx_id, outcome.code) == (update.tx_id, Code.VALID)
    assert house.channel.config.sequence == 1


async def test_unreadable_envelopes_are_refused(house: OrderingHouse) -> None:
    cut_short = house.transaction().to_bytes()[:-20]
    for envelope in (b"", b"{}", b"[]", b'{"config_update":"x"}', cut_short):
        with pytest.raises(GridLedgerError) as caught:
            await house.submitter.submit(envelope, house.caller)
        assert caught.value.status == 400
    assert house.ordered == []


MALFORMED = [
    ("endorsements", "", "'endorsements': not a JSON text"),
    ("endorsements", "{}", "'endorsements': 'endorsements' must be a list"),
    ("endorsements", [], "'endorsements' must be a text inside a string"),
    ("endorsements", '[{"endorser": "x"}]', "missing members .'signature'."),
    ("result", None, "'result' must be a text inside a string"),
    ("result", '{"kind":"result"}', "'result': "),
    ("result", "[", "'result': not a JSON text"),
    ("signature", 1, "'signature': it must be a base64"),
    ("signature", "&", "'signature': it is not base64"),
    ("proposal", '{"kind":"proposal"}', "'proposal': a proposal: missing members"),
    ("proposal", 7, "'proposal' must be a text inside a string"),
]


@pytest.mark.parametrize(("member", "value", "said"), MALFORMED)
async def test_a_malformed_member_is_named(house: OrderingHouse, member: str, value: object, said: str) -> None:
    parts = {**jsontext.loads(house.transaction().to_bytes()), member: value}
    with pytest.raises(GridLedgerError, match=said) as caught:
        await house.submitter.submit(jsontext.dumps(parts), house.caller)
    assert caught.value.status == 400
    assert house.ordered == []


async def test_a_proposal_that_names_no_certificate_is_refused(house: OrderingHouse) -> None:
    parts = jsontext.loads(house.transaction().to_bytes())
    proposal = {**jsontext.loads(parts["proposal"]), "creator": "AAAA"}
    with pytest.raises(GridLedgerError, match="'proposal': ") as caught:
        await house.submitter.submit(
            jsontext.dumps({**parts, "proposal": jsontext.dumps(proposal).decode()}), house.caller
        )
    assert caught.value.code == "MALFORMED_CERTIFICATE"


async def test_what_was_endorsed_here_is_not_read_again(house: OrderingHouse, monkeypatch: pytest.MonkeyPatch) -> None:
    transaction = house.transaction()
    proposal = transaction.proposal
    house.endorsed_here.note(transaction.tx_id, proposal.channel, proposal.certificate(), transaction.result.text)
    for kind in (Proposal, Result):
        monkeypatch.setattr(kind, "parse", None)
    with monkeypatch.context() as patched:
        patched.setattr(house, "commits", False)
        assert await house.submitter.order(transaction.to_bytes(), house.caller) == transaction.tx_id


async def test_another_result_than_the_endorsed_one_is_read(house: OrderingHouse) -> None:
    transaction = house.transaction()
    proposal = transaction.proposal
    house.endorsed_here.note(transaction.tx_id, proposal.channel, proposal.certificate(), transaction.result.text)
    parts = {**jsontext.loads(transaction.to_bytes()), "result": "{}"}
    with pytest.raises(GridLedgerError, match="'result': "):
        await house.submitter.submit(jsontext.dumps(parts), house.caller)


async def test_endorsed_proposals_are_kept_within_a_bound(house: OrderingHouse) -> None:
    certificate = house.transaction().proposal.certificate()
    kept = EndorsedHere()
    for number in range(MAX_KEPT + 5):
        kept.note(str(number), "c", certificate, "result")
    assert len(kept) == MAX_KEPT
    assert kept.find("4", "result") is None
    assert kept.find("5", "result") is not None


async def test_envelope_over_the_channels_limit_is_refused(house: OrderingHouse) -> None:
    with pytest.raises(EnvelopeTooLarge):
        await house.submitter.submit(house.transaction("x" * 2_100_000).to_bytes(), house.caller)


async def test_the_same_transaction_twice_at_once_is_one(house: OrderingHouse) -> None:
    envelope = house.transaction().to_bytes()
    first, second = await asyncio.gather(*(house.submitter.submit(envelope, house.caller) for _ in range(2)))
    assert first == second
    assert first.code == Code.VALID
    assert (len(house.notifier), len(house.queue)) == (0, 0)


async def test_only_those_beyond_the_bound_of_waiters_are_busy(house: OrderingHouse) -> None:
    envelopes = [house.transaction(number).to_bytes() for number in range(12)]
    work = [house.submitter.submit(envelope, house.caller) for envelope in envelopes]
    found = await asyncio.gather(*work, return_exceptions=True)
    assert [getattr(outcome, "code", None) for outcome in found] == [Code.VALID] * 9 + ["BUSY"] * 3


async def test_only_the_commit_that_does_not_come_is_too_late(tmp_path: Path) -> None:
    house = OrderingHouse(tmp_path, commit_timeout_s=1.0)
    house.commits = False
    envelopes = [house.transaction(number).to_bytes() for number in range(2)]
    waiting = [asyncio.create_task(house.submitter.submit(envelope, house.caller)) for envelope in envelopes]
    await until(lambda: sum(map(len, house.ordered)) == 2)
    house.commit(envelopes[1])
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [getattr(outcome, "code", None) for outcome in found] == ["COMMIT_TIMEOUT", Code.VALID]
    assert len(house.notifier) == 0


async def test_a_full_queue_leaves_no_waiter_behind(house: OrderingHouse) -> None:
    house.queue._places.resize(1)
    house.queue.add("other", b"x" * 10)
    with pytest.raises(BusyError):
        await house.submitter.submit(house.transaction().to_bytes(), house.caller)
    assert len(house.notifier) == 0
    await house.queue.close()


async def test_orderers_refusal_is_told_with_the_id(house: OrderingHouse) -> None:
    async def refuse(orderer: str, body: bytes, timeout_s: float) -> bytes:
        return jsontext.dumps({"results": [{"status": 403, "code": "PERMISSION_DENIED", "message": "no"}]})

    house.queue._send = refuse
    with pytest.raises(GridLedgerError) as caught:
        await house.submitter.submit(house.transaction().to_bytes(), house.caller)
    assert (caught.value.code, len(caught.value.details["tx_id"])) == ("PERMISSION_DENIED", 64)
    assert (len(house.notifier), len(house.queue)) == (0, 0)


async def test_who_has_much_refused_by_orderers_is_refused_here(
    house: OrderingHouse, monkeypatch: pytest.MonkeyPatch
) -> None:
    """So that the orderers need not refuse the gateway, and with it all its clients."""

    async def refuse(orderer: str, body: bytes, timeout_s: float) -> bytes:
        return jsontext.dumps({"results": [{"status": 401, "code": "BAD_CREATOR_SIGNATURE", "message": "no"}]})

    monkeypatch.setattr(module, "SECONDS_PER_BYTE", 1e-3)
    house.queue._send = refuse
    for name in ("submit", "order"):
        with pytest.raises(AuthenticationError):
            await getattr(house.submitter, name)(house.transaction().to_bytes(), house.caller)
        with pytest.raises(BusyError, match="was refused, and cost"):
            await getattr(house.submitter, name)(house.transaction().to_bytes(), house.caller)
        house.submitter._effort = Effort()


async def test_a_transaction_is_brought_by_its_creator_alone(house: OrderingHouse) -> None:
    envelope = house.transaction().to_bytes()
    for name in ("submit", "order"):
        with pytest.raises(PermissionDeniedError, match="may not bring what 'client' has signed"):
            await getattr(house.submitter, name)(envelope, house.paper.identity(house.paper.admins["Org1MSP"]))
    assert house.ordered == []
    renewed = house.paper.organisations["Org1MSP"].issue("client", "client")
    assert (await house.submitter.submit(envelope, house.paper.identity(renewed))).code == Code.VALID


async def test_a_config_update_is_brought_by_any_reader(house: OrderingHouse) -> None:
    other = house.paper.identity(house.paper.clients["Org2MSP"])
    assert (await house.submitter.submit(house.paper.update().to_bytes(), other)).code == Code.VALID


@pytest.mark.parametrize(("resource", "other"), [("gateway/Submit", "update"), ("gateway/SubmitConfig", "transaction")])
async def test_what_brings_an_envelope_is_a_resource(house: OrderingHouse, resource: str, other: str) -> None:
    """One for transactions and one for updates of the configuration."""
    envelopes = {"transaction": house.transaction().to_bytes(), "update": house.paper.update().to_bytes()}
    channel = house.submitter._channels["shard1"]
    channel.config = replace(channel.config, acls={resource: "/Channel/Orderer/Readers"})
    house.submitter.read(envelopes.pop(other), house.caller)
    (closed,) = envelopes.values()
    with pytest.raises(PermissionDeniedError, match=f"may not use {resource}"):
        house.submitter.read(closed, house.caller)


async def test_an_update_that_the_admins_have_not_signed_is_not_ordered(house: OrderingHouse) -> None:
    one = house.paper.admins["Org1MSP"]
    for signers, says in (([], "none of an admin"), ([one], "/Channel/Application/Admins")):
        with pytest.raises(PermissionDeniedError, match=says):
            await house.submitter.submit(house.paper.update(signers).to_bytes(), house.caller)
    assert house.ordered == []


async def test_an_update_beyond_the_next_is_for_the_orderers_to_judge(house: OrderingHouse) -> None:
    """This peer may be behind them, and then what it changes cannot be told here."""
    signed = house.paper.update([house.paper.admins["Org1MSP"]], sequence=2)
    assert (await house.submitter.order(signed.to_bytes(), house.caller)) == signed.tx_id
    with pytest.raises(PermissionDeniedError, match="none of an admin"):
        await house.submitter.order(house.paper.update([house.paper.client], sequence=3).to_bytes(), house.caller)


async def test_the_status_of_an_update_that_changed_the_admins_is_told(house: OrderingHouse) -> None:
    """Its signatures are no longer enough when it is sent again, because the answer was lost."""
    policies = paper_policies({"Application/Admins": "AND(all.admin, 'OrdererMSP.admin')"})
    update = house.paper.update(policies=policies)
    for _ in range(2):
        outcome = await house.submitter.submit(update.to_bytes(), house.caller)
        assert (outcome.tx_id, outcome.code) == (update.tx_id, Code.VALID)
    assert len(house.ordered) == 1


@pytest.mark.parametrize("creator", ["", "AAAA", 7, None, "x" * 9000])
async def test_an_envelope_of_nobody_is_refused(house: OrderingHouse, creator: object) -> None:
    members = jsontext.loads(house.transaction().to_bytes())
    members["proposal"] = jsontext.dumps({**jsontext.loads(members["proposal"]), "creator": creator}).decode()
    with pytest.raises(GridLedgerError) as caught:
        await house.submitter.submit(jsontext.dumps(members), house.caller)
    assert caught.value.status == 400
    assert house.ordered == []
