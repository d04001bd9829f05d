"""What the executor makes of a call: its result, whatever the contract does."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.contract import Context, Contract, ContractError, transaction
from gridledger.contract.loader import Chaincode
from gridledger.contract.simulator.simulator import Simulator
from gridledger.contract.simulator.state import MemoryState
from tests.unit.contract.in_memory import put, result_of, run


def test_a_refusal_writes_nothing_and_sets_no_event() -> None:
    state = MemoryState()

    def body(ctx: Context) -> None:
        ctx.stub.put_state("a", 1)
        ctx.stub.set_event("e")
        raise ContractError("the group must be '1'")

    answer = run(state, body)
    assert (answer.status, answer.message) == (400, "the group must be '1'")
    assert (answer.writes, answer.reads, answer.event, answer.payload) == ({}, {}, None, None)
    assert state.height == 1


@pytest.mark.parametrize("error", [ValueError("bad"), SystemExit(3), RecursionError("deep"), MemoryError()], ids=repr)
def test_any_other_exception_is_status_500_with_its_type(error: BaseException) -> None:
    seen: list[BaseException] = []

    def body(ctx: Context) -> None:
        ctx.stub.put_state("a", 1)
        raise error

    answer = run(MemoryState(), body, on_failure=seen.append)
    assert answer.status == 500
    assert answer.message.startswith(type(error).__name__)
    assert "Traceback" not in answer.message
    assert answer.writes == {}
    assert seen == [error]


def test_a_long_or_broken_message_still_makes_a_result() -> None:
    def body(ctx: Context) -> None:
        raise ContractError("\ud800" + "x" * 100_000)

    assert len(result_of(MemoryState(), body).response.message) == 4096


def test_an_unknown_function_is_told_the_names_there_are() -> None:
    answer = run(MemoryState(), lambda ctx: None, function="walk")
    assert answer.status == 400
    assert "'walk'" in answer.message
    assert "ask, run" in answer.message


def test_hooks_run_around_a_transaction() -> None:
    class Hooked(Contract):
        def before_transaction(self, ctx: Context) -> None:
            ctx.stub.put_state("before", ctx.stub.get_function())

        def after_transaction(self, ctx: Context, result: Any) -> None:
            ctx.stub.put_state("after", result)

        def unknown_transaction(self, ctx: Context) -> Any:
            return f"no {ctx.stub.get_function()}"

        @transaction
        def act(self, ctx: Context) -> int:
            return 7

    simulator = Simulator(Chaincode([Hooked()]))
    assert simulator.invoke("act").writes == {"before": "act", "after": 7}
    assert simulator.invoke("other").payload == "no other"


def test_one_result_text_for_one_proposal_and_state() -> None:
    def body(ctx: Context) -> Any:
        ctx.stub.put_state("b", {"z": 0.1 + 0.2, "a": -0.0})
        ctx.stub.put_state("a", [1e300, 5e-324, 2**53])
        return {"time": ctx.stub.get_tx_timestamp(), "x": ctx.stub.get_state("k")}

    texts = set()
    for _ in range(3):
        state = MemoryState()
        put(state, k=[1.5])
        texts.add(result_of(state, body).text)
    assert len(texts) == 1
