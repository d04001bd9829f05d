"""The clock change of autumn, seen by servers: each text in its own minute, or it waits."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from gridledger.field.capture import text_hash
from services.relay.readers import Delivered
from services.relay.readers.minutes import minutes_in_order
from services.relay.server.taken import MinuteUnknown, take
from tests.support.captures import text

CHANGE = 29_933_400
RECORD: dict[str, Any] = {
    "name": "Relay 1",
    "substation": "Bogota",
    "protocol": "text",
    "period_s": 60,
    "revision": 1,
    "utc_offsets": [{"from_minute": 0, "offset_min": 120}, {"from_minute": CHANGE, "offset_min": 60}],
}
AROUND = range(CHANGE - 180, CHANGE + 180)


def local(minute: int) -> datetime:
    offset = 120 if minute < CHANGE else 60
    return datetime.fromtimestamp((minute + offset) * 60, UTC).replace(tzinfo=None)


def told(minute: int, completed_us: int | None = None) -> Delivered:
    content = text(local(minute), relay="Relay 1", substation="Bogota")
    return Delivered("n", content, text_hash(content), text_hash(content), None, completed_us)


def end_us(minute: int) -> int:
    return (minute + 1) * 60_000_000


def minute_taken(delivered: Delivered, *, listed: int | None = None, now_us: int | None = None) -> int | None:
    try:
        return take(delivered, RECORD, listed=listed, now_us=now_us).minute
    except MinuteUnknown:
        return None


@pytest.mark.parametrize("late", [0, 20, 40, 70, 120, 600])
def test_without_a_time_only_the_repeated_hour_waits(late: int) -> None:
    """However late a text is fetched: no minute is wrong, and outside the repeated hour each is known."""
    for minute in AROUND:
        found = minute_taken(told(minute))
        assert found == (None if -60 <= minute - CHANGE < 60 else minute)
        assert minute_taken(told(minute), now_us=end_us(minute + late)) in {minute, None}


def test_a_wrong_last_modified_decides_nothing() -> None:
    """The time at which a text is fetched, 20 minutes late, is no time of completion."""
    for minute in AROUND:
        assert minute_taken(told(minute, end_us(minute + 20))) in (minute, None)


def test_the_order_of_the_list_tells_the_repeated_hour() -> None:
    listed = minutes_in_order([(local(minute), None) for minute in AROUND], RECORD)
    assert listed == list(AROUND)
    for minute, place in zip(AROUND, listed, strict=True):
        assert minute_taken(told(minute), listed=place) == minute


def test_a_list_in_another_order_tells_nothing() -> None:
    """Sorted by name, " (2)" stands before "."."""
    pairs = [(local(CHANGE + n), None) for n in range(30) for _ in range(2)]
    assert minutes_in_order(pairs, RECORD) == [None] * 60


def test_one_text_alone_of_the_repeated_hour_is_not_known() -> None:
    around = [(local(minute), None) for minute in (CHANGE - 90, CHANGE + 10, CHANGE + 90)]
    assert minutes_in_order(around, RECORD) == [CHANGE - 90, None, CHANGE + 90]


def test_times_of_completion_in_the_list_tell_it() -> None:
    listed = [(local(minute), end_us(minute)) for minute in AROUND]
    assert minutes_in_order(listed, RECORD) == list(AROUND)


def test_a_clock_that_is_changed_late_is_believed_for_a_time_only() -> None:
    """Ten minutes after the change it shows the old time still."""
    shown = local(CHANGE + 10) + timedelta(hours=1)
    content = text(shown, relay="Relay 1", substation="Bogota")
    late = Delivered("n", content, "", "", None, None)
    assert minute_taken(late) == CHANGE + 70
    timed = Delivered("n", content, "", "", None, end_us(CHANGE + 10))
    assert minute_taken(timed) == CHANGE + 10
