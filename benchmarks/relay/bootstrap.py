"""The ratio of two medians with its interval, by bootstrap."""

from __future__ import annotations

import random
import statistics
from collections.abc import Sequence

from benchmarks.measure.results import percentile

_DRAWS = 4000


def ratio_of_medians(over: Sequence[float], under: Sequence[float], *, seed: int = 1) -> tuple[float, float, float]:
    """The ratio of the medians, and the 2.5 and 97.5 percentiles of that of samples drawn anew with replacement."""
    generator = random.Random(seed)  # noqa: S311 - resampling
    ratios = sorted(
        statistics.median(generator.choices(over, k=len(over)))
        / statistics.median(generator.choices(under, k=len(under)))
        for _ in range(_DRAWS)
    )
    return statistics.median(over) / statistics.median(under), percentile(ratios, 0.025), percentile(ratios, 0.975)
