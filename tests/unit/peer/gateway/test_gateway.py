"""The gateway with a real ledger: submit, wait, retries, duplicates, evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger import framing, jsontext
from gridledger.errors import BusyError, GridLedgerError, UnavailableError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import Node
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.errors import EnvelopeTooLarge
from gridledger.protocol.status import Status
from services.peer.channel import Channel, Channels
from services.peer.endorser.endorser import AdmittedProposal, Endorser, ProposalResponse
from services.peer.errors import ChaincodeNotInstalled, ChaincodeRefused, CommitTimeout
from services.peer.gateway.commit_notifier import CommitNotifier
from services.peer.gateway.endorsement import Collector
from services.peer.gateway.gateway import Gateway
from services.peer.gateway.ordering_queue import OrderingQueue
from services.peer.gateway.peer_health import PeerHealth
from services.peer.gateway.selection import Selection
from services.peer.gateway.submission import Submitter
from services.peer.settings import EndorsementLimits, OrderingLimits
from tests.support import peer_world as world
from tests.support.waiting import until


class House:
    """A gateway whose orderer commits what it gets on this peer, when the test lets it."""

    def __init__(self, folder: Path, commit_timeout_s: float = 10.0) -> None:
        loop = asyncio.get_running_loop()
        self.chain = world.Chain(folder)
        self.channel = Channel(self.chain.ledger)
        self.caller = world.identity(world.client(), "client")
        self.ordered: list[list[bytes]] = []
        self.commits = True
        self.acknowledges = True
        self.parts: dict[str, Any] = {"writes": [("k", 1)], "payload": 7}
        self.here: GridLedgerError | None = None
        self.elsewhere: list[str] = []
        self.elsewhere_error: GridLedgerError | None = None
        channels = Channels({"shard1": self.channel})
        limits = EndorsementLimits()
        self.notifier = CommitNotifier(lambda _, tx_id: self.channel.status(tx_id), max_waiters=10)
        self.endorser = Endorser("peer1", world.peer(1), channels, self, clock_us=lambda: world.NOW_US, catch_up_s=0.1)
        self.health = PeerHealth(self.probe, 1.0, clock=loop.time)
        self.queue = OrderingQueue(
            "shard1",
            self.orderers,
            self.send,
            OrderingLimits(backoff_initial_s=0.001, backoff_max_s=0.002, timeout_s=2),
            clock=loop.time,
            random=Random(1),
        )
        self.submitter = Submitter(
            channels,
            {"shard1": self.queue},
            self.notifier,
            clock_us=lambda: world.NOW_US,
            commit_timeout_s=commit_timeout_s,
        )
        self.gateway = Gateway(
            "peer1",
            channels,
            endorser=self.endorser,
            collector=Collector(self.ask, Selection("peer1", self.health), self.health, limits, clock=loop.time),
            submitter=self.submitter,
            notifier=self.notifier,
            elsewhere=self,
            clock_us=lambda: world.NOW_US,
            random=Random(1),
            evaluate_timeout_s=1,
        )

    def orderers(self) -> Sequence[str]:
        return ["o1"]

    async def probe(self, _: Node) -> None:
        return

    async def run(self, proposal: AdmittedProposal) -> str:
        if self.here is not None:
            raise self.here
        return world.result(proposal.signed.proposal, **self.parts).text

    async def ask(self, peer: Node, proposal: AdmittedProposal, min_height: int, timeout_s: float) -> ProposalResponse:
        outcome = world.result(proposal.signed.proposal, **self.parts)
        return ProposalResponse(outcome.text, world.endorse(outcome, world.peer(int(peer.name[4:]))), 1)

    async def evaluate(self, peer: Node, proposal: AdmittedProposal, timeout_s: float) -> bytes:
        self.elsewhere.append(peer.name)
        if self.elsewhere_error is not None:
            raise self.elsewhere_error
        return b'{"status":200,"message":"","payload":"elsewhere"}'

    async def send(self, orderer: str, body: bytes, timeout_s: float) -> bytes:
        envelopes = framing.unpack(body, max_frames=500)
        self.ordered.append(envelopes)
        await asyncio.sleep(0)
        if self.commits:
            self.commit(*envelopes)
        if not self.acknowledges:
            raise UnavailableError("the answer was lost", code="CONNECTION_FAILED")
        return jsontext.dumps({"results": [{"status": 200}] * len(envelopes)})

    def commit(self, *envelopes: bytes) -> None:
        report = self.chain.commit(*envelopes)
        self.channel.committed(report)
        self.notifier.committed(report)


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_endorsements_make_a_transaction_that_commits(house: House) -> None:
    signed = world.proposal("k", 1)
    answer = jsontext.loads(await house.gateway.endorse(signed.to_bytes(), house.caller))
    assert answer["endorsed_by"] == ["peer1", "peer2"]
    assert len(answer["endorsements"]) == 2
    outcome = await house.submitter.submit(world.envelope("k", 1), house.caller)
    assert (outcome.tx_id, outcome.code, outcome.block) == (signed.proposal.tx_id, Code.VALID, 1)
    assert outcome.commit_hash == house.chain.ledger.commit_hash


async def test_order_alone_does_not_wait_for_the_commit(house: House) -> None:
    house.commits = False
    tx_id = await house.submitter.order(world.envelope("k", 1), house.caller)
    assert tx_id == world.proposal("k", 1).proposal.tx_id
    assert await house.gateway.status("shard1", tx_id, house.caller, 0) is None


async def test_committed_transaction_is_told_and_not_ordered_again(house: House) -> None:
    first = await house.submitter.submit(world.envelope("k", 1), house.caller)
    assert await house.submitter.submit(world.envelope("k", 1), house.caller) == first
    assert len(house.ordered) == 1


async def test_commit_answers_even_if_every_acknowledgement_is_lost(house: House) -> None:
    house.acknowledges = False
    outcome = await house.submitter.submit(world.envelope("k", 1), house.caller)
    assert outcome.code == Code.VALID
    assert len(house.queue) == 0


async def test_copy_of_a_retry_is_a_duplicate_and_the_client_learns_the_first_code(house: House) -> None:
    envelope = world.envelope("k", 1)
    house.commits = False
    waiting = asyncio.create_task(house.submitter.submit(envelope, house.caller))
    await until(lambda: house.ordered)
    house.chain.commit(envelope)
    house.commit(envelope)
    outcome = await waiting
    assert (outcome.code, outcome.block) == (Code.VALID, 1)
    with house.chain.ledger.snapshot() as snapshot:
        assert snapshot.metadata(2).codes == (Code.DUPLICATE_TXID,)


async def test_commit_that_does_not_come_is_told_with_the_id(tmp_path: Path) -> None:
    house = House(tmp_path, commit_timeout_s=0.2)
    house.commits = False
    with pytest.raises(CommitTimeout) as caught:
        await house.submitter.submit(world.envelope("k", 1), house.caller)
    assert caught.value.status == 504
    assert caught.value.details["tx_id"] == world.proposal("k", 1).proposal.tx_id
    assert len(house.notifier) == 0


async def test_client_that_leaves_leaves_nothing_behind(house: House) -> None:
    house.commits = False
    task = asyncio.create_task(house.submitter.submit(world.envelope("k", 1), house.caller))
    await until(lambda: house.ordered)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (len(house.notifier), len(house.queue)) == (0, 0)
    await until(lambda: not house.queue._senders)


async def test_status_waits_for_the_commit(house: House) -> None:
    envelope = world.envelope("k", 1)
    tx_id = world.proposal("k", 1).proposal.tx_id
    waiting = asyncio.create_task(house.gateway.status("shard1", tx_id, house.caller, 5.0))
    await until(lambda: len(house.notifier))
    house.commit(envelope)
    outcome = await waiting
    assert isinstance(outcome, Status)
    assert outcome == await house.gateway.status("shard1", tx_id, house.caller, 0)
    assert await house.gateway.status("shard1", "0" * 64, house.caller, 0.01) is None


async def test_config_update_is_submitted_like_a_transaction(house: House) -> None:
    update = ConfigUpdate.build(world.config(sequence=1), [world.admin(1), world.admin(2)])
    outcome = await house.submitter.submit(update.to_bytes(), house.caller)
    assert (outcome.tx_id, outcome.code) == (update.tx_id, Code.VALID)
    assert house.channel.config.sequence == 1


@pytest.mark.parametrize("envelope", [b"", b"{}", b"[]", b'{"config_update":"x"}', world.envelope("k", 1)[:-20]])
async def test_unreadable_envelopes_are_refused(house: House, envelope: bytes) -> None:
    with pytest.raises(GridLedgerError) as caught:
        await house.submitter.submit(envelope, house.caller)
    assert caught.value.status == 400
    assert house.ordered == []


async def test_envelope_over_the_channels_limit_is_refused(house: House) -> None:
    with pytest.raises(EnvelopeTooLarge):
        await house.submitter.submit(world.envelope("k", "x" * 2_100_000), house.caller)


async def test_evaluation_answers_and_orders_nothing(house: House) -> None:
    answer = jsontext.loads(await house.gateway.evaluate(world.proposal("k").to_bytes(), house.caller))
    assert answer == {"status": 200, "message": "", "payload": 7}
    assert house.ordered == []


async def test_evaluation_that_the_chaincode_refuses(house: House) -> None:
    house.parts = {"status": 404, "message": "no such key"}
    with pytest.raises(ChaincodeRefused) as caught:
        await house.gateway.evaluate(world.proposal("k").to_bytes(), house.caller)
    assert caught.value.details["endorsers"] == {"peer1": "no such key"}


async def test_evaluation_goes_elsewhere_when_the_chaincode_is_not_here(house: House) -> None:
    house.here = ChaincodeNotInstalled("not here")
    body = world.proposal("k").to_bytes()
    assert b"elsewhere" in await house.gateway.evaluate(body, house.caller)
    assert house.elsewhere == ["peer2"]
    with pytest.raises(ChaincodeNotInstalled):
        await house.gateway.evaluate(body, house.caller, forward=False)
    house.elsewhere_error = UnavailableError("down")
    with pytest.raises(ChaincodeNotInstalled):
        await house.gateway.evaluate(body, house.caller)
    await house.health.close()


async def test_the_same_transaction_twice_at_once_is_one(house: House) -> None:
    envelope = world.envelope("k", 2)
    first, second = await asyncio.gather(*(house.submitter.submit(envelope, house.caller) for _ in range(2)))
    assert first == second
    assert first.code == Code.VALID
    assert (len(house.notifier), len(house.queue)) == (0, 0)


async def test_only_those_beyond_the_bound_of_waiters_are_busy(house: House) -> None:
    envelopes = [world.envelope("k", number, nonce=number + 1) for number in range(12)]
    work = [house.submitter.submit(envelope, house.caller) for envelope in envelopes]
    found = await asyncio.gather(*work, return_exceptions=True)
    assert [getattr(outcome, "code", None) for outcome in found] == [Code.VALID] * 10 + ["BUSY"] * 2


async def test_only_the_commit_that_does_not_come_is_too_late(house: House) -> None:
    house.commits = False
    envelopes = [world.envelope("k", number, nonce=number + 1) for number in range(2)]
    waiting = [asyncio.create_task(house.submitter.submit(envelope, house.caller)) for envelope in envelopes]
    await until(lambda: sum(map(len, house.ordered)) == 2)
    house.commit(envelopes[1])
    found = await asyncio.gather(*waiting, return_exceptions=True)
    assert [getattr(outcome, "code", None) for outcome in found] == ["COMMIT_TIMEOUT", Code.VALID]
    assert len(house.notifier) == 0


async def test_a_full_queue_leaves_no_waiter_behind(house: House) -> None:
    house.queue._limits = OrderingLimits(max_queued=1)
    house.queue.add("other", b"x" * 10)
    with pytest.raises(BusyError):
        await house.submitter.submit(world.envelope("k", 1), house.caller)
    assert len(house.notifier) == 0
    await house.queue.close()


async def test_orderers_refusal_is_told_with_the_id(house: House) -> None:
    async def refuse(orderer: str, body: bytes, timeout_s: float) -> bytes:
        return jsontext.dumps({"results": [{"status": 403, "code": "PERMISSION_DENIED", "message": "no"}]})

    house.queue._send = refuse
    with pytest.raises(GridLedgerError) as caught:
        await house.submitter.submit(world.envelope("k", 1), house.caller)
    assert (caught.value.code, len(caught.value.details["tx_id"])) == ("PERMISSION_DENIED", 64)
    assert (len(house.notifier), len(house.queue)) == (0, 0)
