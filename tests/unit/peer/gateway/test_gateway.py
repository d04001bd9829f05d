"""The gateway with a real ledger: endorsing, evaluating, telling a transaction's status."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import replace
from pathlib import Path
from random import Random

import pytest

from gridledger import jsontext
from gridledger.errors import GridLedgerError, PermissionDeniedError, UnavailableError
from gridledger.protocol.codes import TxValidationCode as Code
from gridledger.protocol.config import Node
from gridledger.protocol.result import Endorsement, Response, Result
from gridledger.protocol.transaction_status import Status
from services.peer.endorser.endorser import AdmittedProposal, Endorser, ProposalResponse
from services.peer.errors import ChaincodeNotInstalled, ChaincodeRefused
from services.peer.gateway.endorsement import Collector
from services.peer.gateway.gateway import Gateway
from services.peer.gateway.peer_health import PeerHealth
from services.peer.gateway.selection import Selection
from services.peer.settings import EndorsementLimits
from tests.support.paper import NOW_US, signed_transaction
from tests.support.waiting import until
from tests.unit.peer.gateway.ordering_house import OrderingHouse


class House(OrderingHouse):
    """A gateway whose chaincode and whose other peers answer as the test says."""

    def __init__(self, folder: Path) -> None:
        super().__init__(folder)
        clock = asyncio.get_running_loop().time
        self.response = Response(200, "", 7)
        self.here: GridLedgerError | None = None
        self.elsewhere: list[str] = []
        self.elsewhere_error: GridLedgerError | None = None
        own = self.paper.peers["peer1"]
        self.endorser = Endorser("peer1", own, self.channels, self, clock_us=lambda: NOW_US, catch_up_s=0.1)
        self.health = PeerHealth(self.probe, 1.0, clock=clock)
        selection = Selection("peer1", self.health)
        self.gateway = Gateway(
            "peer1",
            self.channels,
            endorser=self.endorser,
            collector=Collector(self.ask, selection, self.health, EndorsementLimits(), clock=clock),
            submitter=self.submitter,
            notifier=self.notifier,
            endorsed_here=self.endorsed_here,
            elsewhere=self,
            clock_us=lambda: NOW_US,
            random=Random(1),
            evaluate_timeout_s=1,
        )

    async def probe(self, _: Node) -> None:
        return

    def result(self, proposal: AdmittedProposal) -> Result:
        return self.paper.result(proposal.signed.proposal, {"k": 1}, response=self.response)

    async def run(self, proposal: AdmittedProposal) -> str:
        if self.here is not None:
            raise self.here
        return self.result(proposal).text

    async def ask(self, peer: Node, proposal: AdmittedProposal, min_height: int, timeout_s: float) -> ProposalResponse:
        result = self.result(proposal)
        return ProposalResponse(result.text, self.paper.endorsement(peer.name, result), 1)

    async def evaluate(self, peer: Node, proposal: AdmittedProposal, timeout_s: float) -> bytes:
        self.elsewhere.append(peer.name)
        if self.elsewhere_error is not None:
            raise self.elsewhere_error
        return b'{"status":200,"message":"","payload":"elsewhere"}'

    def proposal(self) -> bytes:
        """A client's signed proposal, different from every other."""
        return self.paper.signed_proposal("put", "k", 1).to_bytes()


@pytest.fixture
async def house(tmp_path: Path) -> House:
    return House(tmp_path)


async def test_endorsements_make_a_transaction_that_commits(house: House) -> None:
    signed = house.paper.signed_proposal("put", "k", 1)
    answer = jsontext.loads(await house.gateway.endorse(signed.to_bytes(), house.caller))
    assert answer["endorsed_by"] == ["peer1", "peer2"]
    endorsements = [Endorsement.from_dict(item) for item in answer["endorsements"]]
    result = Result.parse(answer["result"])
    transaction = signed_transaction(signed.proposal, result, endorsements, house.paper.client)
    status = Status.from_dict(jsontext.loads(await house.gateway.submit(transaction.to_bytes(), house.caller)))
    assert status == Status(signed.proposal.tx_id, Code.VALID, 1, house.peer.ledger.commit_hash)


async def test_status_waits_for_the_commit(house: House) -> None:
    transaction = house.transaction()
    tx_id = transaction.tx_id
    waiting = asyncio.create_task(house.gateway.status("shard1", tx_id, house.caller, 5.0))
    await until(lambda: len(house.notifier))
    house.commit(transaction)
    outcome = await waiting
    assert isinstance(outcome, Status)
    assert outcome == await house.gateway.status("shard1", tx_id, house.caller, 0)
    assert await house.gateway.status("shard1", "0" * 64, house.caller, 0.01) is None


async def test_evaluation_answers_and_orders_nothing(house: House) -> None:
    answer = jsontext.loads(await house.gateway.evaluate(house.proposal(), house.caller))
    assert answer == {"status": 200, "message": "", "payload": 7}
    assert house.ordered == []


async def test_evaluation_that_the_chaincode_refuses(house: House) -> None:
    house.response = Response(404, "no such key", None)
    with pytest.raises(ChaincodeRefused) as caught:
        await house.gateway.evaluate(house.proposal(), house.caller)
    assert caught.value.details["endorsers"] == {"peer1": "no such key"}


async def test_evaluation_goes_where_the_chaincode_is(house: House) -> None:
    house.here = ChaincodeNotInstalled("not here")
    body = house.proposal()
    assert b"elsewhere" in await house.gateway.evaluate(body, house.caller)
    assert house.elsewhere == ["peer2"]
    with pytest.raises(ChaincodeNotInstalled):
        await house.gateway.evaluate(body, house.caller, forward=False)
    house.elsewhere_error = UnavailableError("down")
    with pytest.raises(ChaincodeNotInstalled):
        await house.gateway.evaluate(body, house.caller)
    await house.health.close()


@pytest.mark.parametrize("resource", ["peer/Propose", "gateway/Evaluate", "gateway/CommitStatus", "gateway/Submit"])
async def test_each_thing_that_a_client_asks_for_is_a_resource(house: House, resource: str) -> None:
    """Closed to the client, and all others open."""
    channel, envelope = house.channels["shard1"], house.transaction().to_bytes()
    channel.config = replace(channel.config, acls={resource: "/Channel/Orderer/Readers"})
    asked: dict[str, Callable[[], Awaitable[object]]] = {
        "peer/Propose": lambda: house.gateway.endorse(house.proposal(), house.caller),
        "gateway/Evaluate": lambda: house.gateway.evaluate(house.proposal(), house.caller),
        "gateway/CommitStatus": lambda: house.gateway.status("shard1", "0" * 64, house.caller, 0),
        "gateway/Submit": lambda: house.gateway.submit(envelope, house.caller),
    }
    with pytest.raises(PermissionDeniedError) as caught:
        await asked.pop(resource)()
    assert caught.value.details == {"resource": resource, "policy": "/Channel/Orderer/Readers"}
    for ask in asked.values():
        await ask()
