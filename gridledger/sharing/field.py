"""Arithmetic modulo a prime: polynomials, interpolation, and elements as bytes.

The prime of all data is 2^521 - 1. Functions take another one where the scheme is studied in a small field.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from operator import mul
from typing import Final

from gridledger.sharing.errors import ShareBroken, SharingError, WeakId

P521: Final = 2**521 - 1
"""The prime of all data, a Mersenne prime."""
ELEMENT_BITS: Final = 521
ELEMENT_BYTES: Final = 66
"""An element as bytes, big-endian."""
MAX_SHARES: Final = 255
"""Of one object: the erasure code works in GF(2^8)."""
LEAST_THRESHOLD: Final = 2


def evaluate(coefficients: Sequence[int], x: int, p: int = P521) -> int:
    """A polynomial, its coefficients ascending, at ``x``."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value * x + coefficient) % p
    return value


def interpolate(points: Sequence[tuple[int, int]], p: int = P521) -> list[int]:
    """The coefficients, ascending, of the polynomial of degree ``len(points) - 1`` through the points (Lagrange)."""
    vanishing = [1]  # the product of all (X - x)
    for x, _ in points:
        vanishing = [(low - x * high) % p for low, high in zip([0, *vanishing], [*vanishing, 0], strict=True)]
    coefficients = [0] * len(points)
    for x, y in points:
        quotient = _divide_by_root(vanishing, x, p)
        factor = y * pow(evaluate(quotient, x, p), -1, p) % p
        coefficients = [(old + factor * new) % p for old, new in zip(coefficients, quotient, strict=True)]
    return coefficients


def _divide_by_root(coefficients: Sequence[int], root: int, p: int) -> list[int]:
    """A polynomial divided by (X - root), where that leaves no remainder."""
    quotient: list[int] = []
    carried = 0
    for coefficient in reversed(coefficients[1:]):
        carried = (carried * root + coefficient) % p
        quotient.append(carried)
    return quotient[::-1]


def weights(ids: Sequence[int], at: int = 0, p: int = P521) -> list[int]:
    """Lagrange weights in the order of ``ids``: the polynomial at ``at`` is the sum of weight times value."""
    result: list[int] = []
    for i, x in enumerate(ids):
        above = below = 1
        for j, other in enumerate(ids):
            if j != i:
                above = above * (at - other) % p
                below = below * (x - other) % p
        result.append(above * pow(below, -1, p) % p)
    return result


def combine(factors: Sequence[int], values: Sequence[int], p: int = P521) -> int:
    """The sum of factor times value."""
    total: int = sum(map(mul, factors, values))
    return total % p


def random_element(randbytes: Callable[[int], bytes], p: int = P521) -> int:
    """An element, each with the same probability, of the bytes that ``randbytes(n)`` gives."""
    bits = p.bit_length()
    size, spare = -(-bits // 8), -bits % 8
    while True:
        value = int.from_bytes(randbytes(size), "big") >> spare
        if value < p:
            return value


def check_ids(t: int, ids: Sequence[int], p: int = P521) -> None:
    """Raise :class:`SharingError` where ids and threshold fit no scheme: 0 and ids that are equal modulo ``p`` too."""
    if len(ids) > MAX_SHARES:
        raise SharingError("ids", f"{len(ids)} are more than {MAX_SHARES}")
    if not LEAST_THRESHOLD <= t <= len(ids):
        raise SharingError("t", f"{t} is not from {LEAST_THRESHOLD} to {len(ids)}, the number of ids")
    seen: dict[int, int] = {}
    for x in ids:
        if x < 0:
            raise SharingError("ids", f"{x} is negative")
        if x % p == 0:
            raise WeakId("ids", f"id {x} is 0 modulo the prime: its share would be the secret itself", id=str(x))
        if x % p in seen:
            other = seen[x % p]
            told = f"id {x} is there twice" if other == x else f"ids {other} and {x} are equal modulo the prime"
            raise WeakId("ids", told, id=str(x))
        seen[x % p] = x


def to_bytes(elements: Iterable[int]) -> bytes:
    """Elements one after the other, each 66 bytes big-endian."""
    return b"".join([element.to_bytes(ELEMENT_BYTES, "big") for element in elements])


def from_bytes(share: bytes, field: str = "shares") -> list[int]:
    """The elements of such a text; :class:`ShareBroken` where it is none."""
    if len(share) % ELEMENT_BYTES:
        raise ShareBroken(field, f"{len(share)} bytes are no whole number of elements of {ELEMENT_BYTES}")
    elements = [int.from_bytes(share[at : at + ELEMENT_BYTES], "big") for at in range(0, len(share), ELEMENT_BYTES)]
    if elements and max(elements) >= P521:
        raise ShareBroken(field, "an element is not below the prime")
    return elements
