"""The limit on guessing secrets, with a clock of the test's own."""

from __future__ import annotations

import pytest

from services.ca.errors import TooManyWrongSecrets
from services.ca.throttle import Throttle


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def test_a_burst_is_followed_by_one_try_in_a_while() -> None:
    clock = Clock()
    throttle = Throttle(3, 10.0, clock)
    for _ in range(3):
        throttle.take("c1")
    with pytest.raises(TooManyWrongSecrets) as caught:
        throttle.take("c1")
    assert caught.value.retry_after_s == pytest.approx(10.0)
    throttle.take("c2")
    clock.now_s += 10
    throttle.take("c1")
    with pytest.raises(TooManyWrongSecrets):
        throttle.take("c1")


def test_the_right_secret_gives_its_try_back() -> None:
    throttle = Throttle(2, 10.0, Clock())
    for _ in range(5):
        throttle.take("c1")
        throttle.give_back("c1")
    assert throttle._spent == {}


def test_an_idle_hour_gives_no_more_than_the_burst() -> None:
    clock = Clock()
    throttle = Throttle(2, 10.0, clock)
    throttle.take("c1")
    clock.now_s += 3600
    for _ in range(2):
        throttle.take("c1")
    with pytest.raises(TooManyWrongSecrets):
        throttle.take("c1")
