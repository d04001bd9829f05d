"""How far apart blocks are."""

from __future__ import annotations

import pytest

from services.orderer.pace import Pace
from services.orderer.settings import Pacing

LEAST_MS = 2


def paced(rate: float, *, took_s: float = 0.03, seconds: float = 2.0) -> Pace:
    """A pace that has seen one transaction at a time, ``rate`` of them a second."""
    pace = Pace(Pacing())
    for number in range(int(rate * seconds)):
        pace.cut(1, number / rate)
        pace.ordered(took_s)
    return pace


def test_a_calm_channel_keeps_the_least_interval():
    pace = Pace(Pacing())
    pace.cut(1, 100.0)
    assert pace.interval_s(LEAST_MS, 100.0) == 0.002
    assert paced(33).interval_s(LEAST_MS, 2.0) == 0.002
    assert paced(140).interval_s(LEAST_MS, 2.0) == pytest.approx(0.002, abs=0.001)


def test_the_interval_grows_with_the_rate_up_to_a_bound():
    assert paced(187).interval_s(LEAST_MS, 2.0) == pytest.approx(0.05, abs=0.005)
    assert paced(2000).interval_s(LEAST_MS, 2.0) == 0.1


def test_the_interval_is_bounded_by_what_batches_take():
    assert paced(2000, took_s=0.003).interval_s(LEAST_MS, 2.0) == pytest.approx(0.048)


def test_a_burst_is_forgotten():
    pace = paced(2000)
    pace.cut(1, 5.0)
    assert pace.interval_s(LEAST_MS, 5.0) == 0.002


def test_the_interval_is_one_for_each_block_that_the_slowest_peer_is_behind():
    pace = Pace(Pacing())
    pace.report("peer1", 3, 10.0)
    pace.report("peer2", 7, 10.0)
    assert pace.interval_s(LEAST_MS, 10.0) == 0.014
    pace.report("peer2", 0, 11.0)
    assert pace.backlog(11.0) == 3
    pace.report("peer1", 1000, 11.0)
    assert pace.interval_s(LEAST_MS, 11.0) == 0.25
    assert pace.interval_s(LEAST_MS, 16.1) == 0.002
