"""Captures as they are taken from a relay: parsed as the contract will, and put in their minute of UTC."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from gridledger.field.capture import CaptureError, text_hash
from services.relay.readers import Delivered
from services.relay.server.taken import take
from tests.support.relay_world import FIRST_MINUTE, text_of

RECORD: dict[str, Any] = {
    "name": "Relay 1",
    "substation": "Bogota",
    "protocol": "text",
    "period_s": 60,
    "revision": 1,
    "utc_offsets": [{"from_minute": 0, "offset_min": 0}],
}
TEXT = text_of(FIRST_MINUTE, 1)
NOW_US = (FIRST_MINUTE + 1) * 60_000_000


def delivered(text: str = TEXT, minute: int | None = None, completed_us: int | None = None) -> Delivered:
    return Delivered("name", text, text_hash(text), "00", minute, completed_us)


def test_a_capture_stands_in_its_minute() -> None:
    taken = take(delivered(), RECORD)
    assert taken.minute == FIRST_MINUTE
    assert taken.source == {"protocol": "text", "sha256": "00"}


def test_local_time_becomes_utc() -> None:
    bogota = RECORD | {"utc_offsets": [{"from_minute": 0, "offset_min": -300}]}
    assert take(delivered(), bogota).minute == FIRST_MINUTE + 300


@pytest.mark.parametrize(
    ("change", "field"),
    [
        (("Relay 1", "Relay 2"), "relay"),
        (("Bogota", "Medellin"), "substation"),
        ((";Vab;", ";Xab;"), "reading"),
    ],
)
def test_a_text_that_is_not_this_relays_is_refused(change: tuple[str, str], field: str) -> None:
    with pytest.raises(CaptureError) as refused:
        take(delivered(TEXT.replace(*change)), RECORD)
    assert refused.value.code == "BAD_CAPTURE"
    assert refused.value.details["field"].startswith(field) or field == "reading"


def test_a_minute_that_does_not_fit_the_header_is_refused() -> None:
    assert take(delivered(minute=FIRST_MINUTE), RECORD).minute == FIRST_MINUTE
    with pytest.raises(CaptureError, match="is no time of this relay's clock"):
        take(delivered(minute=FIRST_MINUTE + 1), RECORD)


def test_the_hour_that_a_clock_change_repeats_is_told_apart() -> None:
    """At 02:00 UTC the relay's clock goes from +60 to 0, so 02:00 to 02:59 local comes twice: 01:xx and 02:xx UTC."""
    change = int(datetime(2026, 11, 30, 2, 0, tzinfo=UTC).timestamp()) // 60
    offsets = [{"from_minute": 0, "offset_min": 60}, {"from_minute": change, "offset_min": 0}]
    record = RECORD | {"utc_offsets": offsets}
    text = text_of(change + 17, 1)  # its header says 02:17
    for minute in (change - 43, change + 17):
        completed_us = (minute + 1) * 60_000_000 + 300_000
        assert take(delivered(text, completed_us=completed_us), record, now_us=NOW_US * 2).minute == minute
        assert take(delivered(text), record, now_us=completed_us).minute == minute
        assert take(delivered(text, minute=minute), record, now_us=0).minute == minute
