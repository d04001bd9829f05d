"""Which minutes were seen whole."""

from __future__ import annotations

from services.relay.readers.minute_watch import Minute, MinuteWatch, Seen

START = 27_000_000 * 60


def taken(watch: MinuteWatch, *seconds: int, value: float = 1.0) -> list[Minute]:
    """What the watch gives after these seconds behind the start."""
    found = [watch.take(Seen(START + second, (value,) * 10, 22.0)) for second in seconds]
    return [minute for minute in found if minute is not None]


def test_a_minute_whose_readings_were_all_seen_is_given() -> None:
    [minute] = taken(MinuteWatch(60, 10), *range(0, 70, 10))
    assert (minute.minute, minute.missing, minute.faults) == (27_000_000, 0, 22.0)
    assert [second - START for second, _ in minute.rows] == [0, 10, 20, 30, 40, 50]


def test_a_first_minute_that_was_half_seen_is_not_told() -> None:
    assert taken(MinuteWatch(60, 10), 30, 40, 50, 60) == []


def test_a_later_minute_that_was_half_seen_is_a_gap() -> None:
    first, second = taken(MinuteWatch(60, 10), *range(0, 100, 10), 120)
    assert (first.missing, second.minute, second.missing) == (0, 27_000_001, 2)


def test_a_minute_that_was_not_seen_at_all_is_passed_over() -> None:
    found = taken(MinuteWatch(60, 10), *range(0, 60, 10), *range(180, 250, 10))
    assert [minute.minute - 27_000_000 for minute in found] == [0, 3]


def test_a_clock_that_is_set_back_begins_the_minute_anew() -> None:
    found = taken(MinuteWatch(60, 10), *range(0, 60, 10), *range(0, 70, 10))
    assert [(minute.minute - 27_000_000, minute.missing) for minute in found] == [(0, 0), (0, 0)]


def test_longer_periods_are_put_together() -> None:
    [five] = taken(MinuteWatch(300, 60), *range(0, 360, 60))
    assert (five.minute, five.missing, len(five.rows)) == (27_000_000, 0, 5)
