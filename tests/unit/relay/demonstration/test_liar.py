"""The demonstration's lies: texts of the strict grammar that the relay never told, submitted with a server's key."""

from __future__ import annotations

from datetime import timedelta
from typing import Any, cast

from gridledger.field.capture import parse_capture, render_capture, text_hash
from services.relay.demonstration.liar import attest_another_text, flattered, of_next_minute, record_made_up_text
from services.relay.demonstration.outcome import breaches_of
from services.relay.ledger import RelayLedger
from tests.support.relay_story import FIRST_MINUTE, RECORD, capture

LIMITS = RECORD["limits"]


class OneCapture:
    """A ledger that has one capture, and keeps what it is told."""

    def __init__(self) -> None:
        self.text = render_capture(capture(3))
        self.told: list[Any] = []

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        assert (relay, minute) == ("Rele_1", FIRST_MINUTE + 2)
        return {"text": self.text, "sha256": text_hash(self.text)}

    async def attest_capture(self, *told: Any) -> None:
        self.told.append(told)

    async def record_capture(self, *told: Any) -> None:
        self.told.append(told)


def test_a_flattered_minute_has_no_faults_and_no_breaches() -> None:
    true = next(one for one in map(capture, range(1, 13)) if breaches_of(one.readings, LIMITS))
    better = flattered(true, LIMITS)
    assert breaches_of(better.readings, LIMITS) == []
    assert better.faults == 0.0
    assert better.time == true.time
    assert better != true


def test_a_lie_is_of_the_strict_grammar() -> None:
    for number in range(1, 13):
        text = render_capture(flattered(capture(number), LIMITS))
        assert parse_capture(text) == flattered(capture(number), LIMITS)
        assert text_hash(text) != text_hash(render_capture(capture(number)))


def test_a_made_up_minute_is_the_one_behind() -> None:
    later = of_next_minute(capture(3), 60)
    assert later.time == capture(3).time + timedelta(minutes=1)
    assert [one.time for one in later.readings] == [one.time for one in capture(4).readings]
    assert parse_capture(render_capture(later)) == later


async def test_the_liar_attests_another_text_with_its_hash() -> None:
    ledger = OneCapture()
    sha256 = await attest_another_text(cast("RelayLedger", ledger), "Rele_1", FIRST_MINUTE + 2, LIMITS)
    ((relay, minute, told, text),) = ledger.told
    assert (relay, minute, told) == ("Rele_1", FIRST_MINUTE + 2, sha256)
    assert text_hash(text) == sha256 != text_hash(ledger.text)


async def test_the_racer_records_the_next_minute_made_up() -> None:
    ledger = OneCapture()
    sha256 = await record_made_up_text(cast("RelayLedger", ledger), "Rele_1", FIRST_MINUTE + 2, LIMITS)
    ((relay, text, source),) = ledger.told
    assert (relay, source) == ("Rele_1", {"protocol": "text", "sha256": sha256})
    assert parse_capture(text).time == capture(4).time
