"""What must hold at the end of the demonstration, and whether it did."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from services.relay.demonstration.outcome import MinuteOutcome
from services.relay.demonstration.story import (
    BACK_IN,
    CUT_OFF_IN,
    KILLED_IN,
    LIE_IN,
    MADE_UP_IN,
    SILENT_IN,
    TWO_FACES_IN,
    Cast,
)


@dataclass(frozen=True, slots=True)
class Evidence:
    """All that is judged.

    ``count``: how many minutes there were; ``lies``: the hashes of the liars' texts by minute's number; ``gaps`` as the
    ledger lists them; ``silences`` those that began and ended; ``disagreeing`` channels and nodes; ``chain_fault`` what
    is wrong with the chain in the article's form.
    """

    count: int
    outcomes: Sequence[MinuteOutcome]
    cast: Cast
    lies: Mapping[int, str]
    gaps: Sequence[tuple[int, int]]
    silences: Sequence[Mapping[str, Any]]
    disagreeing: Sequence[str]
    chain_fault: str


def judged(evidence: Evidence) -> list[tuple[str, bool]]:
    """Each expectation in words, and whether it held. A minute that is not on the ledger fails what is said of it."""
    by_number = {outcome.number: outcome for outcome in evidence.outcomes}
    cast, count = evidence.cast, evidence.count
    are_all_there = by_number.keys() == set(range(1, count + 1))
    true = [one for one in evidence.outcomes if one.number != TWO_FACES_IN]
    lie, faces, made_up, cut_off = (by_number.get(number) for number in (LIE_IN, TWO_FACES_IN, MADE_UP_IN, CUT_OFF_IN))
    missed = [by_number.get(number) for number in range(KILLED_IN, BACK_IN)]
    return [
        (
            f"each of the {count} minutes that the relay delivered is on the chain once",
            are_all_there and not evidence.gaps and all(one.times_recorded == 1 for one in evidence.outcomes),
        ),
        (
            "what is of record is what the relay wrote, to the byte",
            are_all_there and all(one.record_sha256 == one.told_sha256 for one in true),
        ),
        (
            f"server {cast.liar}, which attested another text of minute {LIE_IN}, is named, and outvoted",
            _outvoted(lie, cast.liar, evidence.lies.get(LIE_IN)),
        ),
        (
            f"server {cast.racer}, which made up the text of minute {MADE_UP_IN} and was first, is named, and outvoted",
            made_up is not None
            and made_up.winner == cast.racer
            and made_up.sha256 == evidence.lies.get(MADE_UP_IN)
            and _outvoted(made_up, cast.racer, made_up.sha256),
        ),
        (
            f"minute {TWO_FACES_IN}, of which the relay told two texts, is disputed, and no other is",
            faces is not None
            and faces.status == "disputed"
            and faces.record_sha256 is None
            and all(one.status == "confirmed" for one in true),
        ),
        (
            "the relay's silence is on the ledger, with its end",
            any(_is_of_the_story(silence, evidence) for silence in evidence.silences),
        ),
        (
            f"server {cast.killed} has spoken to each minute that it missed while it was dead",
            all(one is not None and one.voices[cast.killed] != "none" for one in missed),
        ),
        (
            f"server {cast.killed} spoke to minute {CUT_OFF_IN}, for which its own peer was cut off",
            cut_off is not None and cut_off.voices[cast.killed] in ("won", "same", "later"),
        ),
        ("all peers have the same commit hash", not evidence.disagreeing),
        ("the chain in the article's form verifies", not evidence.chain_fault),
    ]


def _outvoted(outcome: MinuteOutcome | None, liar: str, lie: str | None) -> bool:
    return (
        outcome is not None
        and lie is not None
        and outcome.against == (liar,)
        and outcome.voices[liar] == "other"
        and outcome.record_sha256 == outcome.told_sha256 != lie
    )


def _is_of_the_story(silence: Mapping[str, Any], evidence: Evidence) -> bool:
    """Whether a silence began where the relay fell silent, and ended."""
    begins = {one.minute for one in evidence.outcomes if SILENT_IN[0] - 1 <= one.number <= SILENT_IN[-1]}
    return silence["from"] in begins and silence["until"] is not None
