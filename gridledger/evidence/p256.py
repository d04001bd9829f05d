"""Arithmetic on the curve P-256 (SEC 2, secp256r1), for public data: the time it takes depends on the numbers."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

PRIME: Final = 2**256 - 2**224 + 2**192 + 2**96 - 1
ORDER: Final = 0xFFFFFFFF00000000FFFFFFFFFFFFFFFFBCE6FAADA7179E84F3B9CAC2FC632551
B: Final = 0x5AC635D8AA3A93E7B3EBBD55769886BC651D06B0CC53B0F63BCE3C3E27D2604B
POINT_BYTES: Final = 65
SCALAR_BYTES: Final = 32
_UNCOMPRESSED: Final = b"\x04"

Point = tuple[int, int] | None
"""Affine coordinates; None is the point at infinity."""

G: Final[Point] = (
    0x6B17D1F2E12C4247F8BCE6E563A440F277037D812DEB33A0F4A13945D898C296,
    0x4FE342E2FE1A7F9B8EE7EB4A7C0F9E162BCE33576B315ECECBB6406837BF51F5,
)
_Jacobian = tuple[int, int, int]
"""(X, Y, Z) is (X/Z^2, Y/Z^3); Z = 0 is infinity."""
_INFINITY: Final[_Jacobian] = (1, 1, 0)


def decode(data: bytes) -> Point:
    """The point of 65 bytes, SEC 1 uncompressed; None for what is no point of the curve (infinity has no such form)."""
    if len(data) != POINT_BYTES or data[:1] != _UNCOMPRESSED:
        return None
    x, y = int.from_bytes(data[1:33], "big"), int.from_bytes(data[33:], "big")
    if x >= PRIME or y >= PRIME or (y * y - (x * x - 3) * x - B) % PRIME:
        return None
    return x, y


def encode(point: Point) -> bytes:
    """65 bytes, SEC 1 uncompressed, of a point that is not infinity."""
    if point is None:
        raise ValueError("the point at infinity has no uncompressed form")
    return _UNCOMPRESSED + point[0].to_bytes(32, "big") + point[1].to_bytes(32, "big")


def negate(point: Point) -> Point:
    """The point that adds up with this one to infinity."""
    return None if point is None else (point[0], -point[1] % PRIME)


def add(left: Point, right: Point) -> Point:
    """The sum of two points of the curve."""
    if left is None or right is None:
        return right if left is None else left
    (x1, y1), (x2, y2) = left, right
    if x1 == x2:
        if (y1 + y2) % PRIME == 0:
            return None
        slope = 3 * (x1 * x1 - 1) * pow(2 * y1, -1, PRIME) % PRIME
    else:
        slope = (y2 - y1) * pow(x2 - x1, -1, PRIME) % PRIME
    x = (slope * slope - x1 - x2) % PRIME
    return x, (slope * (x1 - x) - y1) % PRIME


def add_to_each(points: Sequence[tuple[int, int]], other: tuple[int, int]) -> list[Point]:
    """The sums of each of these points with another one: as :func:`add`, with one inverse for all."""
    x2, y2 = other
    # 1 where the formula below is not that of the sum.
    differences = [(x2 - x1) % PRIME or 1 for x1, _ in points]
    sums: list[Point] = []
    for (x1, y1), inverse in zip(points, inverses(differences, PRIME), strict=True):
        if x1 == x2:
            sums.append(add((x1, y1), other))
            continue
        slope = (y2 - y1) * inverse % PRIME
        x = (slope * slope - x1 - x2) % PRIME
        sums.append((x, (slope * (x1 - x) - y1) % PRIME))
    return sums


def inverses(numbers: Sequence[int], modulus: int) -> list[int]:
    """The inverses of numbers, none of them 0, modulo a prime: one is computed, and three products for each
    (Montgomery)."""
    products = [1]
    for number in numbers:
        products.append(products[-1] * number % modulus)
    inverse = pow(products[-1], -1, modulus)
    found = []
    for number, before in zip(reversed(numbers), reversed(products[:-1]), strict=True):
        found.append(inverse * before % modulus)
        inverse = inverse * number % modulus
    return found[::-1]


def multiply(number: int, point: Point) -> Point:
    """``number`` times a point; the number is taken modulo the order."""
    if point is None:
        return None
    x, y, z = _INFINITY
    for bit in bin(number % ORDER)[2:]:
        x, y, z = _double(x, y, z)
        if bit == "1":
            x, y, z = _add_affine((x, y, z), point)
    if z == 0:
        return None
    inverse = pow(z, -1, PRIME)
    square = inverse * inverse % PRIME
    return x * square % PRIME, y * square * inverse % PRIME


def _double(x: int, y: int, z: int) -> _Jacobian:
    # "dbl-2001-b" of the Explicit-Formulas Database, for a = -3; infinity (Z = 0) stays infinity.
    delta, gamma = z * z % PRIME, y * y % PRIME
    beta = x * gamma % PRIME
    alpha = 3 * (x - delta) * (x + delta) % PRIME
    x3 = (alpha * alpha - 8 * beta) % PRIME
    return x3, (alpha * (4 * beta - x3) - 8 * gamma * gamma) % PRIME, 2 * y * z % PRIME


def _add_affine(left: _Jacobian, right: tuple[int, int]) -> _Jacobian:
    x1, y1, z1 = left
    x2, y2 = right
    if z1 == 0:
        return x2, y2, 1
    square = z1 * z1 % PRIME
    h, slope = (x2 * square - x1) % PRIME, (y2 * square * z1 - y1) % PRIME
    if h == 0:
        return _double(x1, y1, z1) if slope == 0 else _INFINITY
    h2 = h * h % PRIME
    h3, v = h2 * h % PRIME, x1 * h2 % PRIME
    x3 = (slope * slope - h3 - 2 * v) % PRIME
    return x3, (slope * (v - x3) - y1 * h3) % PRIME, z1 * h % PRIME
