"""Arithmetic modulo a prime, and the refusal of ids."""

from __future__ import annotations

from itertools import count

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.sharing import field
from gridledger.sharing.errors import ShareBroken, SharingError, WeakId
from gridledger.sharing.field import P521, check_ids, evaluate, interpolate, random_element, weights
from gridledger.sharing.primes import is_prime

ELEMENTS = st.integers(0, P521 - 1)


def test_the_prime_is_one() -> None:
    assert P521 == 2**521 - 1
    assert is_prime(P521)


def test_a_polynomial_by_hand() -> None:
    assert evaluate([7, 8, 11], 2, 13) == (7 + 16 + 44) % 13
    assert interpolate([(1, 0), (2, 2), (3, 0)], 13) == [7, 8, 11]


@given(st.lists(ELEMENTS, min_size=1, max_size=6), st.integers(0, 2**64))
def test_interpolation_gives_back_the_polynomial_and_weights_its_values(coefficients: list[int], at: int) -> None:
    ids = [3 * i + 1 for i in range(len(coefficients))]
    values = [evaluate(coefficients, x) for x in ids]
    assert interpolate(list(zip(ids, values, strict=True))) == coefficients
    assert field.combine(weights(ids, at), values) == evaluate(coefficients, at)


def test_elements_as_bytes() -> None:
    elements = [0, 1, P521 - 1]
    assert field.from_bytes(field.to_bytes(elements)) == elements
    assert len(field.to_bytes(elements)) == 3 * 66
    with pytest.raises(ShareBroken, match="whole number"):
        field.from_bytes(bytes(67))
    with pytest.raises(ShareBroken, match="below the prime"):
        field.from_bytes(P521.to_bytes(66, "big"))


def test_a_random_element_is_drawn_again_where_it_is_none() -> None:
    draws = iter((b"\xff" * 66, bytes(65) + b"\x80"))
    assert random_element(lambda size: next(draws)[:size]) == 1
    counted = count(250)
    assert random_element(lambda _: bytes([next(counted)]), 251) == 250


def test_small_fields_are_drawn_evenly() -> None:
    drawn = []
    for first in range(13 * 16):
        draws = iter((bytes([first]),))
        drawn.append(random_element(lambda _, draws=draws: next(draws), 13))  # type: ignore[misc]
    assert [drawn.count(x) for x in range(13)] == [16] * 13


@pytest.mark.parametrize(
    ("t", "ids", "named", "says"),
    [
        (2, [1, 0], "ids", "id 0"),
        (2, [1, P521], "ids", "0 modulo"),
        (2, [5, 5], "ids", "twice"),
        (2, [5, 5 + P521], "ids", "equal modulo"),
        (2, [-1, 2], "ids", "negative"),
        (1, [1, 2], "t", "1 is not from 2 to 2"),
        (3, [1, 2], "t", "3 is not from 2 to 2"),
        (2, list(range(1, 257)), "ids", "256 are more than 255"),
    ],
)
def test_what_cannot_be_used_is_named(t: int, ids: list[int], named: str, says: str) -> None:
    with pytest.raises(SharingError, match=says) as refused:
        check_ids(t, ids)
    assert refused.value.details["field"] == named
    assert refused.value.message.startswith(f"{named}: ")
    assert isinstance(refused.value, WeakId) == ("modulo" in says or says in ("id 0", "twice"))
