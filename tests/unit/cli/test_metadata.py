"""What the command reads of a chaincode's metadata, which may hold anything."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, Literal

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.cli.arguments import TEXT
from gridledger.cli.metadata import functions_of
from gridledger.contract import Context, Contract, transaction
from gridledger.contract.loader import Chaincode
from gridledger.contract.metadata import build_metadata

JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@dataclass
class Reading:
    bus: int


class Meter(Contract):
    @transaction
    def record(self, ctx: Context, meter: str, kwh: float, note: str | None = None) -> Reading:
        """Record a reading."""
        raise NotImplementedError

    @transaction(readonly=True)
    def look(self, ctx: Context, kind: Literal["1", "2"], reading: Reading, *marks: str) -> list[int]:
        raise NotImplementedError

    @transaction
    def anything(self, ctx: Context, value: Any, other, pairs: list[Any]) -> None:  # type: ignore[no-untyped-def]
        raise NotImplementedError


FUNCTIONS = functions_of(build_metadata(Chaincode([Meter()]).contracts))


def test_parameters_have_the_types_that_the_function_declares() -> None:
    assert FUNCTIONS["record"].types(3) == [TEXT, {"number"}, {"string", "null"}]
    assert FUNCTIONS["look"].types(5) == [TEXT, {"object"}, TEXT, TEXT, TEXT]
    assert FUNCTIONS["anything"].types(3) == [None, None, {"array"}]
    assert FUNCTIONS["record"].types(1) == [TEXT]
    assert FUNCTIONS["record"].types(9) == [TEXT, {"number"}, {"string", "null"}]


def test_a_person_reads_them_in_words() -> None:
    assert [str(item) for item in FUNCTIONS["record"].parameters] == [
        "meter: string",
        "kwh: number",
        "[note: string or null]",
    ]
    assert [str(item) for item in FUNCTIONS["look"].parameters] == [
        "kind: '1' or '2'",
        "reading: Reading",
        "*marks: string",
    ]
    assert [str(item) for item in FUNCTIONS["anything"].parameters] == ["value: any", "other: any", "pairs: array"]
    assert (FUNCTIONS["record"].returns, FUNCTIONS["look"].returns) == ("Reading", "array of integer")
    assert (FUNCTIONS["record"].description, FUNCTIONS["look"].readonly) == ("Record a reading.", True)


@given(JSON)
def test_any_answer_can_be_read(metadata: object) -> None:
    functions_of(metadata)


@given(JSON)
def test_any_transaction_can_be_read(value: object) -> None:
    metadata = {"contracts": {"A": {"transactions": [{"name": "f", "parameters": [value, {"schema": value}]}]}}}
    assert len(functions_of(metadata)["f"].types(2)) == 2


@pytest.mark.parametrize(
    "transaction",
    [
        {"name": "f", "parameters": "x", "returns": 5, "tag": 5, "description": []},
        {"name": "f", "parameters": [5, {"name": 5, "schema": "x"}]},
        {"name": "f", "parameters": [{"schema": {"anyOf": ["x"]}}, {"schema": {"enum": [], "type": 5}}]},
    ],
)
def test_what_has_another_form_counts_as_not_declared(transaction: object) -> None:
    contracts = {"A": {"transactions": [transaction, 5, {"name": 5}]}, "B": {"transactions": {}}, "C": []}
    functions = functions_of({"contracts": contracts})
    assert list(functions) == ["f"]
    assert set(functions["f"].types(2)) <= {None}
    hostile: list[Any] = [{"contracts": [contracts]}, {"contracts": "x"}, [], None]
    for metadata in hostile:
        assert functions_of(metadata) == {}
