"""summary.json: percentiles by the nearest rank."""

from __future__ import annotations

from gridledger.demonstration.summary import percentiles_ms


def test_percentiles_are_of_the_nearest_rank() -> None:
    assert percentiles_ms(rank / 1000.0 for rank in range(100, 0, -1)) == {"p50": 51.0, "p95": 96.0, "p99": 100.0}


def test_one_latency_is_every_percentile() -> None:
    assert percentiles_ms([0.0125]) == {"p50": 12.5, "p95": 12.5, "p99": 12.5}


def test_no_latencies_have_no_percentiles() -> None:
    assert percentiles_ms([]) == {}
