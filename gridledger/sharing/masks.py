"""The article's masks (its sections 4.1 to 4.3), after Zhao, Zhang and Zhao (2007), from whom they are taken.

Never used by default: services send shares by HPKE. What the masks do not give, and the tests show: the ratio of two
masked shares of one receiver is that of the shares while keys stay; the Jacobi symbol of every share can be read from
the broadcast, as x0 is odd; a share of 0 shows; nothing is authenticated; whoever learns a key later opens all recorded
broadcasts.

Two things differ from the article's print. Its ``[t, n]`` for keys is [2, N], N = pq. And x0 must be coprime to p - 1
and q - 1 so that f = x0^-1 modulo phi(N) exists, by which anyone checks a mask that was revealed; the article lost f.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from math import gcd, isqrt

from gridledger.sharing.errors import SharingError
from gridledger.sharing.primes import safe_prime


@dataclass(frozen=True, slots=True)
class Group:
    """What is broadcast to all: the modulus N = pq, and g from [N^1/2, N], coprime to p and q."""

    modulus: int
    g: int

    def public(self, key: int) -> int:
        """y = g^key."""
        return pow(self.g, key, self.modulus)


@dataclass(frozen=True, slots=True)
class Dealer:
    """Who knows p and q: its key x0 stays with it; y0 and f are broadcast."""

    group: Group
    x0: int
    f: int

    @property
    def y0(self) -> int:
        return self.group.public(self.x0)


def new_dealer(bits: int, randbytes: Callable[[int], bytes]) -> Dealer:
    """A group whose modulus has so many bits, with a dealer's key. p and q are forgotten."""
    (p, _), (q, _) = safe_prime(bits // 2, randbytes), safe_prime(bits - bits // 2, randbytes)
    while q == p:
        q, _ = safe_prime(bits - bits // 2, randbytes)
    modulus = p * q
    g = _drawn(isqrt(modulus) + 1, modulus, randbytes)
    while gcd(g, modulus) != 1:
        g = _drawn(isqrt(modulus) + 1, modulus, randbytes)
    return dealer_of(p, q, g, randbytes)


def dealer_of(p: int, q: int, g: int, randbytes: Callable[[int], bytes]) -> Dealer:
    """A dealer's key for primes and a generator that are known."""
    phi = (p - 1) * (q - 1)
    while True:
        x0 = new_key(p * q, randbytes)
        if gcd(x0, phi) == 1:
            return Dealer(Group(p * q, g), x0, pow(x0, -1, phi))


def new_key(modulus: int, randbytes: Callable[[int], bytes]) -> int:
    """A key from [2, N]: of a cluster's head or of a sensor."""
    return _drawn(2, modulus, randbytes)


def mask(group: Group, y_other: int, own_key: int) -> int:
    """What both ends of a pair make: the other's y to one's own key."""
    return pow(y_other, own_key, group.modulus)


def hide(group: Group, share: int, masked_by: int) -> int:
    """A share times a mask: what is broadcast. :class:`SharingError` where the share is not below N."""
    if not 0 <= share < group.modulus:
        raise SharingError("share", "it is not from 0 to N - 1")
    return share * masked_by % group.modulus


def reveal(group: Group, hidden: int, masked_by: int) -> int:
    """The share. In 4.3.2 the second formula's denominator must be (y_M)^x_CH; it is printed (y_CH)^x_CH."""
    return hidden * pow(masked_by, -1, group.modulus) % group.modulus


def mask_holds(dealer_f: int, group: Group, y: int, masked_by: int) -> bool:
    """Whether a revealed mask is y^x0, for anyone who knows f: mask^f = y."""
    return pow(masked_by, dealer_f, group.modulus) == y % group.modulus


def jacobi(a: int, n: int) -> int:
    """The Jacobi symbol (a / n) for odd n > 0: 1, -1, or 0 where they have a factor in common."""
    a, symbol = a % n, 1
    while a:
        twos = (a & -a).bit_length() - 1
        a >>= twos
        if twos % 2 and n % 8 in (3, 5):
            symbol = -symbol
        if a % 4 == n % 4 == 3:  # noqa: PLR2004 - quadratic reciprocity
            symbol = -symbol
        a, n = n % a, a
    return symbol if n == 1 else 0


def jacobi_of_share(group: Group, hidden: int, y: int) -> int:
    """The Jacobi symbol of a hidden share, read from the broadcast alone: x0 is odd, so the mask's is that of y."""
    return jacobi(hidden, group.modulus) * jacobi(y, group.modulus)


def _drawn(least: int, most: int, randbytes: Callable[[int], bytes]) -> int:
    span = most - least + 1
    bits = span.bit_length()
    size, spare = -(-bits // 8), -bits % 8
    while True:
        value = int.from_bytes(randbytes(size), "big") >> spare
        if value < span:
            return least + value
