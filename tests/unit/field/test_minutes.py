"""Minutes at the command line."""

from __future__ import annotations

import pytest

from gridledger.errors import InputError
from gridledger.field.minutes import MAX_MINUTE, minute_of, minute_text, range_text


@pytest.mark.parametrize(
    "text",
    ["2026-11-30T02:24Z", "2026-11-30T02:24:00Z", "2026-11-29T21:24-05:00", "2026-11-30 02:24+00:00", " 29933424 "],
)
def test_every_way_to_write_a_minute_names_the_same(text: str):
    assert minute_of(text) == 29933424


@pytest.mark.parametrize(
    ("text", "why"),
    [
        ("yesterday", "is no minute"),
        ("2026-11-30T02:24", "has no zone"),
        ("2026-11-30T02:24:30Z", "is no whole minute"),
        ("2026-11-30T02:24:00.5Z", "is no whole minute"),
        ("1969-12-31T23:59Z", "lies before 1970"),
        (str(MAX_MINUTE + 1), "is no epoch minute"),
        ("9" * 5000, "is no epoch minute"),
        ("-5", "is no minute"),
        ("٣", "is no minute"),
    ],
)
def test_what_is_no_minute_is_named_with_its_field(text: str, why: str):
    with pytest.raises(InputError, match=f"^from: .*{why}"):
        minute_of(text, "from")


def test_minutes_are_written_as_they_are_read():
    assert minute_text(29933424) == "2026-11-30T02:24Z"
    assert range_text(29933424, 29933434) == "2026-11-30T02:24Z to 2026-11-30T02:34Z"
    assert minute_text(MAX_MINUTE) == str(MAX_MINUTE)
