"""What all functions share: numbers, integers, ids, lists."""

from __future__ import annotations

import re
from itertools import pairwise
from math import inf, nan
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from chaincode.dvs import arguments
from gridledger.contract import ContractError


@pytest.mark.parametrize("value", [True, None, "1", [1], {}, nan, inf, -inf, 10**400, -(10**400)])
def test_what_is_no_number_is_refused(value: Any) -> None:
    with pytest.raises(ContractError, match=r"^field: "):
        arguments.number(value, "field")


@pytest.mark.parametrize(("value", "expected"), [(30, "30.0"), (-0.0, "0.0"), (0, "0.0"), (2**60 + 1, repr(2.0**60))])
def test_numbers_become_binary64(value: Any, expected: str) -> None:
    assert repr(arguments.number(value, "field")) == expected


@given(st.integers(1, 10**30), st.integers(1, 10**30))
def test_ids_ascend_by_number_not_by_text(one: int, two: int) -> None:
    text = f"{one}_{two}"
    if one < two:
        assert arguments.group_id(text) == text
        assert arguments.merged_id([str(two), str(one)]) == text
        assert arguments.components_of(text) == [str(one), str(two)]
    else:
        with pytest.raises(ContractError, match="ascend"):
            arguments.group_id(text)


@given(st.text(alphabet="012_\u0663 \n", max_size=6))
def test_ids_are_digits_without_leading_zero(text: str) -> None:
    wanted = re.fullmatch(r"[12][012]*(_[12][012]*)*", text)
    numbers = [int(part) for part in text.split("_")] if wanted else [1, 0]
    if all(one < two for one, two in pairwise(numbers)):
        assert arguments.group_id(text) == text
    else:
        with pytest.raises(ContractError):
            arguments.group_id(text)


def test_a_list_is_complete_and_ascends_by_bus_number() -> None:
    assert list(arguments.vvc_list({"10": 1, "9": -0.0}, "vvc", [10, 9, 2]).items()) == [
        ("2", 0.0),
        ("9", 0.0),
        ("10", 1.0),
    ]


@pytest.mark.parametrize(
    ("value", "named"),
    [
        ({"7": 1.0}, "vvc.7"),
        ({"03": 1.0}, "vvc.03"),
        ({"3": -0.1}, "vvc.3"),
        ({"3": 1000000.5}, "vvc.3"),
        ({"3": "1"}, "vvc.3"),
        ({"3": None}, "vvc.3"),
        ({"3": True}, "vvc.3"),
        ([1.5], "vvc"),
        (None, "vvc"),
    ],
)
def test_lists_refused(value: Any, named: str) -> None:
    with pytest.raises(ContractError, match=rf"^{named}: "):
        arguments.vvc_list(value, "vvc", [3])


@pytest.mark.parametrize("value", ["", "x" * 129, 1, None])
def test_names_have_1_to_128_characters(value: Any) -> None:
    with pytest.raises(ContractError, match=r"^tx_id: "):
        arguments.text(value, "tx_id")
    assert arguments.text("ü" * 128, "tx_id") == "ü" * 128


def test_messages_stay_short() -> None:
    with pytest.raises(ContractError) as caught:
        arguments.group_id("x" * 100_000)
    assert len(caught.value.message) < 200
