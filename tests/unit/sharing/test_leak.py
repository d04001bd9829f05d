"""What shares of the article's scheme tell, against counting all data in small fields."""

from __future__ import annotations

from collections import defaultdict
from itertools import product

import pytest

from gridledger.sharing import recursive
from gridledger.sharing.errors import ShareBroken, SharingError
from gridledger.sharing.field import P521, evaluate
from gridledger.sharing.leak import candidates_left, leak
from gridledger.sharing.recursive import Points, inner_points, polynomial


def left_by_brute_force(t: int, ids: list[int], p: int, points: Points, places: list[int]) -> set[tuple[int, ...]]:
    """(how many data are left, how many values of each part), over all that the ids' shares can be."""
    inner = inner_points(points, t, places)
    data: dict[tuple[int, ...], set[tuple[int, ...]]] = defaultdict(set)
    for a, *parts in product(range(p), repeat=t):
        coefficients = polynomial(parts, a, inner, p)
        data[tuple(evaluate(coefficients, x, p) for x in ids)].add(tuple(parts))
    return {(len(left), *(len(set(column)) for column in zip(*left, strict=True))) for left in data.values()}


@pytest.mark.parametrize("points", ["counted", "ids"])
@pytest.mark.parametrize(
    ("t", "p", "ids"),
    [
        (2, 7, [1, 2]),
        (3, 13, [1, 2, 3]),
        (3, 13, [6, 1, 2]),  # 6 is weak
        (3, 13, [2, 4, 1]),  # 2 + 4 = -1/2
        (3, 7, [0, 1, 2]),
        (3, 7, [1, 8, 2]),  # 1 and 8 are one
        (4, 5, [1, 2, 3, 4]),
        (4, 7, [3, 5, 6, 1]),
        (4, 7, [6, 5, 0, 2]),
    ],
)
def test_leak_is_what_counting_gives(t: int, p: int, ids: list[int], points: Points) -> None:
    found = leak(t, ids, p, points)
    for k in range(1, t + 1):
        (counts,) = left_by_brute_force(t, ids[:k], p, points, ids)
        assert p ** (t - 1 - found.elements[k - 1]) == counts[0]
        in_the_open = {part for part, values in enumerate(counts[1:], start=1) if values == 1}
        assert set(found.parts[k - 1]) == in_the_open
    weak = [x for x in ids if evaluate(polynomial([0] * (t - 1), 1, inner_points(points, t, ids), p), x, p) == 0]
    assert list(found.weak) == weak


def test_two_of_three_shares_leave_13_of_169_data() -> None:
    assert left_by_brute_force(3, [1, 2], 13, "counted", []) == {(13, 13, 13)}
    assert leak(3, [1, 2, 3], 13).elements == (0, 1, 2)


def test_a_weak_id_hides_nothing() -> None:
    found = leak(3, [(P521 - 1) // 2, 1, 2])
    assert found.elements == (1, 1, 2)
    assert found.weak == ((P521 - 1) // 2,)


def test_two_shares_whose_ids_add_up_to_minus_a_half_tell_the_first_part() -> None:
    one, other = 12345, (P521 - 1) // 2 - 12345
    found = leak(3, [one, other, 7])
    assert found.parts == ((), (1,), (1, 2))
    assert found.elements == (0, 1, 2)
    assert found.weak == ()


def test_id_0_is_handed_the_last_part() -> None:
    found = leak(4, [0, 1, 2, 3])
    assert found.parts[0] == (3,)
    assert found.elements == (1, 1, 2, 3)
    assert found.weak == (0,)


def test_an_id_that_is_equal_modulo_the_prime_tells_nothing_more() -> None:
    found = leak(3, [1, 14, 2], 13)
    assert found.repeated == (14,)
    assert found.elements == (0, 0, 1)


def test_fewer_ids_than_the_threshold_are_judged_too() -> None:
    assert leak(5, [1, 2]).elements == (0, 1)


@pytest.mark.parametrize(
    ("t", "ids", "p", "points", "named"),
    [
        (1, [1], 13, "counted", "t"),
        (33, [1], P521, "counted", "t"),
        (6, [1], 5, "counted", "t"),
        (3, [], 13, "counted", "ids"),
        (3, [1], 13, "ids", "ids"),
        (3, [1, 2, 3], 15, "counted", "p"),
        (3, [1, 2, 3], 2**1500, "counted", "p"),
    ],
)
def test_what_cannot_be_judged_is_named(t: int, ids: list[int], p: int, points: Points, named: str) -> None:
    with pytest.raises(SharingError) as refused:
        leak(t, ids, p, points)
    assert refused.value.field == named


def record(millivolts: int) -> bytes:
    return f"2026-11-30T02:24:00Z transformer T1 U={millivolts / 1000:.3f} kV".encode()


@pytest.mark.parametrize("t", [3, 5])
def test_with_the_rest_of_a_record_known_t_minus_1_shares_leave_one_voltage(t: int) -> None:
    ids = [11 + i for i in range(t)]
    shares = recursive.split(record(110_037), t, ids, lambda: 2**500 + 12345)
    candidates = [record(millivolts) for millivolts in range(105_500, 114_501)]
    assert len(candidates) == 9001
    two = {x: shares[x] for x in ids[:2]}
    assert candidates_left(candidates, two, t) == [record(110_037)]
    assert candidates_left(candidates[:50], {ids[0]: shares[ids[0]]}, t) == candidates[:50]
    assert candidates_left([b"x" * 1000], two, t) == []


def test_shares_of_other_data_leave_no_candidate_and_are_told() -> None:
    with pytest.raises(ShareBroken, match="they differ in length"):
        candidates_left([b"x"], {11: bytes(66), 12: bytes(132)}, 3)
