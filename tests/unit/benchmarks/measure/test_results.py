"""Latencies as mean and percentiles."""

from __future__ import annotations

import math

import pytest

from benchmarks.measure.results import Latency, percentile


def test_a_percentile_is_one_of_the_values() -> None:
    values = list(range(1, 101))
    assert [percentile(values, share) for share in (0.0, 0.5, 0.99, 1.0)] == [1, 51, 100, 100]
    assert percentile([7.0], 0.99) == 7.0
    assert math.isnan(percentile([], 0.5))


def test_latency_is_in_milliseconds_of_values_in_any_order() -> None:
    latency = Latency.of([0.3, 0.1, 0.2])
    assert latency is not None
    assert latency.model_dump() == pytest.approx(
        {"mean_ms": 200, "p50_ms": 200, "p95_ms": 300, "p99_ms": 300, "max_ms": 300}
    )
    assert Latency.of([]) is None
