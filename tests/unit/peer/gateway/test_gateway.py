"""The gateway with a real ledger: submit, wait, retries, duplicates, evaluation."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger import framing, jsontext
from gridledger.contract.hosting.calls import Deliver
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import Node
from gridledger.protocol.config_update import ConfigUpdate
from gridledger.protocol.errors import EnvelopeTooLarge
from gridledger.protocol.status import Status
from services.peer.channel import Channel, Channels
from services.peer.endorser.endorser import Abandon, Admitted, Answer, Endorser
from services.peer.endorser.endorser import Answers as PeerAnswers
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


class House:
    """A gateway whose orderer commits what it gets on this peer, when the test lets it."""

    def __init__(self, folder: Path) -> None:
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
            channels, {"shard1": self.queue}, self.notifier, clock_us=lambda: world.NOW_US, commit_timeout_s=0.2
        )
        self.gateway = Gateway(
            "peer1",
            channels,
            endorser=self.endorser,
            collector=Collector(self.ask, Selection("peer1", self.health), self.health, limits, clock=loop.time),
            ask_many=self.ask_many,
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

    async def run(self, admitted: Admitted) -> str:
        if self.here is not None:
            raise self.here
        return world.result(admitted.signed.proposal, **self.parts).text

    def run_many(self, admitted: Sequence[Admitted], deliver: Deliver) -> Abandon:
        async def run() -> None:
            deliver([(position, await self.run(each)) for position, each in enumerate(admitted)])

        return asyncio.ensure_future(run()).cancel

    async def ask(self, peer: Node, admitted: Admitted, min_height: int, timeout_s: float) -> Answer:
        outcome = world.result(admitted.signed.proposal, **self.parts)
        return Answer(outcome.text, world.endorse(outcome, world.peer(int(peer.name[4:]))), 1)

    def ask_many(self, peer: Node, admitted: Sequence[Admitted], take: Callable[[PeerAnswers], None]) -> Abandon:
        async def ask() -> None:
            take([(position, await self.ask(peer, each, 0, 1.0)) for position, each in enumerate(admitted)])

        return asyncio.ensure_future(ask()).cancel

    async def evaluate(self, peer: Node, admitted: Admitted, timeout_s: float) -> bytes:
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
    await world.until(lambda: house.ordered)
    house.chain.commit(envelope)
    house.commit(envelope)
    outcome = await waiting
    assert (outcome.code, outcome.block) == (Code.VALID, 1)
    with house.chain.ledger.snapshot() as snapshot:
        assert snapshot.metadata(2).codes == (Code.DUPLICATE_TXID,)


async def test_commit_that_does_not_come_is_told_with_the_id(house: House) -> None:
    house.commits = False
    with pytest.raises(CommitTimeout) as caught:
        await house.submitter.submit(world.envelope("k", 1), house.caller)
    assert caught.value.status == 504
    assert caught.value.details["tx_id"] == world.proposal("k", 1).proposal.tx_id
    assert len(house.notifier) == 0


async def test_client_that_leaves_leaves_nothing_behind(house: House) -> None:
    house.commits = False
    task = asyncio.create_task(house.submitter.submit(world.envelope("k", 1), house.caller))
    await world.until(lambda: house.ordered)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task
    assert (len(house.notifier), len(house.queue)) == (0, 0)
    await world.until(lambda: not house.queue._senders)


async def test_status_waits_for_the_commit(house: House) -> None:
    envelope = world.envelope("k", 1)
    tx_id = world.proposal("k", 1).proposal.tx_id
    waiting = asyncio.create_task(house.gateway.status("shard1", tx_id, house.caller, 5.0))
    await world.until(lambda: len(house.notifier))
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


async def test_many_proposals_are_answered_each_by_its_own_answer_or_error(house: House) -> None:
    stranger = world.proposal("k", 3, chaincode="unheard-of")
    bodies = [world.proposal("k", 1).to_bytes(), b"{}", stranger.to_bytes(), world.proposal("k", 2).to_bytes()]
    found: dict[int, bytes | GridLedgerError] = {}
    house.gateway.begin_endorsing(bodies, house.caller, found.__setitem__)
    await world.until(lambda: len(found) == len(bodies))
    assert found[0] == await house.gateway.endorse(bodies[0], house.caller)
    assert found[3] == await house.gateway.endorse(bodies[3], house.caller)
    assert [getattr(found[position], "code", None) for position in (1, 2)] == ["MALFORMED_MESSAGE", "CHAINCODE_UNKNOWN"]


class Answers:
    """What a batch was answered, by position."""

    def __init__(self) -> None:
        self.by_position: dict[int, Status | GridLedgerError] = {}

    def __call__(self, position: int, outcome: Status | GridLedgerError) -> None:
        assert position not in self.by_position
        self.by_position[position] = outcome

    def code(self, position: int) -> int | str:
        return self.by_position[position].code


async def test_batch_answers_each_with_its_own_outcome(house: House) -> None:
    first = await house.submitter.submit(world.envelope("k", 1), house.caller)
    answers = Answers()
    envelopes = [
        world.envelope("k", 1),
        b"{}",
        world.envelope("k", 2),
        world.envelope("k", 3, nonce=3),
        world.envelope("k", 2),
    ]
    house.submitter.begin(envelopes, house.caller, answers)
    await world.until(lambda: len(answers.by_position) == 5)
    assert answers.by_position[0] == first
    assert answers.code(1) == "MALFORMED_MESSAGE"
    # The same transaction twice in one batch is one transaction, and both callers learn its verdict.
    assert [answers.code(position) for position in (2, 3, 4)] == [Code.VALID] * 3
    assert answers.by_position[2] == answers.by_position[4]
    assert (len(house.notifier), len(house.queue)) == (0, 0)


async def test_batch_beyond_the_bound_of_waiters_is_busy_only_for_those_beyond(house: House) -> None:
    answers = Answers()
    envelopes = [world.envelope("k", number, nonce=number + 1) for number in range(12)]
    house.submitter.begin(envelopes, house.caller, answers)
    await world.until(lambda: len(answers.by_position) == 12)
    assert [answers.code(position) for position in range(12)] == [Code.VALID] * 10 + ["BUSY"] * 2


async def test_abandoned_batch_leaves_nothing_behind(house: House) -> None:
    house.commits = False
    answers = Answers()
    envelopes = [world.envelope("k", number, nonce=number + 1) for number in range(3)]
    batch = house.submitter.begin(envelopes, house.caller, answers)
    await world.until(lambda: house.ordered)
    batch.abandon()
    assert (len(house.notifier), len(house.queue)) == (0, 0)
    await world.until(lambda: not house.queue._senders)
    house.commit(*envelopes)
    assert answers.by_position == {}


async def test_in_a_batch_only_the_commit_that_does_not_come_is_too_late(house: House) -> None:
    house.commits = False
    answers = Answers()
    envelopes = [world.envelope("k", number, nonce=number + 1) for number in range(2)]
    house.submitter.begin(envelopes, house.caller, answers)
    await world.until(lambda: house.ordered)
    house.commit(envelopes[1])
    await world.until(lambda: len(answers.by_position) == 2)
    assert (answers.code(0), answers.code(1)) == ("COMMIT_TIMEOUT", Code.VALID)
    assert len(house.notifier) == 0


async def test_orderers_refusal_is_told_with_the_id(house: House) -> None:
    async def refuse(orderer: str, body: bytes, timeout_s: float) -> bytes:
        return jsontext.dumps({"results": [{"status": 403, "code": "PERMISSION_DENIED", "message": "no"}]})

    house.queue._send = refuse
    with pytest.raises(GridLedgerError) as caught:
        await house.submitter.submit(world.envelope("k", 1), house.caller)
    assert (caught.value.code, len(caught.value.details["tx_id"])) == ("PERMISSION_DENIED", 64)
    assert (len(house.notifier), len(house.queue)) == (0, 0)
