"""Prime numbers: the test of Miller and Rabin, and safe primes for the masks."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from gridledger.sharing.errors import SharingError

MAX_PRIME_BITS: Final = 1024
"""Of a prime that comes from outside: it bounds the work."""
_SMALL: Final = tuple(n for n in range(2, 230) if all(n % d for d in range(2, n)))


def is_prime(n: int) -> bool:
    """Whether n is prime: certain below 3.3 * 10^24, beyond that wrong for fewer than 4^-50 of the numbers drawn.

    The bases are the first 50 primes: a composite may be made for them on purpose.
    """
    if n < _SMALL[-1] ** 2:
        return n > 1 and all(n % d or n == d for d in _SMALL)
    if any(n % d == 0 for d in _SMALL):
        return False
    odd, twos = n - 1, 0
    while odd % 2 == 0:
        odd, twos = odd // 2, twos + 1
    return all(_passes(n, base, odd, twos) for base in _SMALL)


def _passes(n: int, base: int, odd: int, twos: int) -> bool:
    value = pow(base, odd, n)
    if value in (1, n - 1):
        return True
    for _ in range(twos - 1):
        value = value * value % n
        if value == n - 1:
            return True
    return False


def check_prime(p: int) -> None:
    """Raise :class:`SharingError` where a field of ``p`` elements is not to be had."""
    if p.bit_length() > MAX_PRIME_BITS:
        raise SharingError("p", f"it has more than {MAX_PRIME_BITS} bits")
    if not is_prime(p):
        raise SharingError("p", f"{p} is not prime")


def safe_prime(bits: int, randbytes: Callable[[int], bytes]) -> tuple[int, int]:
    """(p, x) with p = 2x + 1, both prime, p of so many bits, the upper two of them set. Below 512 bits in seconds."""
    size = -(-(bits - 1) // 8)
    while True:
        x = int.from_bytes(randbytes(size), "big") >> (8 * size - (bits - 1))
        x |= 0b11 << (bits - 3) | 1
        # A base or two refuses nearly all; the sieve comes first, for x and 2x + 1 at once.
        if any(x % d == 0 or (2 * x + 1) % d == 0 for d in _SMALL[1:]) or pow(2, x - 1, x) != 1:
            continue
        if is_prime(x) and is_prime(2 * x + 1):
            return 2 * x + 1, x
