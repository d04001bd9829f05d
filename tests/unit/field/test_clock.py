"""A relay's local time: changes of the clock, the hour that comes twice and the one that is skipped."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.field.clock import exact_and_near, minutes_of, offset_at


def utc_minute(*time: int) -> int:
    """The minute of a time in UTC."""
    return int(datetime(*time, tzinfo=UTC).timestamp()) // 60  # type: ignore[misc, arg-type]


SPRING, AUTUMN = utc_minute(2026, 3, 29, 1, 0), utc_minute(2026, 10, 25, 1, 0)
#: Central Europe, 2026.
EUROPE = [
    {"from_minute": 0, "offset_min": 60},
    {"from_minute": SPRING, "offset_min": 120},
    {"from_minute": AUTUMN, "offset_min": 60},
]
BOGOTA = [{"from_minute": 0, "offset_min": -300}]


def shown(minute: int, offset: int) -> datetime:
    """What a clock of this offset shows."""
    return datetime(1970, 1, 1) + timedelta(minutes=minute + offset)


def test_a_clock_that_never_changes_has_one_minute() -> None:
    assert minutes_of(datetime(2021, 9, 28, 7, 1, 18), BOGOTA) == [utc_minute(2021, 9, 28, 12, 1)]
    assert minutes_of(datetime(1969, 12, 31, 18, 59), BOGOTA) == []


def test_the_repeated_hour_has_two_minutes_each() -> None:
    for k in range(60):
        time = datetime(2026, 10, 25, 2, k)
        assert exact_and_near(time, EUROPE) == ([AUTUMN - 60 + k, AUTUMN + k], [])
        assert minutes_of(time, EUROPE) == [AUTUMN - 60 + k, AUTUMN + k]


def test_the_skipped_hour_has_none_in_which_it_should_show() -> None:
    for k in range(60):
        exact, near = exact_and_near(datetime(2026, 3, 29, 2, k), EUROPE)
        assert exact == []
        assert near == [SPRING - 60 + k, SPRING + k]


def test_a_clock_may_be_an_hour_late_or_early() -> None:
    assert exact_and_near(shown(AUTUMN + 59, 120), EUROPE) == ([AUTUMN + 119], [AUTUMN + 59])
    assert exact_and_near(shown(AUTUMN + 60, 120), EUROPE) == ([AUTUMN + 120], [])
    assert exact_and_near(shown(AUTUMN - 60, 60), EUROPE) == ([AUTUMN - 120], [AUTUMN - 60])
    assert exact_and_near(shown(AUTUMN - 61, 60), EUROPE) == ([AUTUMN - 121], [])
    assert exact_and_near(shown(SPRING + 59, 60), EUROPE) == ([], [SPRING - 1, SPRING + 59])
    assert exact_and_near(shown(SPRING - 60, 120), EUROPE) == ([], [SPRING - 60, SPRING])
    assert exact_and_near(shown(SPRING - 61, 120), EUROPE) == ([SPRING - 1], [])


@pytest.mark.parametrize("minute", [0, SPRING - 1, SPRING, AUTUMN - 1, AUTUMN, AUTUMN + 10**6])
def test_the_offset_holds_from_its_minute_on(minute: int) -> None:
    assert offset_at(EUROPE, minute) == (120 if SPRING <= minute < AUTUMN else 60)


@given(
    st.integers(SPRING - 300, AUTUMN + 300)
    | st.integers(SPRING - 130, SPRING + 130)
    | st.integers(AUTUMN - 130, AUTUMN + 130),
    st.integers(-60, 60),
)
def test_every_minute_is_found_from_what_the_clock_shows(minute: int, late: int) -> None:
    exact, near = exact_and_near(shown(minute, offset_at(EUROPE, minute)), EUROPE)
    assert minute in exact
    assert minute in minutes_of(shown(minute, offset_at(EUROPE, minute + late)), EUROPE)
    assert len(exact) <= 2
    assert not set(exact) & set(near)
