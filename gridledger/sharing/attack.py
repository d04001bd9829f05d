"""The article's section 5.1: how likely a forking attack succeeds. It is about proof of work.

On a permissioned ledger the question is another one: how many organisations' keys must be stolen. The formula is here
as it is printed, as it must read, and beside the exact value.
"""

from __future__ import annotations

from fractions import Fraction
from math import comb, exp, log

from gridledger.sharing.errors import SharingError

MAX_BLOCKS = 700
"""Beyond it the first term, e^-lambda, is 0 in binary64, and so is every sum that begins with it."""

_MAX_LOG = 700.0


def printed(attacker: float, blocks: int) -> float:
    """The article's formula for any share a of the attacker, with b = 1 - a: beyond a = b it is no probability.

    There its terms grow without bound; :class:`SharingError` where binary64 does not have them.
    """
    a, b = _shares(attacker, blocks)
    expected, weight, total = blocks * a / b, 1.0, 0.0
    if expected > MAX_BLOCKS or blocks * log(a / b) > _MAX_LOG:
        raise SharingError("attacker", f"with {attacker} and {blocks} blocks the printed formula is beyond binary64")
    for i in range(blocks + 1):
        weight = weight * expected / i if i else exp(-expected)
        total += weight * (1 - (a / b) ** (blocks - i))
    return 1 - total


def corrected(attacker: float, blocks: int) -> float:
    """Nakamoto's formula: the honest lead (a < b); who has as much as they or more succeeds with certainty."""
    a, b = _shares(attacker, blocks)
    if a >= b:
        return 1.0
    # The same sum without 1 minus nearly 1: what is caught up from behind, and what is ahead already.
    expected, weight, caught_up = blocks * a / b, 1.0, 0.0
    for i in range(blocks + 1):
        weight = weight * expected / i if i else exp(-expected)
        caught_up += weight * (a / b) ** (blocks - i)
    ahead, i = 0.0, blocks
    while weight > 0.0:
        i += 1
        weight *= expected / i
        ahead += weight
    return min(1.0, caught_up + ahead)


def exact(attacker: float | Fraction, blocks: int) -> float:
    """Rosenfeld's value (2014): the attacker's progress is negative binomial, where Nakamoto takes a Poisson number.

    The sum is one of fractions, so that nothing is lost where it is tiny.
    """
    _shares(float(attacker), blocks)
    a = Fraction(attacker).limit_denominator(10**9)
    b = 1 - a
    if a >= b:
        return 1.0
    missed = sum(comb(m + blocks - 1, m) * (b**blocks * a**m - a**blocks * b**m) for m in range(blocks + 1))
    return float(1 - missed)


def _shares(attacker: float, blocks: int) -> tuple[float, float]:
    if not 0 < attacker < 1:
        raise SharingError("attacker", "the attacker's share is not between 0 and 1")
    if not 1 <= blocks <= MAX_BLOCKS:
        raise SharingError("blocks", f"{blocks} is not from 1 to {MAX_BLOCKS}")
    return attacker, 1 - attacker
