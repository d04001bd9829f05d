"""Ids whose share of profile ``article`` does not depend on the random number.

The profile (Parakh and Kak's recursive scheme) takes one random number a for t - 1 parts of data: f_1(x) = a x + d_1,
and f_i(x) = f_(i-1)(i) x^i + ... + f_(i-1)(1) x + d_i. A share is f_(t-1)(x). All of it is linear in a, and the
coefficient of a obeys the same recursion without the parts: c_1(x) = x, c_i(x) = c_(i-1)(i) x^i + ... + c_(i-1)(1) x.
An id x with c_(t-1)(x) = 0 is weak: its share is a function of the data alone. For t = 3 that is x = -1/2.
"""

from __future__ import annotations

from functools import lru_cache
from typing import Final

P521: Final = 2**521 - 1
"""The field's prime."""
MAX_T: Final = 63
"""Greatest t: the work is cubic in it."""


def is_weak(x: int, t: int, p: int = P521) -> bool:
    """Whether the share at ``x`` is one of data alone; 0, whose share is a part itself, included. 2 <= t <= 63."""
    return random_number_coefficient(x, t, p) == 0


def random_number_coefficient(x: int, t: int, p: int = P521) -> int:
    """c_(t-1)(x) mod p."""
    return _evaluate(_coefficients(t, p), x, p)


@lru_cache(maxsize=128)
def _coefficients(t: int, p: int) -> tuple[int, ...]:
    """Those of c_(t-1), of x^1 upwards: they are the values of c_(t-2) at 1, 2, ..., t - 1."""
    if not 2 <= t <= MAX_T:
        raise ValueError(f"t lies within 2 and {MAX_T}")
    coefficients: tuple[int, ...] = (1,)
    for degree in range(2, t):
        coefficients = tuple(_evaluate(coefficients, point, p) for point in range(1, degree + 1))
    return coefficients


def _evaluate(coefficients: tuple[int, ...], x: int, p: int) -> int:
    """coefficients[0] x + coefficients[1] x^2 + ..., after Horner."""
    value = 0
    for coefficient in reversed(coefficients):
        value = (value + coefficient) * x % p
    return value
