"""What must hold at the end of the demonstration: it does when all goes as it should, and each part can fail."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from gridledger.field.capture import render_capture, text_hash
from services.relay.demonstration.expectations import Evidence, judged
from services.relay.demonstration.outcome import MinuteOutcome
from services.relay.demonstration.story import LIE_IN, MADE_UP_IN, TWO_FACES_IN
from tests.support.relay_story import CAST, FIRST_MINUTE, RECORD, SILENCE, answer, capture, lie, outcome, outcomes

LIES = {number: text_hash(lie(number)) for number in (LIE_IN, MADE_UP_IN)}
TRUE = render_capture(capture(MADE_UP_IN))


def evidence(*changed: MinuteOutcome, **members: Any) -> Evidence:
    """The evidence of the story, with some minutes in place of its own."""
    by_number = {one.number: one for one in (*outcomes(), *changed)}
    return replace(Evidence(12, [*by_number.values()], CAST, LIES, [], [SILENCE], [], ""), **members)


def failed(found: Evidence) -> list[str]:
    return [text for text, held in judged(found) if not held]


def test_all_holds_when_all_goes_as_it_should() -> None:
    assert failed(evidence()) == []
    assert len(judged(evidence())) == 10


def told(number: int, **texts: str) -> dict[str, Any]:
    """A minute's answer where some servers (s5004, ...) tell other texts than the true one."""
    true = dict.fromkeys(CAST.servers, render_capture(capture(number)))
    return answer(number, {**true, **{name[1:]: text for name, text in texts.items()}}, CAST.servers[0])


def silent(number: int, server: str) -> MinuteOutcome:
    one = outcome(number)
    return replace(one, voices={**one.voices, server: "none"})


@pytest.mark.parametrize(
    ("found", "words"),
    [
        (evidence(outcomes=[*outcomes()[:-1], outcome(12, times_recorded=2)]), ["on the chain once"]),
        (evidence(gaps=[(FIRST_MINUTE + 2, FIRST_MINUTE + 3)]), ["on the chain once"]),
        (evidence(outcome(2, answer(2, dict.fromkeys(CAST.servers, lie(2)), "5004"))), ["what the relay wrote"]),
        (evidence(outcome(LIE_IN, told(LIE_IN))), ["which attested another text"]),
        (evidence(outcome(LIE_IN, told(LIE_IN, s5004=lie(8)))), ["which attested another text"]),
        (evidence(lies={MADE_UP_IN: LIES[MADE_UP_IN]}), ["which attested another text"]),
        (evidence(outcome(MADE_UP_IN, told(MADE_UP_IN, s5007=lie(12)))), ["made up the text of minute 12"]),
        (
            evidence(
                outcome(MADE_UP_IN, answer(MADE_UP_IN, {**dict.fromkeys(CAST.servers, lie(12)), "5004": TRUE}, "5007"))
            ),
            ["what the relay wrote", "made up the text of minute 12"],
        ),
        (evidence(outcome(TWO_FACES_IN, told(TWO_FACES_IN))), ["is disputed, and no other is"]),
        (evidence(replace(outcome(3), status="open")), ["is disputed, and no other is"]),
        (evidence(silences=[]), ["silence is on the ledger"]),
        (evidence(silences=[{**SILENCE, "from": FIRST_MINUTE}]), ["silence is on the ledger"]),
        (evidence(silences=[{**SILENCE, "until": None}]), ["silence is on the ledger"]),
        (evidence(silent(6, CAST.killed)), ["that it missed while it was dead"]),
        (evidence(silent(11, CAST.killed)), ["own peer was cut off"]),
        (evidence(disagreeing=["substation"]), ["same commit hash"]),
        (evidence(chain_fault="block 3, 3_proof"), ["article's form verifies"]),
    ],
)
def test_what_did_not_hold_is_told(found: Evidence, words: list[str]) -> None:
    told = failed(found)
    assert len(told) == len(words), told
    assert all(word in text for word, text in zip(words, told, strict=True)), told


def test_minutes_that_are_missing_fail_what_is_said_of_them() -> None:
    missing = failed(evidence(outcomes=[]))
    assert len(missing) == 8  # all but the commit hashes and the chain's form
    assert RECORD["quorum"] == 3
