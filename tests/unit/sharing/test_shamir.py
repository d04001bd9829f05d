"""Shamir's scheme: by hand, every subset, perfect secrecy in the small."""

from __future__ import annotations

import random
from itertools import combinations, product

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.sharing import shamir
from gridledger.sharing.errors import ShareBroken
from gridledger.sharing.field import P521, evaluate
from tests.support.examples import examples


def test_a_secret_by_hand() -> None:
    shares = shamir.share_secret(10, 3, [1, 2, 5], iter((3, 2)).__next__)
    assert shares == {1: 15, 2: 24, 5: 75}
    assert shamir.recover_secret(shares, 3) == 10
    assert shamir.recover_secret(shares, 3, at=7) == 10 + 21 + 98


@settings(max_examples=examples(40), deadline=None)
@given(st.binary(max_size=300), st.integers(2, 5), st.integers(0, 2**32))
def test_any_t_shares_join_and_give_the_others(data: bytes, t: int, seed: int) -> None:
    drawn = random.Random(seed)
    ids = [drawn.randrange(1, 2**64) for _ in range(t + 2)]
    shares = shamir.split(data, t, ids, lambda: drawn.randrange(P521))
    for chosen in combinations(ids, t):
        known = {x: shares[x] for x in chosen}
        assert shamir.join(known, t) == data
    assert shamir.extend(known, t, ids) == shares
    assert {len(share) for share in shares.values()} == {shamir.share_bytes(len(data))}


def test_t_minus_1_shares_fit_every_secret_equally() -> None:
    p, t = 7, 3
    seen: dict[tuple[int, int], list[int]] = {}
    for secret, one, two in product(range(p), repeat=t):
        pair = (evaluate([secret, one, two], 1, p), evaluate([secret, one, two], 2, p))
        seen.setdefault(pair, []).append(secret)
    assert all(sorted(secrets) == list(range(p)) for secrets in seen.values())


def test_shares_that_join_to_no_data_are_refused() -> None:
    shares = shamir.split(b"reading", 2, [1, 2], lambda: 5)
    for changed in (bytes(66), (P521 - 1).to_bytes(66, "big")):
        with pytest.raises(ShareBroken):
            shamir.join({1: changed, 2: shares[2]}, 2)
