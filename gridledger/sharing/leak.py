"""What shares of the article's scheme tell of the data, exactly: ranks over the field.

A share is a linear form in (a, d_1 ... d_(t-1)). With ``a`` uniform and unknown, k shares tell
rank(all columns) - rank(column of a) elements of the t - 1 parts: k - 1 for shares in general (a ramp scheme whose
threshold is 1), where Shamir's scheme tells 0 below t.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise

from gridledger.sharing.errors import ShareBroken, SharingError
from gridledger.sharing.field import LEAST_THRESHOLD, MAX_SHARES, P521, combine, evaluate, from_bytes
from gridledger.sharing.primes import check_prime
from gridledger.sharing.recursive import MAX_THRESHOLD, Points, group_parts, inner_points, units, weak_ids


@dataclass(frozen=True, slots=True)
class Leak:
    """What the first k of some ids' shares tell, for k = 1 ... t, or to the number of ids where that is smaller."""

    elements: tuple[int, ...]
    """How many field elements of information on the t - 1 parts."""
    parts: tuple[tuple[int, ...], ...]
    """Which parts stand in the open, numbered from 1: a sum of the shares is that part."""
    weak: tuple[int, ...]
    """The ids whose share does not depend on the random number; 0 is always one."""
    repeated: tuple[int, ...]
    """The ids that are, modulo the prime, one that stands before them: their shares tell nothing more."""


def leak(t: int, ids: Sequence[int], p: int = P521, points: Points = "counted") -> Leak:
    """Judge ids of any kind, also those with which data cannot be split. :class:`SharingError` names a bad field."""
    check_prime(p)
    if not LEAST_THRESHOLD <= t <= min(MAX_THRESHOLD, p):
        raise SharingError("t", f"{t} is not from {LEAST_THRESHOLD} to {min(MAX_THRESHOLD, p)}")
    if not 1 <= len(ids) <= MAX_SHARES:
        raise SharingError("ids", f"{len(ids)} are not from 1 to {MAX_SHARES}")
    if points == "ids" and len(ids) < t - 1:
        raise SharingError("ids", f"the inner polynomials are read at the first {t - 1}")
    polynomials = units(t, inner_points(points, t, ids), p)
    span = _Span(t, p)
    elements: list[int] = []
    parts: list[tuple[int, ...]] = []
    hidden = False
    for x in ids[:t]:
        row = [evaluate(polynomial, x, p) for polynomial in polynomials]
        hidden = hidden or row[0] != 0
        span.add(row)
        elements.append(span.rank - hidden)
        parts.append(tuple(column for column in range(1, t) if span.has_unit(column)))
    residues = [x % p for x in ids]
    repeated = tuple(x for i, x in enumerate(ids) if residues[i] in residues[:i])
    return Leak(tuple(elements), tuple(parts), tuple(weak_ids(t, ids, p, points)), repeated)


def candidates_left(candidates: Iterable[bytes], shares: Mapping[int, bytes], t: int) -> list[bytes]:
    """Those of the candidates that some shares of the profile ``article`` leave possible, fewer than t of them.

    What two holders do who know all of a record but a reading: each candidate's random number follows from one share,
    and another share says whether it is that one. :class:`ShareBroken` where shares are none.
    """
    ids = list(shares)
    polynomials = units(t, inner_points("counted", t, ids))
    rows = [[evaluate(polynomial, x) for polynomial in polynomials] for x in ids]
    if len({len(share) for share in shares.values()}) > 1:
        raise ShareBroken("shares", "they differ in length")
    groups = list(zip(*(from_bytes(share) for share in shares.values()), strict=True))
    return [candidate for candidate in candidates if _fits(group_parts(candidate, t), groups, rows)]


def _fits(groups: Sequence[Sequence[int]], shares: Sequence[Sequence[int]], rows: Sequence[Sequence[int]]) -> bool:
    """Whether there is a random number for each group with which its parts give its shares."""
    if len(groups) != len(shares):
        return False
    for parts, values in zip(groups, shares, strict=True):
        left = [(value - combine(row[1:], parts)) % P521 for value, row in zip(values, rows, strict=True)]
        # left = factor * a for each share: any two must tell the same a.
        for (first, row), (second, other) in pairwise(zip(left, rows, strict=True)):
            if (first * other[0] - second * row[0]) % P521:
                return False
    return True


class _Span:
    """The space that rows span, as its reduced row echelon form: by pivot column."""

    def __init__(self, columns: int, p: int) -> None:
        self._columns, self._p = columns, p
        self._rows: dict[int, list[int]] = {}

    @property
    def rank(self) -> int:
        return len(self._rows)

    def add(self, row: Sequence[int]) -> None:
        """Take in a row."""
        left = list(row)
        for own, known in self._rows.items():
            left = self._without(left, known, own)
        nonzero = [column for column in range(self._columns) if left[column]]
        if not nonzero:
            return
        pivot = nonzero[0]
        inverse = pow(left[pivot], -1, self._p)
        left = [value * inverse % self._p for value in left]
        self._rows = {other: self._without(known, left, pivot) for other, known in self._rows.items()}
        self._rows[pivot] = left

    def has_unit(self, column: int) -> bool:
        """Whether the unit row of a column is in the span: in this form it then is a row."""
        row = self._rows.get(column)
        return row is not None and not any(value for other, value in enumerate(row) if other != column)

    def _without(self, row: list[int], known: list[int], pivot: int) -> list[int]:
        factor = row[pivot]
        return [(value - factor * other) % self._p for value, other in zip(row, known, strict=True)] if factor else row
