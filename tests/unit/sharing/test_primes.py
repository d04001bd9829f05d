"""Which numbers are prime."""

from __future__ import annotations

import pytest

from gridledger.sharing.errors import SharingError
from gridledger.sharing.primes import check_prime, is_prime


def test_small_numbers_as_a_sieve_has_them() -> None:
    sieve = [True] * 60_000
    sieve[:2] = False, False
    for n in range(2, 245):
        if sieve[n]:
            sieve[n * n :: n] = [False] * len(sieve[n * n :: n])
    assert [is_prime(n) for n in range(60_000)] == sieve


@pytest.mark.parametrize("n", [2**61 - 1, 2**521 - 1, 2**127 - 1])
def test_mersenne_primes(n: int) -> None:
    assert is_prime(n)


@pytest.mark.parametrize("n", [3215031751, 3474749660383, 341550071728321, (2**61 - 1) * (2**89 - 1), 2**523 - 1])
def test_composites_that_pass_for_some_bases(n: int) -> None:
    assert not is_prime(n)
    with pytest.raises(SharingError, match="p: "):
        check_prime(n)
