"""From a relay's local time to the minute of UTC."""

from __future__ import annotations

from datetime import datetime

import pytest

from services.relay.readers.minutes import minute_of, time_in_name

CHANGE = 30_000_000
RECORD = {
    "utc_offsets": [{"from_minute": 0, "offset_min": 120}, {"from_minute": CHANGE, "offset_min": 60}],
    "period_s": 60,
}
REPEATED = datetime(2027, 1, 15, 9, 30)


@pytest.mark.parametrize("minute", [CHANGE - 30, CHANGE + 30])
def test_the_time_of_completion_tells_a_repeated_minute(minute: int) -> None:
    assert minute_of(REPEATED, (minute + 1) * 60_000_000, RECORD) == minute


def test_a_repeated_minute_without_a_time_is_not_known() -> None:
    assert minute_of(REPEATED, None, RECORD) is None


def test_a_minute_far_from_a_change_is_known() -> None:
    assert minute_of(REPEATED.replace(hour=2), None, RECORD) == CHANGE - 30 - 7 * 60


@pytest.mark.parametrize("name", ["30 11 2026 02 24.txt", "30 11 2026 02 24 (2).txt"])
def test_a_name_has_its_local_time(name: str) -> None:
    assert time_in_name(name) == datetime(2026, 11, 30, 2, 24)


@pytest.mark.parametrize("name", ["31 02 2026 02 24.txt", "30 11 2026 02 24", "x.txt", "٣٠ 11 2026 02 24.txt"])
def test_another_name_has_none(name: str) -> None:
    assert time_in_name(name) is None
