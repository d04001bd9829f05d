"""Whose turn it is, and what the voices of a relay's servers give."""

from __future__ import annotations

from typing import Any

import pytest

from services.relay.server.voices import Outcome, is_stored, outcome_of, turn_of, voices_of

SERVERS = ["5004", "5005", "5006", "5007"]
MINUTE, RECORDED_US = 1000, 60_060_000_000
PATIENCE_US = 120_000_000


def capture(winner: str, sha256: str, **attested: str) -> dict[str, Any]:
    said = [{"server": name.removeprefix("s"), "sha256": told} for name, told in attested.items()]
    return {"minute": MINUTE, "server": winner, "sha256": sha256, "time_us": RECORDED_US, "attestations": said}


def outcome(found: dict[str, Any], now_us: int = RECORDED_US) -> Outcome | None:
    return outcome_of(found, SERVERS, 3, 60, now_us)


def test_each_server_has_each_turn_once_in_a_row_of_minutes() -> None:
    for server in SERVERS:
        assert sorted(turn_of(SERVERS, server, minute) for minute in range(4)) == [0, 1, 2, 3]
    assert sorted(turn_of(SERVERS, server, 77) for server in SERVERS) == [0, 1, 2, 3]


def test_the_winner_has_a_voice() -> None:
    assert voices_of(capture("5004", "a", s5005="b")) == {"5004": "a", "5005": "b"}


def test_a_quorum_confirms_at_once() -> None:
    said = capture("5004", "a", s5005="a", s5006="a")
    assert outcome(said) == Outcome("confirmed", "a", frozenset(("5004", "5005", "5006")), frozenset())


def test_a_quorum_outvotes_the_winner() -> None:
    said = capture("5004", "lie", s5005="a", s5006="a", s5007="a")
    assert outcome(said) == Outcome("confirmed", "a", frozenset(("5005", "5006", "5007")), frozenset(("5004",)))


def test_two_and_two_are_disputed() -> None:
    said = capture("5004", "a", s5005="b", s5006="a", s5007="b")
    assert outcome(said) == Outcome("disputed", None, frozenset(("5004", "5006")), frozenset(("5005", "5007")))


@pytest.mark.parametrize(("wait_us", "expected"), [(PATIENCE_US - 1, None), (PATIENCE_US, "disputed")])
def test_those_who_say_nothing_are_waited_for_a_while(wait_us: int, expected: str | None) -> None:
    found = outcome(capture("5004", "a", s5005="a"), RECORDED_US + wait_us)
    assert (found.status if found else None) == expected


def test_patience_begins_when_the_period_is_over() -> None:
    said = capture("5004", "a") | {"time_us": RECORDED_US - 30_000_000}
    assert outcome(said, RECORDED_US + PATIENCE_US - 1) is None


def test_a_stranger_has_no_voice() -> None:
    assert outcome(capture("5004", "a", s5005="a", s9999="a")) is None


def test_a_verdict_that_lacks_a_voice_is_not_the_outcome() -> None:
    found = outcome(capture("5004", "a", s5005="a", s5006="a", s5007="b"))
    assert found is not None
    verdict = {"status": "confirmed", "sha256": "a", "for": ["5004", "5005", "5006"], "against": ["5007"]}
    assert is_stored(found, verdict)
    assert not is_stored(found, None)
    assert not is_stored(found, verdict | {"against": []})
    assert not is_stored(found, verdict | {"status": "disputed", "sha256": None})
