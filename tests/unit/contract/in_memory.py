"""Runs contracts of tests on a state in memory."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from gridledger.contract import ClientIdentity, Context, Contract, transaction
from gridledger.contract.executor import execute
from gridledger.contract.loader import Chaincode
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import Result


class Ledger(Contract):
    """Runs whatever a test hands over."""

    body: Callable[[Context], Any]

    @transaction
    def run(self, ctx: Context, *args: Any) -> Any:
        return type(self).body(ctx)

    @transaction(readonly=True)
    def ask(self, ctx: Context) -> Any:
        return type(self).body(ctx)


def run(state: MemoryState, body: Callable[[Context], Any], function: str = "run", **options: Any) -> Invocation:
    contract = type("Fresh", (Ledger,), {"body": staticmethod(body)})()
    return Simulator(Chaincode([contract]), state).invoke(function, **options)


def put(state: MemoryState, **values: Any) -> None:
    def body(ctx: Context) -> None:
        for key, value in values.items():
            ctx.stub.put_state(key, value)

    assert run(state, body).successful


def result_of(state: MemoryState, body: Callable[[Context], Any]) -> Result:
    contract = type("Fresh", (Ledger,), {"body": staticmethod(body)})()
    proposal = Proposal.build(
        channel="c", chaincode="n", sequence=3, function="run", args=[], creator="x", nonce="0" * 32, time_us=5
    )
    result = execute(Chaincode([contract]), proposal, ClientIdentity("id", "Org1MSP"), state)
    assert Result.parse(result.text) == result
    return result
