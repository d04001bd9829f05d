"""The article's scheme: vectors by hand in both readings, every subset, weak ids, widths, pinned forms."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import combinations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.sharing import recursive
from gridledger.sharing.errors import ShareBroken, SharingError, WeakId
from gridledger.sharing.field import P521, evaluate
from gridledger.sharing.recursive import Points, inner_points, polynomial, recover, weak_ids
from tests.support.examples import examples

FIELDS = (251, 2**61 - 1, P521)


def shares_of(parts: Sequence[int], a: int, ids: Sequence[int], points: Points, p: int) -> list[tuple[int, int]]:
    coefficients = polynomial(parts, a, inner_points(points, len(parts) + 1, ids), p)
    return [(x, evaluate(coefficients, x, p)) for x in ids]


@dataclass(frozen=True)
class Vector:
    """An example worked out by hand."""

    p: int
    points: Points
    parts: list[int]
    a: int
    shares: dict[int, int]
    coefficients: list[int]


VECTORS = [
    # f_1 = 3x + 5: 8 at 1, 11 at 2. f_2 = 11x^2 + 8x + 7.
    Vector(13, "counted", [5, 7], 3, {1: 0, 2: 2, 3: 0, 4: 7}, [7, 8, 11]),
    # f_1 = 3x + 5: 11 at 2, 14 = 1 at 3. f_2 = x^2 + 11x + 7.
    Vector(13, "ids", [5, 7], 3, {2: 7, 3: 10, 4: 2}, [7, 11, 1]),
    # f_1 = 5x + 1: 6, 11. f_2 = 11x^2 + 6x + 2: 19 = 2, 58 = 7, 119 = 0. f_3 = 0x^3 + 7x^2 + 2x + 3.
    Vector(17, "counted", [1, 2, 3], 5, {1: 12, 2: 1, 3: 4, 4: 4, 5: 1}, [3, 2, 7, 0]),
    # At 3, 1, 2: f_1 = 16, 6. f_2 = 6x^2 + 16x + 2: 104 = 2, 24 = 7, 58 = 7. f_3 = 7x^3 + 7x^2 + 2x + 3.
    Vector(17, "ids", [1, 2, 3], 5, {3: 6, 1: 2, 2: 6, 4: 10}, [3, 2, 7, 7]),
    Vector(13, "counted", [9], 4, {1: 0, 2: 4, 3: 8}, [9, 4]),
]


@pytest.mark.parametrize("vector", VECTORS)
def test_vectors_by_hand(vector: Vector) -> None:
    shares = list(vector.shares.items())
    t = len(vector.parts) + 1
    inner = inner_points(vector.points, t, list(vector.shares))
    assert polynomial(vector.parts, vector.a, inner, vector.p) == vector.coefficients
    assert shares_of(vector.parts, vector.a, list(vector.shares), vector.points, vector.p) == shares
    assert recover(shares[-t:], inner, vector.p) == (vector.parts, vector.a)


@pytest.mark.parametrize("points", ["counted", "ids"])
def test_every_subset_of_t_shares_gives_the_parts_back(points: Points) -> None:
    drawn = random.Random(1446)
    subsets = 0
    for p in FIELDS:
        for t in range(2, 8):
            ids = drawn.sample(range(1, 200), t + 3)
            parts, a = [drawn.randrange(p) for _ in range(t - 1)], drawn.randrange(p)
            inner = inner_points(points, t, ids)
            for chosen in combinations(shares_of(parts, a, ids, points, p), t):
                assert recover(chosen, inner, p) == (parts, a)
                subsets += 1
    assert subsets == 3 * 325


def test_mixed_readings_do_not_give_the_parts_back() -> None:
    parts, a, ids = [5, 7], 3, [2, 3, 4]
    assert recover(shares_of(parts, a, ids, "ids", 13), inner_points("counted", 3, ids), 13)[0] != parts
    assert recover(shares_of(parts, a, ids, "counted", 13), inner_points("ids", 3, ids), 13)[0] != parts


def test_other_readings_of_the_inner_points_are_refused() -> None:
    with pytest.raises(SharingError, match="points"):
        inner_points("other", 3, [1, 2, 3])  # type: ignore[arg-type]


@settings(max_examples=examples(40), deadline=None)
@given(
    st.binary(max_size=600),
    st.integers(2, 7),
    st.lists(st.integers(1, 2**64 - 1), min_size=8, max_size=8, unique=True),
    st.integers(0, P521 - 1),
    st.randoms(use_true_random=False),
)
def test_any_t_shares_of_data_join(data: bytes, t: int, ids: list[int], a: int, order: random.Random) -> None:
    shares = recursive.split(data, t, ids, lambda: a)
    chosen = order.sample(ids, t)
    assert recursive.join({x: shares[x] for x in chosen}, t) == data
    assert {len(share) for share in shares.values()} == {recursive.share_bytes(len(data), t)}


def test_the_pinned_form_by_other_means() -> None:
    """As the design words it: text of digits, and the polynomials one after the other."""
    data, t, ids, draws = bytes(range(150)), 3, [11, 2**64 - 1, 7], [2**520 + 1, 12345]
    shares = recursive.split(data, t, ids, iter(draws).__next__)
    padded = (data + b"\x80").ljust(256, b"\0")
    for group, a in enumerate(draws):
        digits = str(int.from_bytes(padded[128 * group : 128 * (group + 1)], "big")).zfill(310)
        d_1, d_2 = int(digits[:155]), int(digits[155:])
        for x in ids:
            value = ((a * 2 + d_1) * x * x + (a + d_1) * x + d_2) % P521
            assert shares[x][66 * group : 66 * (group + 1)] == value.to_bytes(66, "big")
    assert {len(share) for share in shares.values()} == {132}


@pytest.mark.parametrize(
    ("p", "t", "weak"), [(13, 3, {6}), (13, 2, set()), (101, 3, {50}), (P521, 3, {(P521 - 1) // 2})]
)
def test_weak_ids_are_the_roots(p: int, t: int, weak: set[int]) -> None:
    """t = 3: the factor of a is 2x^2 + x, so x = -1/2 is weak, which is (P - 1)/2."""
    ids = list(range(1, p)) if p < 1000 else [1, 2, (p - 1) // 2, p - 1]
    assert set(weak_ids(t, ids, p)) == weak
    for x in ids:
        told = {shares_of([1] * (t - 1), a, [x], "counted", p)[0] for a in range(3)}
        assert (len(told) == 1) == (x in weak)


@pytest.mark.parametrize("p", [11, 13, 17, 31])
@pytest.mark.parametrize("t", [3, 4, 5])
def test_there_are_at_most_t_minus_2_of_them_beside_zero(p: int, t: int) -> None:
    weak = weak_ids(t, range(p), p)
    assert weak[0] == 0
    assert len(weak) - 1 <= t - 2


def test_weak_ids_of_the_other_reading() -> None:
    """t = 3: the factor is ID_2 x^2 + ID_1 x, so x = -ID_1 / ID_2 is weak."""
    ids = [2, 3, -2 * pow(3, -1, 13) % 13]
    assert weak_ids(3, ids, 13, "ids") == [ids[2]]
    with pytest.raises(WeakId):
        recursive.check_ids(3, ids, 13, "ids")


def test_no_id_of_64_bits_is_weak_up_to_t_8() -> None:
    """All factors are sums of positive terms. Below the prime, without a reduction, they cannot be 0."""
    enormous = 2**5000
    for t in range(2, 9):
        largest = polynomial([0] * (t - 1), 1, range(1, t), enormous)
        assert 0 < evaluate(largest, 2**64 - 1, enormous) < P521
        assert all(coefficient >= 0 for coefficient in largest)


def test_a_weak_id_is_refused_by_name() -> None:
    weak = (P521 - 1) // 2
    with pytest.raises(WeakId, match=f"id {weak} is weak") as refused:
        recursive.split(b"", 3, [1, 2, weak], lambda: 1)
    assert refused.value.details == {"field": "ids", "id": str(weak)}


def test_a_threshold_beyond_the_bound_is_refused() -> None:
    with pytest.raises(SharingError, match="t: 33 is more than 32"):
        recursive.check_ids(33, range(1, 40))


def test_without_a_pinned_width_a_fifth_comes_back_wrong() -> None:
    """Three parts of ten digits, stitched as numbers: 1 - 0.9^2 = 19.0 % have lost a zero."""
    drawn, wrong, cases = random.Random(19), 0, 20_000
    for _ in range(cases):
        digits = f"{drawn.randrange(10**30):030}"
        parts = [int(digits[at : at + 10]) for at in (0, 10, 20)]
        wrong += int("".join(map(str, parts))) != int(digits)
        assert int("".join(f"{part:010}" for part in parts)) == int(digits)
    assert wrong / cases == pytest.approx(0.190, abs=0.008)


@pytest.mark.parametrize(("t", "share"), [(3, 0.5161), (5, 0.2581), (11, 0.1036)])
def test_the_storage_of_a_node(t: int, share: float) -> None:
    assert recursive.share_bytes(100_000, t) / 100_000 == pytest.approx(share, abs=0.00005)


def test_two_parts_save_nothing() -> None:
    assert recursive.share_bytes(100_000, 2) > 100_000


def test_shares_that_join_to_no_data_are_refused() -> None:
    shares = recursive.split(b"reading", 2, [1, 2], lambda: 5)
    for changed in (bytes(66), (P521 - 1).to_bytes(66, "big"), bytes(65) + b"\1"):
        with pytest.raises(ShareBroken):
            recursive.join({1: changed, 2: shares[2]}, 2)


def test_a_part_beyond_155_digits_is_refused() -> None:
    """Else two sets of shares would be of the same data."""
    coefficients = polynomial([0, 10**155], 5, inner_points("counted", 3, []))
    shares = {x: evaluate(coefficients, x).to_bytes(66, "big") for x in (1, 2, 3)}
    with pytest.raises(ShareBroken, match="a part is too large"):
        recursive.join(shares, 3)
