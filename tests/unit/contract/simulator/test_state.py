"""The state file of simulate: what it holds, how it may be edited, what is refused."""

from __future__ import annotations

from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.contract.simulator.state import MemoryState, StateFileError
from gridledger.errors import GridLedgerError
from gridledger.protocol.result import Response, Result, Version, Write

key = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x00"), min_size=1, max_size=8)
value = st.recursive(
    st.integers(-(2**63), 2**63 - 1)
    | st.floats(allow_nan=False, allow_infinity=False)
    | st.text('aé\n"\\:', max_size=5),
    lambda inner: st.lists(inner | st.none(), max_size=3) | st.dictionaries(key, inner, max_size=3),
)
transaction = st.dictionaries(key, value | st.none(), min_size=1, max_size=4)


def commit(state: MemoryState, writes: dict[str, Any], time_us: int = 1) -> None:
    result = Result.build(
        tx_id=f"tx{state.height}",
        channel="c",
        chaincode="n",
        sequence=1,
        writes=[Write(key, value) for key, value in writes.items()],
        response=Response(200, "", None),
    )
    state.commit(result, time_us)


def contents(state: MemoryState) -> list[tuple[str, bytes, Version]]:
    return list(state.range("", "", ""))


@given(st.lists(transaction, max_size=5))
def test_a_state_comes_back_from_its_file_as_it_was(transactions: list[dict[str, Any]]) -> None:
    state, model = MemoryState(), dict[str, Any]()
    for writes in transactions:
        commit(state, writes)
        model = {key: value for key, value in (model | writes).items() if value is not None}
    again = MemoryState.from_bytes(state.to_bytes())
    assert again.height == state.height == len(transactions) + 1
    assert contents(again) == contents(state)
    assert [key for key, _, _ in contents(again)] == sorted(model, key=str.encode)
    assert again.to_bytes() == state.to_bytes()
    for name in model:
        assert list(again.history("", name)) == list(state.history("", name))


def test_the_file_reads_as_one_object_with_a_line_for_each_key() -> None:
    state = MemoryState()
    commit(state, {"b": {"x": 1}, "a": 2}, time_us=10)
    commit(state, {"a": None}, time_us=20)
    text = state.to_bytes()
    assert orjson.loads(text) == {
        "format": "gridledger-state-1",
        "height": 3,
        "clock_us": None,
        "state": {"b": {"x": 1}},
        "history": {"a": [[1, "tx1", 10, 2], [2, "tx2", 20]], "b": [[1, "tx1", 10, {"x": 1}]]},
    }
    assert b'\n"b": {"x":1}\n' in text


@pytest.mark.parametrize("text", [b"", b" \n", b"{}", b'{"state":{}}'])
def test_what_counts_as_an_empty_state(text: bytes) -> None:
    state = MemoryState.from_bytes(text)
    assert state.height == 1
    assert contents(state) == []


def test_a_state_edited_by_hand_counts_and_is_in_the_history() -> None:
    state = MemoryState()
    commit(state, {"a": 1, "b": 2})
    document = orjson.loads(state.to_bytes())
    document["state"] = {"a": 5, "c": [3]}
    document["clock_us"] = 99
    again = MemoryState.from_bytes(orjson.dumps(document))
    assert [(key, value) for key, value, _ in contents(again)] == [("a", b"5"), ("c", b"[3]")]
    assert [(entry.tx_id, entry.value) for entry in again.history("", "a")] == [("edited", 5), ("tx1", 1)]
    assert [(entry.tx_id, entry.value) for entry in again.history("", "b")] == [("edited", None), ("tx1", 2)]
    assert again.clock_us == 99


@pytest.mark.parametrize(
    "text",
    [
        b"[]",
        b'{"format": "other"}',
        b'{"group/1": {}}',
        b'{"state": []}',
        b'{"state": {"a": null}}',
        b'{"state": {"": 1}}',
        b'{"state": {"a": 1, "a": 2}}',
        b'{"state": {"a": NaN}}',
        b'{"state": {"a": 1e400}}',
        b'{"height": -1}',
        b'{"height": true}',
        b'{"clock_us": 1.5}',
        b'{"history": {"a": 1}}',
        b'{"history": {"a": [[1, "t"]]}}',
        b'{"history": {"a": [[1, "t", 1, 2, 3]]}}',
        b'{"state": ',
    ],
)
def test_what_is_no_state_file_is_refused(text: bytes) -> None:
    with pytest.raises(GridLedgerError):
        MemoryState.from_bytes(text)


def test_the_message_names_what_is_wrong() -> None:
    with pytest.raises(StateFileError, match=r"\['group/1'\]; keys belong under 'state'"):
        MemoryState.from_bytes(b'{"group/1": {}}')
