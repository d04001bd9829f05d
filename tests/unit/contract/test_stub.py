"""What a transaction reads and writes through its stub, and the bounds of both."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

import pytest

from gridledger.contract import Context
from gridledger.contract.simulator.state import MemoryState
from gridledger.protocol.result import RangeRead, Read, Version, Write
from tests.unit.contract.in_memory import put, result_of, run


def put_a(value: Any, ctx: Context) -> None:
    ctx.stub.put_state("a", value)


def test_reads_see_the_snapshot_not_the_transactions_own_writes() -> None:
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


def test_composite_keys_are_found_by_their_beginning_alone() -> None:
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


def test_a_query_cannot_write() -> None:
    for body in (lambda ctx: ctx.stub.put_state("a", 1), lambda ctx: ctx.stub.del_state("a")):
        answer = run(MemoryState(), body, function="ask")
        assert answer.status == 400
        assert "readonly" in answer.message


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
