"""The relay's clock: fast from the past, until it is the present."""

from __future__ import annotations

import pytest

from services.relay.simulator.clock import Pace, RelayClock


def test_a_fast_clock_reaches_the_present_at_the_end() -> None:
    pace = Pace.reaching_the_present(6.0, 12, real_s=1_000_000.0)
    assert pace.start_s % 60 == 0
    assert pace.shown_at(1_000_000.0) == pace.start_s
    end_s = 1_000_000.0 + 12 * 6
    assert end_s - 60 <= pace.shown_at(end_s) <= end_s


def test_a_clock_never_shows_the_future() -> None:
    pace = Pace.reaching_the_present(6.0, 12, real_s=1_000_000.0)
    assert pace.shown_at(2_000_000.0) == 2_000_000.0
    assert pace.real_at(2_000_000.0) == 2_000_000.0


def test_a_clock_at_its_own_pace_shows_the_present() -> None:
    pace = Pace.reaching_the_present(60.0, 12, real_s=1_000_000.0)
    assert pace.shown_at(1_000_000.0) == 1_000_000.0
    assert pace.shown_at(1_000_061.0) == 1_000_061.0


@pytest.mark.parametrize("minute_s", [0.3, 6.0, 60.0])
def test_the_wait_ends_when_the_second_is_shown(minute_s: float) -> None:
    pace = Pace.reaching_the_present(minute_s, 3, real_s=1_000_000.0)
    for second in (pace.start_s + 30, pace.start_s + 120, 1_000_000.0 + 3600):
        assert pace.shown_at(pace.real_at(second)) == pytest.approx(second)


async def test_waiting_sleeps_as_long_as_the_clock_needs() -> None:
    real, slept = [1_000_000.0], []

    async def sleep(seconds: float) -> None:
        slept.append(seconds)
        real[0] += seconds

    clock = RelayClock(Pace.from_minute(100, 0.6, real[0]), lambda: real[0], sleep)
    await clock.until(6060)
    assert slept == [pytest.approx(0.6)]
    assert clock.now() == pytest.approx(6060)
    assert clock.next_minute() == 101
