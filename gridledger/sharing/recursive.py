"""The article's recursive scheme (its section 4.1; Parakh and Kak's): t - 1 parts in one polynomial of degree t - 1.

f_1 = a x + d_1, and f_i has d_i as constant and values of f_(i-1) as coefficients of x, x^2, ... x^i. A share is a
value of f_(t-1). Where the inner values are taken is read in two ways: **counted** (at 1, 2, ... i + 1, as step (2) of
the section has it; all data) or **ids** (at the first ids, as its section 4.2.2 reads them back).

One random number hides t - 1 parts: k shares tell k - 1 parts' worth (:mod:`gridledger.sharing.leak`). The profile is
for study. All is linear in (a, d_1 ... d_(t-1)), so that data of many groups is a product with one matrix.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Final, Literal

from gridledger.sharing import field
from gridledger.sharing.errors import ShareBroken, SharingError, WeakId
from gridledger.sharing.field import ELEMENT_BYTES, P521, combine, evaluate, interpolate
from gridledger.sharing.padding import PART_BYTES, group_count, pad, unpad

Points = Literal["counted", "ids"]
"""Where the inner polynomials are evaluated."""
PART_DIGITS: Final = 155
"""Decimal digits of one part: those of 2^512 - 1. Without a fixed width leading zeros of a part are lost."""
MAX_THRESHOLD: Final = 32
"""Of this scheme: what is made ready for a split or join grows with the fourth power of t."""
_PART: Final[int] = 10**PART_DIGITS


def inner_points(points: Points, t: int, ids: Sequence[int]) -> list[int]:
    """Where the inner polynomials are evaluated: t - 1 places, of which f_i uses the first i + 1."""
    if points == "counted":
        return list(range(1, t))
    if points == "ids":
        return list(ids[: t - 1])
    raise SharingError("points", 'neither "counted" nor "ids"')


def polynomial(parts: Sequence[int], a: int, inner: Sequence[int], p: int = P521) -> list[int]:
    """The coefficients, ascending, of f_(t-1) for the parts d_1 ... d_(t-1) and the random number ``a``."""
    coefficients = [parts[0] % p, a % p]
    for i, part in enumerate(parts[1:], start=2):
        coefficients = [part % p, *(evaluate(coefficients, x, p) for x in inner[:i])]
    return coefficients


def recover(points: Sequence[tuple[int, int]], inner: Sequence[int], p: int = P521) -> tuple[list[int], int]:
    """The parts d_1 ... d_(t-1), and a, from t points (x, share) of f_(t-1) (the article's section 4.2.2)."""
    coefficients = interpolate(points, p)
    parts = [coefficients[0]]
    while len(coefficients) > 2:  # noqa: PLR2004 - a line: a x + d_1
        coefficients = interpolate(list(zip(inner, coefficients[1:], strict=False)), p)
        parts.append(coefficients[0])
    return parts[::-1], coefficients[1]


def units(t: int, inner: Sequence[int], p: int = P521) -> list[list[int]]:
    """The polynomials where one of a, d_1 ... d_(t-1), in this order, is 1 and the others are 0."""
    parts = [[int(i == j) for j in range(t - 1)] for i in range(t - 1)]
    return [polynomial([0] * (t - 1), 1, inner, p), *(polynomial(unit, 0, inner, p) for unit in parts)]


def weak_ids(t: int, ids: Sequence[int], p: int = P521, points: Points = "counted") -> list[int]:
    """Those of ``ids`` whose share does not depend on the random number, in their order.

    There are at most t - 1 of them modulo p; 0, which is handed d_(t-1), is one. ``counted`` has factors that are sums
    of positive terms: in the field of the data no id below 2^64 other than 0 is weak while they stay below the prime.
    """
    factors = polynomial([0] * (t - 1), 1, inner_points(points, t, ids), p)
    return [x for x in ids if evaluate(factors, x, p) == 0]


def check_ids(t: int, ids: Sequence[int], p: int = P521, points: Points = "counted") -> None:
    """As :func:`gridledger.sharing.field.check_ids`, and :class:`WeakId` for an id whose share hides nothing."""
    field.check_ids(t, ids, p)
    if t > min(MAX_THRESHOLD, p):
        raise SharingError("t", f"{t} is more than {min(MAX_THRESHOLD, p)}")
    weak = weak_ids(t, ids, p, points)
    if weak:
        raise WeakId("ids", f"id {weak[0]} is weak: its share does not depend on the random number", id=str(weak[0]))


def share_bytes(length: int, t: int) -> int:
    """The size of a share of data of ``length`` bytes."""
    return ELEMENT_BYTES * group_count(length, PART_BYTES * (t - 1))


def split(data: bytes, t: int, ids: Sequence[int], draw: Callable[[], int]) -> dict[int, bytes]:
    """Shares by id. ``draw()`` gives the random number of a group, from 0 to P521 - 1; it is called once for each.

    A group is 64(t-1) bytes: as a big-endian integer, in decimal, padded to 155(t-1) digits, cut into t - 1 parts of
    155 digits, of which d_1 is the first. Raises :class:`SharingError` for ids and thresholds that cannot be used.
    """
    check_ids(t, ids)
    inner = inner_points("counted", t, ids)
    polynomials = units(t, inner)
    rows = [[evaluate(polynomial, x) for polynomial in polynomials] for x in ids]
    shares: list[list[int]] = [[] for _ in ids]
    for parts in group_parts(data, t):
        known = [draw(), *parts]
        for row, share in zip(rows, shares, strict=True):
            share.append(combine(row, known))
    return {x: field.to_bytes(share) for x, share in zip(ids, shares, strict=True)}


def join(shares: Mapping[int, bytes], t: int) -> bytes:
    """The data of the first t of the shares; :class:`ShareBroken` where they do not join to data."""
    ids = list(shares)[:t]
    elements = [field.from_bytes(shares[x]) for x in ids]
    inner = inner_points("counted", t, ids)
    columns = [recover([(x, int(x == own)) for x in ids], inner)[0] for own in ids]
    rows = [list(row) for row in zip(*columns, strict=True)]
    size = PART_BYTES * (t - 1)
    top = 1 << (8 * size)
    groups: list[bytes] = []
    for values in zip(*elements, strict=True):
        group = 0
        for row in rows:
            part = combine(row, values)
            if part >= _PART:
                raise ShareBroken("shares", "they do not join to what was split: a part is too large")
            group = group * _PART + part
        if group >= top:
            raise ShareBroken("shares", "they do not join to what was split: a group is too large")
        groups.append(group.to_bytes(size, "big"))
    return unpad(b"".join(groups), size)


def group_parts(data: bytes, t: int) -> list[list[int]]:
    """The parts d_1 ... d_(t-1) of each group of the padded data."""
    size = PART_BYTES * (t - 1)
    padded = pad(data, size)
    return [_parts(int.from_bytes(padded[at : at + size], "big"), t - 1) for at in range(0, len(padded), size)]


def _parts(group: int, count: int) -> list[int]:
    """A group's number cut into parts of 155 decimal digits, the highest first."""
    parts: list[int] = []
    for _ in range(count):
        group, part = divmod(group, _PART)
        parts.append(part)
    return parts[::-1]
