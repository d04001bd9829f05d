"""What became of a minute: put together from the ledger, the relay's log and what the peers told."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.relay.demonstration.liar import flattered
from services.relay.demonstration.outcome import Breach, breaches_of
from services.relay.demonstration.story import BACK_IN, CUT_OFF_IN, KILLED_IN, LIE_IN, MADE_UP_IN, TWO_FACES_IN
from tests.support.relay_story import CAST, RECORD, capture, outcome, stored


def test_a_calm_minute_has_one_winner_and_three_who_attest() -> None:
    one = outcome(1)
    assert one.voices == {"5004": "same", "5005": "won", "5006": "same", "5007": "same"}
    assert one.attested_by == ["5004", "5006", "5007"]
    assert (one.status, one.against) == ("confirmed", ())
    assert one.timed
    assert one.update_ms is not None
    assert one.last_ms is not None
    assert 0 < one.update_ms <= one.last_ms < 100


def test_who_was_dead_attests_later() -> None:
    later = [number for number in range(1, 13) if outcome(number).voices[CAST.killed] == "later"]
    assert later == [number for number in range(KILLED_IN, BACK_IN) if number != TWO_FACES_IN]
    assert CAST.killed in outcome(KILLED_IN).attested_by


def test_an_attesting_liar_told_another_text() -> None:
    one = outcome(LIE_IN)
    assert one.voices[CAST.liar] == "other"
    assert one.against == (CAST.liar,)
    assert one.record_sha256 == one.told_sha256 == one.sha256


def test_a_winning_liar_is_not_of_record() -> None:
    one = outcome(MADE_UP_IN)
    assert one.winner == CAST.racer
    assert one.voices == {"5004": "same", "5005": "same", "5006": "same", "5007": "other"}
    assert one.record_sha256 == one.told_sha256 != one.sha256
    assert one.readings == capture(MADE_UP_IN).readings
    assert not one.timed
    assert one.update_ms is not None
    assert one.update_ms < 0


def test_outvoted_texts_are_kept_beside_the_record() -> None:
    for number, liar in ((LIE_IN, CAST.liar), (MADE_UP_IN, CAST.racer)):
        assert outcome(number).outvoted == {liar: flattered(capture(number), RECORD["limits"]).readings}
    assert outcome(1).outvoted == outcome(TWO_FACES_IN).outvoted == {}


def test_a_disputed_minute_has_no_record_and_shows_the_winners_text() -> None:
    one = outcome(TWO_FACES_IN)
    assert (one.status, one.record_sha256) == ("disputed", None)
    assert one.against == ("5005", "5006")
    assert one.readings == capture(TWO_FACES_IN).readings


def test_breaches_are_those_that_the_contract_found() -> None:
    for number in range(1, MADE_UP_IN):
        found = [(one.reading, one.measure, one.value, one.limit) for one in outcome(number).breaches]
        told = [(one["reading"], one["field"], one["value"], one["limit"]) for one in stored(number)["breaches"]]
        assert found == told


def test_a_breach_names_the_limit_that_is_broken() -> None:
    reading = capture(1).readings[0]
    low = replace(reading, values=(109.0, *reading.values[1:6], 61.0, *reading.values[7:]))
    limits = {"Vab": [109.25, 120.75], "F": [59.1, 60.9]}
    assert breaches_of([low], limits) == [Breach(0, "Vab", 109.0, 109.25), Breach(0, "F", 61.0, 60.9)]
    assert breaches_of([low], {}) == []


@pytest.mark.parametrize(("number", "timed"), [(4, True), (5, False), (6, False), (7, True), (12, False)])
def test_minutes_of_the_silence_and_the_lie_are_not_timed(number: int, timed: bool) -> None:
    assert outcome(number).timed == timed


def test_a_winner_whose_peer_is_cut_off_is_not_timed() -> None:
    found = stored(CUT_OFF_IN)
    swapped = {**found, "server": CAST.killed, "attestations": [
        {**item, "server": found["server"] if item["server"] == CAST.killed else item["server"]}
        for item in found["attestations"]
    ]}  # fmt: skip
    assert outcome(CUT_OFF_IN).timed
    assert not outcome(CUT_OFF_IN, swapped).timed
    assert RECORD["period_s"] == 60
