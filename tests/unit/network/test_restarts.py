"""Starting a process again: pauses that grow, and a bound."""

from __future__ import annotations

from random import Random

from gridledger.network.restarts import MOST, WITHIN_S, Restarts


class Clock:
    now = 0.0

    def __call__(self) -> float:
        return self.now


def test_pauses_grow_until_the_bound_is_reached() -> None:
    clock = Clock()
    restarts = Restarts(clock, Random(1))
    pauses = []
    for _ in range(MOST):
        pause = restarts.next_pause()
        assert pause is not None
        pauses.append(pause)
        clock.now += 1
    assert pauses == sorted(pauses)
    assert 0.25 <= pauses[0] <= 0.5
    assert 4 <= pauses[-1] <= 8
    assert restarts.next_pause() is None


def test_what_lies_longer_back_does_not_count() -> None:
    clock = Clock()
    restarts = Restarts(clock, Random(1))
    for _ in range(MOST):
        assert restarts.next_pause() is not None
    clock.now = WITHIN_S - 0.001
    assert restarts.next_pause() is None
    clock.now = WITHIN_S
    pause = restarts.next_pause()
    assert pause is not None
    assert pause <= 0.5


def test_a_start_by_hand_begins_the_count_anew() -> None:
    restarts = Restarts(Clock(), Random(1))
    for _ in range(MOST):
        restarts.next_pause()
    restarts.forget()
    assert restarts.next_pause() is not None
