"""What a transaction sees and leaves: stub, context and executor on a state in memory."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from gridledger.contract import ClientIdentity, Context, Contract, ContractError, transaction
from gridledger.contract.executor import execute
from gridledger.contract.loader import Chaincode, ChaincodeLoadError
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState
from gridledger.protocol.proposal import Proposal
from gridledger.protocol.result import RangeRead, Read, Result, Version, Write


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


def put_a(value: Any, ctx: Context) -> None:
    ctx.stub.put_state("a", value)


def result_of(state: MemoryState, body: Callable[[Context], Any]) -> Result:
    contract = type("Fresh", (Ledger,), {"body": staticmethod(body)})()
    proposal = Proposal.build(
        channel="c", chaincode="n", sequence=3, function="run", args=[], creator="x", nonce="0" * 32, time_us=5
    )
    result = execute(Chaincode([contract]), proposal, ClientIdentity("id", "Org1MSP"), state)
    assert Result.parse(result.text) == result
    return result


def test_reads_see_the_snapshot_and_never_the_transactions_own_writes() -> None:
    state = MemoryState()
    put(state, a=1, b=2)

    def body(ctx: Context) -> Any:
        ctx.stub.put_state("a", 10)
        ctx.stub.del_state("b")
        ctx.stub.put_state("c", 30)
        return [ctx.stub.get_state("a"), ctx.stub.get_state("b"), ctx.stub.get_state("c")], list(
            ctx.stub.get_state_by_range("", "")
        )

    answer = run(state, body)
    assert answer.payload == [[1, 2, None], [["a", 1], ["b", 2]]]
    assert answer.writes == {"a": 10, "b": None, "c": 30}
    assert run(state, lambda ctx: list(ctx.stub.get_state_by_range("", ""))).payload == [["a", 10], ["c", 30]]


def test_every_read_is_a_fresh_value() -> None:
    state = MemoryState()
    put(state, a={"list": [1]})

    def body(ctx: Context) -> Any:
        first = ctx.stub.get_state("a")
        first["list"].append(2)
        return ctx.stub.get_state("a")

    assert run(state, body).payload == {"list": [1]}


def test_a_value_is_written_as_it_was_when_it_was_put() -> None:
    state, value = MemoryState(), [1]

    def body(ctx: Context) -> None:
        ctx.stub.put_state("a", value)
        ctx.stub.set_event("e", value)
        value.append(2)

    answer = run(state, body)
    assert answer.writes == {"a": [1]}
    assert answer.event == {"name": "e", "payload": [1]}


def test_the_result_says_what_was_read_with_versions() -> None:
    state = MemoryState()
    put(state, a=1, b=2, c=3, d=4)
    put(state, b=5)

    def body(ctx: Context) -> Any:
        pages = ctx.stub.get_state_by_range("b", "d")
        next(pages)
        return [
            ctx.stub.get_state("a"),
            ctx.stub.get_state("a"),
            ctx.stub.get_state("none"),
            list(ctx.stub.get_state_by_range("c", "")),
            list(ctx.stub.get_state_by_range("a", "z", 2)),
            list(ctx.stub.get_state_by_range("x", "y")),
            list(ctx.stub.get_state_by_range("a", "z", 0)),
        ]

    result = result_of(state, body)
    one, two = Version(1, 0), Version(2, 0)
    assert result.reads == (Read("a", one), Read("none", None))
    assert result.ranges == (
        RangeRead("b", "b\x00", (Read("b", two),)),
        RangeRead("c", "", (Read("c", one), Read("d", one))),
        RangeRead("a", "b\x00", (Read("a", one), Read("b", two))),
        RangeRead("x", "y", ()),
    )


def test_the_last_write_of_a_key_counts() -> None:
    def body(ctx: Context) -> None:
        ctx.stub.put_state("a", 1)
        ctx.stub.put_state("b", 1)
        ctx.stub.del_state("a")
        ctx.stub.put_state("b", 2)

    assert result_of(MemoryState(), body).writes == (Write("a", None), Write("b", 2))


def test_composite_keys_are_found_by_their_beginning_and_hidden_from_ranges() -> None:
    state = MemoryState()

    def write(ctx: Context) -> None:
        for owner, bus in (("a", "1"), ("a", "2"), ("ab", "1")):
            ctx.stub.put_state(ctx.stub.create_composite_key("vvc", [owner, bus]), owner + bus)
        ctx.stub.put_state("plain", 0)

    assert run(state, write).successful

    def read(ctx: Context) -> Any:
        found = ctx.stub.get_state_by_partial_composite_key("vvc", ["a"])
        return [[ctx.stub.split_composite_key(key)[1], value] for key, value in found]

    assert run(state, read).payload == [[["a", "1"], "a1"], [["a", "2"], "a2"]]
    assert run(state, lambda ctx: list(ctx.stub.get_state_by_range("", ""))).payload == [["plain", 0]]


def test_history_is_newest_first_with_deletes() -> None:
    state = MemoryState()
    for time_us, value in ((10, 1), (20, 2)):
        run(state, partial(put_a, value), time_us=time_us)
    run(state, lambda ctx: ctx.stub.del_state("a"), time_us=30)

    def body(ctx: Context) -> Any:
        return [[item.value, item.timestamp_us, item.is_delete] for item in ctx.stub.get_history_for_key("a")]

    assert run(state, body).payload == [[None, 30, True], [2, 20, False], [1, 10, False]]
    assert run(state, lambda ctx: len(list(ctx.stub.get_history_for_key("b")))).payload == 0


def test_the_call_is_visible_to_the_contract() -> None:
    def body(ctx: Context) -> Any:
        stub = ctx.stub
        return [
            stub.get_channel_id(),
            stub.get_function_and_parameters(),
            stub.get_args(),
            stub.get_tx_timestamp(),
            stub.get_transient(),
            len(stub.get_tx_id()),
        ]

    answer = run(MemoryState(), body, time_us=77, transient={"secret": [1]})
    assert answer.payload == ["simulate", ["run", []], [], 77, {"secret": [1]}, 64]


@pytest.mark.parametrize(
    "value",
    [{1, 2}, frozenset("a"), float("nan"), [None, float("inf")], 2**64, {1: 2}, b"x", object(), 1j, "\ud800"],
    ids=lambda value: type(value).__name__,
)
def test_values_that_have_no_one_text_are_refused_everywhere(value: Any) -> None:
    for body in (
        lambda ctx: ctx.stub.put_state("a", value),
        lambda ctx: ctx.stub.set_event("a", value),
        lambda ctx: value,
    ):
        answer = run(MemoryState(), body)
        assert answer.status == 400
        assert answer.writes == {}
        assert "JSON" in answer.message


def test_null_is_no_value_of_a_key() -> None:
    assert "del_state" in run(MemoryState(), lambda ctx: ctx.stub.put_state("a", None)).message


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


def test_a_query_cannot_write() -> None:
    for body in (lambda ctx: ctx.stub.put_state("a", 1), lambda ctx: ctx.stub.del_state("a")):
        answer = run(MemoryState(), body, function="ask")
        assert answer.status == 400
        assert "readonly" in answer.message


def test_an_unknown_function_is_refused_with_the_names_there_are() -> None:
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


@pytest.mark.parametrize(
    ("body", "message"),
    [
        (lambda ctx: [ctx.stub.get_state(f"k{n}") for n in range(10_001)], "10000 reads and writes"),
        (lambda ctx: [ctx.stub.put_state(f"k{n}", n) for n in range(10_001)], "10000 reads and writes"),
        (lambda ctx: ctx.stub.put_state("a", "x" * (1 << 20)), "the bound is 1048576"),
        (lambda ctx: [ctx.stub.put_state(f"k{n}", "x" * 1_000_000) for n in range(9)], "at most 8388608 bytes"),
        (lambda ctx: [list(ctx.stub.get_state_by_range("", "")) for _ in range(101)], "at most 100 ranges"),
        (lambda ctx: ctx.stub.get_state_by_range("", "", -1), "0 or more"),
        (lambda ctx: ctx.stub.get_state_by_range("\x00a", ""), "no NUL"),
        (lambda ctx: ctx.stub.set_event(""), "an event's name"),
        (lambda ctx: "x" * (1 << 20), "the bound is 1048576"),
    ],
)
def test_bounds(body: Callable[[Context], Any], message: str) -> None:
    answer = run(MemoryState(), body)
    assert answer.status == 400
    assert message in answer.message


def nested(levels: int) -> Any:
    value: Any = 1
    for level in range(levels):
        value = [value] if level % 2 else {"a": value}
    return value


def test_values_are_as_deep_as_readers_of_the_result_take_them() -> None:
    def body(levels: int, ctx: Context) -> Any:
        value = nested(levels)
        ctx.stub.put_state("a", value)
        ctx.stub.set_event("e", value)
        return value

    result_of(MemoryState(), partial(body, 60))  # parses the text again, strictly
    answer = run(MemoryState(), partial(body, 61))
    assert (answer.status, answer.message) == (400, "the value of 'a' is nested deeper than 60 levels")
    assert run(MemoryState(), partial(body, 500)).status == 400


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


def demand(name: str, value: str, ctx: Context) -> None:
    ctx.client_identity.assert_attribute_value(name, value)


def test_attributes_of_the_caller() -> None:
    caller = ClientIdentity("x509::CN=a::CN=ca", "Org1MSP", attributes={"grid.role": "planner"})

    def body(ctx: Context) -> Any:
        me = ctx.client_identity
        me.assert_attribute_value("grid.role", "planner")
        return [me.get_id(), me.get_mspid(), me.get_attribute_value("grid.role"), me.get_attribute_value("none")]

    assert run(MemoryState(), body, caller=caller).payload == ["x509::CN=a::CN=ca", "Org1MSP", "planner", None]
    for name, value in (("grid.role", "aggregator"), ("grid.group", "1")):
        answer = run(MemoryState(), partial(demand, name, value), caller=caller)
        assert answer.status == 400
        assert name in answer.message


def test_the_simulated_caller_has_every_attribute() -> None:
    def body(ctx: Context) -> Any:
        me = ctx.client_identity
        me.assert_attribute_value("grid.role", "planner")
        value = me.get_attribute_value("grid.group")
        return [value == "1", value != "1", value in ("2", "3"), value in ["4"], value is not None]

    assert run(MemoryState(), body).payload == [True, False, True, True, True]


def test_contracts_of_one_package_may_not_share_a_function() -> None:
    class Other(Contract):
        @transaction(name="run")
        def other(self, ctx: Context) -> None: ...

    with pytest.raises(ChaincodeLoadError, match="'run' is in Ledger and in Other"):
        Chaincode([Ledger(), Other()])
