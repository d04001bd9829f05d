"""How far apart blocks are."""

from __future__ import annotations

from itertools import pairwise

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
    assert paced(75).interval_s(LEAST_MS, 2.0) == pytest.approx(0.002, abs=0.001)


def test_the_interval_grows_with_the_rate_up_to_a_bound():
    assert paced(120).interval_s(LEAST_MS, 2.0) == pytest.approx(0.026, abs=0.003)
    assert paced(2000).interval_s(LEAST_MS, 2.0) == 0.075


def test_the_interval_is_bounded_by_what_batches_take():
    assert paced(2000, took_s=0.004).interval_s(LEAST_MS, 2.0) == pytest.approx(0.04)
    assert paced(2000, took_s=0.0015).interval_s(LEAST_MS, 2.0) == 0.002


def test_channels_of_like_load_cut_at_the_same_times():
    cuts: list[set[float]] = []
    for pace, start in ((paced(500), 2.0), (paced(400), 2.037)):
        now, seen = start, set()
        pace.cut(1000, now)
        for _ in range(20):
            now = pace.next_cut(LEAST_MS, now)
            pace.cut(50, now)
            seen.add(round(now, 6))
        cuts.append(seen)
    assert len(cuts[0] & cuts[1]) >= 19
    assert all(earlier < later for earlier, later in pairwise(sorted(cuts[0])))


def test_the_beat_keeps_to_about_the_interval():
    for interval_ms in (25, 40, 60, 99, 100, 180):
        pace = Pace(Pacing(max_interval_ms=500))
        now = 7.003
        times: list[float] = []
        while len(times) < 20:
            now = pace.next_cut(interval_ms, now)
            times.append(now)
        gaps = [later - earlier for earlier, later in pairwise(times)]
        assert all(interval_ms / 2000 < gap <= interval_ms / 750 for gap in gaps), interval_ms
    assert Pace(Pacing()).next_cut(LEAST_MS, 7.003) == 7.005


def test_who_cuts_waits_for_something():
    assert Pace(Pacing()).next_cut(100, 7.0999) > 7.0999


def test_a_burst_is_forgotten():
    pace = paced(2000)
    pace.cut(1, 5.0)
    assert pace.interval_s(LEAST_MS, 5.0) == 0.002


def test_the_interval_grows_with_every_four_blocks_behind():
    pace = Pace(Pacing())
    pace.report("peer1", 3, 10.0)
    assert pace.interval_s(LEAST_MS, 10.0) == 0.002
    pace.report("peer2", 28, 10.0)
    assert pace.interval_s(LEAST_MS, 10.0) == 0.014
    pace.report("peer2", 0, 11.0)
    assert pace.backlog(11.0) == 3
    pace.report("peer1", 1000, 11.0)
    assert pace.interval_s(LEAST_MS, 11.0) == 0.25
    assert pace.interval_s(LEAST_MS, 16.1) == 0.002
