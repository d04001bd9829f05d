"""Starting a process again: pauses that grow up to a bound, and begin anew."""

from __future__ import annotations

from random import Random

from gridledger.network.restarts import CALM_S, LONGEST_PAUSE_S, Restarts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_a_process_that_ends_at_once_is_started_ever_more_seldom() -> None:
    clock = Clock()
    restarts = Restarts(clock, Random(1))
    starts_in_the_first_minute = 0
    for _ in range(100):
        pause = restarts.next_pause()
        assert pause <= LONGEST_PAUSE_S
        clock.now += pause
        starts_in_the_first_minute += clock.now <= 60
    assert 5 <= starts_in_the_first_minute <= 8
    assert restarts.next_pause() >= LONGEST_PAUSE_S / 2


def test_one_that_has_run_for_a_while_is_started_soon() -> None:
    clock = Clock()
    restarts = Restarts(clock, Random(1))
    for _ in range(10):
        clock.now += restarts.next_pause()
    clock.now += CALM_S - 0.001
    assert restarts.next_pause() > 10
    clock.now += LONGEST_PAUSE_S + CALM_S
    assert restarts.next_pause() <= 0.5
