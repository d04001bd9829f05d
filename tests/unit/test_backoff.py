"""Back-off."""

from __future__ import annotations

from random import Random

from gridledger.backoff import Backoff


def test_backoff_grows_is_bounded_and_starts_over() -> None:
    backoff = Backoff(0.1, 1.0, Random(3))
    delays = [backoff.failed() for _ in range(2000)]
    for number, delay in enumerate(delays[:6]):
        interval = min(1.0, 0.1 * 2**number)
        assert interval / 2 <= delay <= interval
    assert all(0.5 <= delay <= 1.0 for delay in delays[6:])
    assert len(set(delays[6:])) > 1000
    backoff.succeeded()
    assert backoff.failed() <= 0.1
