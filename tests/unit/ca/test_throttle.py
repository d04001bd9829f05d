"""The limit on guessing secrets, with a clock of the test's own."""

from __future__ import annotations

import threading

import pytest

from services.ca.throttle import MAX_SOURCES, Throttle, source_of


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


def guess(throttle: Throttle, source: str = "192.0.2.1", *, right: bool = False) -> float:
    """Try once where one may; how long to wait where one may not."""
    wait_s = throttle.begin(source)
    if not wait_s:
        throttle.end(source, right=right)
    return wait_s


def test_a_burst_is_followed_by_one_try_in_a_while() -> None:
    clock = Clock()
    throttle = Throttle(3, 10.0, clock)
    assert [guess(throttle) for _ in range(4)] == [0, 0, 0, pytest.approx(10.0)]
    assert guess(throttle, "192.0.2.2") == 0
    clock.now_s += 10
    assert [guess(throttle) for _ in range(2)] == [0, pytest.approx(10.0)]


def test_the_right_secret_costs_nothing() -> None:
    throttle = Throttle(2, 10.0, Clock())
    assert [guess(throttle, right=True) for _ in range(5)] == [0] * 5
    assert throttle._spent == {}


def test_an_idle_hour_gives_no_more_than_the_burst() -> None:
    clock = Clock()
    throttle = Throttle(2, 10.0, clock)
    guess(throttle)
    clock.now_s += 3600
    assert [guess(throttle) > 0 for _ in range(3)] == [False, False, True]


def test_tries_under_way_count_and_are_waited_for() -> None:
    """As many as may be made: the next begins when one of them was right, and is refused when both were wrong."""
    for right, allowed in ((True, True), (False, False)):
        throttle = Throttle(2, 10.0, Clock())
        assert throttle.begin("s") == throttle.begin("s") == 0
        answers: list[float] = []
        third = threading.Thread(target=lambda: answers.append(throttle.begin("s")))  # noqa: B023
        third.start()
        for _ in range(2):
            assert not answers
            throttle.end("s", right=right)
        third.join(10)
        assert [not wait_s for wait_s in answers] == [allowed]


def test_the_memory_of_addresses_is_bounded() -> None:
    throttle = Throttle(1, 10.0, Clock())
    for number in range(MAX_SOURCES + 5):
        assert guess(throttle, str(number)) == 0
    assert len(throttle._spent) == MAX_SOURCES
    assert guess(throttle, str(MAX_SOURCES + 4)) > 0


@pytest.mark.parametrize(
    ("host", "source"),
    [
        ("192.0.2.7", "192.0.2.7"),
        ("::ffff:192.0.2.7", "192.0.2.7"),
        ("2001:db8:1:2:3:4:5:6", source_of("2001:db8:1:2::1")),
        ("fe80::1%eth0", source_of("fe80::2")),
        (None, ""),
        ("testclient", ""),
    ],
)
def test_an_address_stands_for_whom_it_belongs_to(host: str | None, source: str) -> None:
    assert source_of(host) == source
    assert source_of(host) != source_of("2001:db8:1:3::1")
