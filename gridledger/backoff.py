"""Exponential back-off: pauses that grow with each failure in a row, up to a bound, and are random."""

from __future__ import annotations

from random import Random


class Backoff:
    """Exponential delays in seconds, each drawn from the upper half of its interval so that callers spread."""

    def __init__(self, initial_s: float, longest_s: float, random: Random) -> None:
        self._initial_s = initial_s
        self._longest_s = longest_s
        self._random = random
        self._failures = 0

    @property
    def failures(self) -> int:
        """Failures in a row."""
        return self._failures

    def succeeded(self) -> None:
        """Start over."""
        self._failures = 0

    def failed(self) -> float:
        """Count one failure; how long to wait now."""
        # The exponent is bounded too: 2**1075 is no float.
        interval = min(self._longest_s, self._initial_s * 2.0 ** min(self._failures, 60))
        self._failures += 1
        return interval * (0.5 + 0.5 * self._random.random())
