"""Arithmetic that gives the same bits on every machine: IEEE-754 binary64 with + - * / and comparisons only.

The sine, cosine and exponential functions of a language's library are not correctly rounded and differ between
versions, so sine and cosine are computed here. The order of operations is part of the definition; keep it.
"""

from __future__ import annotations

from math import factorial, floor, isfinite, nan
from typing import Final

DEGREE: Final = 0.017453292519943295
"""One degree in radians, rounded to binary64."""

_SIN: Final = tuple((-1.0 if n // 2 % 2 else 1.0) / float(factorial(n)) for n in range(17, 2, -2))
_COS: Final = tuple((-1.0 if n // 2 % 2 else 1.0) / float(factorial(n)) for n in range(18, 1, -2))


def sin_cos(degrees: float) -> tuple[float, float]:
    """Sine and cosine of an angle in degrees; the error is at most 3.3e-16."""
    k = floor(degrees / 90.0 + 0.5)
    x = (degrees - 90.0 * k) * DEGREE
    z = x * x
    S = 0.0
    for coefficient in _SIN:
        S = (S + coefficient) * z
    sine = x + x * S
    C = 0.0
    for coefficient in _COS:
        C = (C + coefficient) * z
    cosine = 1.0 + C
    match k % 4:
        case 0:
            return sine, cosine
        case 1:
            return cosine, -sine
        case 2:
            return -sine, -cosine
        case _:
            return -cosine, sine


def term(G: float, B: float, v: float, degrees: float) -> float:
    """v (G sin d - B cos d): what a branch of admittance G + jB adds to dQ/dV across the angle d, in degrees."""
    sine, cosine = sin_cos(degrees)
    return (G * v) * sine - (B * v) * cosine


class Elimination:
    """Gaussian elimination with partial pivoting of a square matrix, once, to solve for several right-hand sides.

    Row swaps and multipliers are kept and replayed on each right-hand side, so that every solution has the bits that
    eliminating matrix and right-hand side together would give. Most entries of a grid's matrix are 0: what subtracts 0
    times a finite number is left out, which changes no value.
    """

    __slots__ = ("_entries", "_rows", "_steps", "regular")

    def __init__(self, matrix: list[list[float]]) -> None:
        """``matrix``: square, row by row; it is not changed. ``regular`` is false where a pivot is 0 or not finite."""
        rows = [list(row) for row in matrix]
        size = len(rows)
        self._rows = rows
        self._steps: list[tuple[int, list[tuple[int, float]]]] = []
        self.regular = True
        for c in range(size):
            best = c
            for r in range(c + 1, size):
                if abs(rows[r][c]) > abs(rows[best][c]):
                    best = r
            pivot = rows[best][c]
            if pivot == 0.0 or not isfinite(pivot):
                self.regular = False
                return
            rows[c], rows[best] = rows[best], rows[c]
            self._steps.append((best, _eliminate(rows, c)))
        self._entries = [[(k, row[k]) for k in range(r + 1, size) if row[k] != 0.0] for r, row in enumerate(rows)]

    def solve(self, right: list[float]) -> list[float]:
        """x of matrix x = ``right``; only where the matrix is ``regular``. Entries may come out as not finite."""
        rows = self._rows
        b = list(right)
        size = len(b)
        for c, (best, multipliers) in enumerate(self._steps):
            b[c], b[best] = b[best], b[c]
            b_c = b[c]
            if not isfinite(b_c):
                # Below it 0 times infinity is no number either: the rows that elimination could skip are lost too.
                b[c + 1 :] = [nan] * (size - c - 1)
                continue
            for r, f in multipliers:
                b[r] = b[r] - f * b_c
        x = [0.0] * size
        finite = True
        for r in range(size - 1, -1, -1):
            row = rows[r]
            s = b[r]
            # 0 times infinity is no number: above an entry that is not finite nothing is left out.
            for k, a in self._entries[r] if finite else enumerate(row[r + 1 :], r + 1):
                s = s - a * x[k]
            x[r] = s / row[r]
            finite = finite and isfinite(x[r])
        return x

    def row_of_inverse(self, number: int) -> list[float]:
        """Row ``number`` of the inverse: what each unit right-hand side gives there; only where ``regular``.

        One solution with the transposed matrix instead of one for each right-hand side. The entries differ from those
        of ``solve`` by rounding.
        """
        size = len(self._rows)
        y = [0.0] * size
        y[number] = 1.0
        for r in range(number, size):
            y_r = y[r] = y[r] / self._rows[r][r]
            if y_r != 0.0:
                for k, a in self._entries[r]:
                    y[k] -= a * y_r
        for c in range(size - 1, -1, -1):
            best, multipliers = self._steps[c]
            for r, f in multipliers:
                y[c] -= f * y[r]
            y[c], y[best] = y[best], y[c]
        return y


def _eliminate(rows: list[list[float]], c: int) -> list[tuple[int, float]]:
    """Clear column ``c`` below the pivot row ``c``; the multipliers f, by row.

    Rows and columns that would get 0 times a finite number subtracted are skipped; next to a number that is not finite
    nothing is skipped, because 0 times infinity is no number.
    """
    pivot_row = rows[c]
    pivot = pivot_row[c]
    tail = pivot_row[c + 1 :]
    finite = all(map(isfinite, tail))
    entries = [(k, p) for k, p in enumerate(tail, c + 1) if p != 0.0]
    multipliers = []
    for r in range(c + 1, len(rows)):
        row = rows[r]
        f = row[c] / pivot
        if f == 0.0 and finite:
            continue
        multipliers.append((r, f))
        if finite and isfinite(f):
            for k, p in entries:
                row[k] = row[k] - f * p
        else:
            row[c + 1 :] = [a - f * p for a, p in zip(row[c + 1 :], tail, strict=True)]
    return multipliers
