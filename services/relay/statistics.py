"""Statistics of captures as a power-quality report names them: of one measure, over one window. No I/O.

Every reading has the same weight. Readings come every 10 s or so: this is no class A of IEC 61000-4-30, whose values
are aggregated from those of 200 ms.
"""

from __future__ import annotations

import math
from array import array
from collections.abc import Callable, Sequence
from typing import Final

from gridledger.field.capture import MEASURES, Capture

SHARE_OUTSIDE: Final = "share_outside"
"""The share (0 to 1) of the readings that lie below the lower or above the upper limit."""

Limits = tuple[float, float]


class WindowValues:
    """The readings of one window, measure by measure: 8 bytes for each value."""

    def __init__(self) -> None:
        self.captures = 0
        self._values = {measure: array("d") for measure in MEASURES}

    def add(self, capture: Capture) -> None:
        """Take in a capture's readings."""
        self.captures += 1
        for reading in capture.readings:
            for measure, value in zip(MEASURES, reading.values, strict=True):
                self._values[measure].append(value)

    def forget(self) -> None:
        """Let go of the values; how many captures there were is kept."""
        self._values = {measure: array("d") for measure in MEASURES}

    def statistic(self, name: str, measure: str, limits: Limits | None = None) -> float | None:
        """One of ``STATISTICS``, or ``share_outside`` of ``limits``; None where there are no readings.

        KeyError for a name or a measure that there is none of, and for ``share_outside`` without limits.
        """
        values = self._values[measure]
        if name == SHARE_OUTSIDE:
            if limits is None:
                raise KeyError(name)
            return share_outside(values, limits) if values else None
        compute = STATISTICS[name]
        return compute(values) if values else None


def mean(values: Sequence[float]) -> float:
    """The arithmetic mean, rounded once."""
    return math.fsum(values) / len(values)


def p95(values: Sequence[float]) -> float:
    """The value below which 95 % lie, between two readings by linear interpolation (as numpy's default)."""
    ordered = sorted(values)
    position = 0.95 * (len(ordered) - 1)
    below = math.floor(position)
    above = min(below + 1, len(ordered) - 1)
    return ordered[below] + (ordered[above] - ordered[below]) * (position - below)


def share_outside(values: Sequence[float], limits: Limits) -> float:
    """The share of the values below the lower or above the upper limit; a value on a limit is inside."""
    low, high = limits
    return sum(not low <= value <= high for value in values) / len(values)


STATISTICS: Final[dict[str, Callable[[Sequence[float]], float]]] = {"min": min, "mean": mean, "max": max, "p95": p95}
"""Statistics of readings alone."""
