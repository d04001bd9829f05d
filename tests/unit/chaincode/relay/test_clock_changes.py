"""A relay without UTC on the days of summer time: every minute is recorded once, under a header that fits it."""

from __future__ import annotations

import pytest

from gridledger.field.capture import text_hash
from tests.support.relay_channel import RelayChannel, after, recording, server, told

SPRING, AUTUMN = 29_579_100, 29_881_500
"""2026-03-29T01:00Z and 2026-10-25T01:00Z, when Central Europe changes its clocks."""
EUROPE = [
    {"from_minute": 0, "offset_min": 60},
    {"from_minute": SPRING, "offset_min": 120},
    {"from_minute": AUTUMN, "offset_min": 60},
]


@pytest.fixture
def channel() -> RelayChannel:
    """A relay in Central Europe, on the evening after the clock went back."""
    channel = RelayChannel().register(utc_offsets=EUROPE, max_age_s=366 * 86_400)
    channel.now_us = after(AUTUMN + 600)
    return channel


def test_all_120_minutes_of_the_repeated_hour_are_recorded(channel: RelayChannel) -> None:
    headers = set()
    for minute in range(AUTUMN - 60, AUTUMN + 60):
        given = told(minute, seed=minute, offset_min=120 if minute < AUTUMN else 60)
        headers.add(given.splitlines()[0])
        assert channel.record("5004", given, minute=minute)["minute"] == minute
        channel.attest("5005", given, minute)
    assert len(headers) == 60
    span = {"relay": "Rele_1", "from": AUTUMN - 60, "to": AUTUMN + 60}
    assert channel.call("GetGaps", span) == {"gaps": [], "captures": 120, "bookmark": None}


def test_the_repeated_hour_needs_the_minute(channel: RelayChannel) -> None:
    given = told(AUTUMN + 10, offset_min=60)
    message = channel.refused("RecordCapture", recording(given), caller=server("5004"))
    assert message == (
        "minute: the relay's clock shows 2026-10-25T02:10, which the header has, twice; name one: "
        f"{AUTUMN - 50} (2026-10-25T00:10Z) or {AUTUMN + 10} (2026-10-25T01:10Z)"
    )
    argument = recording(given, AUTUMN + 11)
    channel.refused("RecordCapture", argument, "minute:", "does not fit the header", caller=server("5004"))


def test_the_skipped_hour_is_refused_clearly(channel: RelayChannel) -> None:
    for minute, offset in ((SPRING, 60), (SPRING + 59, 60), (SPRING - 60, 120), (SPRING - 1, 120)):
        given = told(minute, offset_min=offset)
        message = channel.refused(
            "RecordCapture", recording(given), "minute: the relay's clock skips", caller=server("5004")
        )
        assert f"{minute} (" in message
    assert channel.record("5004", told(SPRING - 1, offset_min=60))["minute"] == SPRING - 1
    assert channel.record("5004", told(SPRING, offset_min=120))["minute"] == SPRING


def test_a_clock_that_is_changed_late_loses_nothing(channel: RelayChannel) -> None:
    for minute in range(SPRING, SPRING + 20):
        channel.record("5004", told(minute, seed=minute, offset_min=60), minute=minute)
    for minute in range(AUTUMN, AUTUMN + 20):
        channel.record("5004", told(minute, seed=minute, offset_min=120), minute=minute)
    assert channel.call("GetGaps", {"relay": "Rele_1", "from": SPRING, "to": SPRING + 20})["gaps"] == []
    assert channel.call("GetGaps", {"relay": "Rele_1", "from": AUTUMN, "to": AUTUMN + 20})["gaps"] == []


@pytest.mark.parametrize(("minute", "first", "second"), [(SPRING + 30, 120, 60), (AUTUMN + 30, 60, 120)])
def test_a_minute_is_recorded_under_one_header_only(
    channel: RelayChannel, minute: int, first: int, second: int
) -> None:
    channel.record("5004", told(minute, offset_min=first), minute=minute)
    other = recording(told(minute, offset_min=second), minute)
    channel.refused("RecordCapture", other, "ALREADY_RECORDED by 5004", caller=server("5005"))


def test_a_text_that_is_put_into_the_wrong_hour_is_outvoted(channel: RelayChannel) -> None:
    early, late = told(AUTUMN - 50, seed=1, offset_min=120), told(AUTUMN + 10, seed=2, offset_min=60)
    channel.record("5007", early, minute=AUTUMN + 10)
    for who in ("5004", "5005", "5006"):
        channel.attest(who, late, AUTUMN + 10)
    found = channel.conclude(minute=AUTUMN + 10)
    assert (found["sha256"], found["against"]) == (text_hash(late), ["5007"])
    channel.record("5004", early, minute=AUTUMN - 50)
    assert channel.get(AUTUMN - 50)["sha256"] == text_hash(early)


def test_two_minutes_that_look_alike_are_both_recorded(channel: RelayChannel) -> None:
    same = told(AUTUMN - 50, offset_min=120)
    assert same == told(AUTUMN + 10, offset_min=60)
    channel.record("5004", same, minute=AUTUMN - 50)
    channel.record("5004", same, minute=AUTUMN + 10)
