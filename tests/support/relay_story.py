"""The demonstration's minutes as they should go, without a network: what the ledger, the relay and peers tell."""

from __future__ import annotations

from datetime import datetime, timedelta
from random import Random
from typing import Any

import yaml

from gridledger.field.capture import Capture, Reading, parse_capture, render_capture, text_hash
from services.relay.demonstration.liar import flattered
from services.relay.demonstration.outcome import MinuteOutcome, breaches_of, outcome_of
from services.relay.demonstration.renames import Rename
from services.relay.demonstration.story import BACK_IN, KILLED_IN, LIE_IN, MADE_UP_IN, TWO_FACES_IN, cast_of
from tests.support.processes import REPOSITORY

RECORD: dict[str, Any] = yaml.safe_load(
    (REPOSITORY / "network-config" / "relays" / "rele1.yaml").read_text(encoding="utf-8")
)
CAST = cast_of([server["id"] for server in RECORD["servers"]])
FIRST_MINUTE = 29_750_424
COMPLETE_US = 1_785_025_500_000_000
"""When the relay completed minute 1."""
MINUTE_US = 6_000_000
"""How long a minute of the relay lasts."""
SILENCE = {
    "from": FIRST_MINUTE + 4,
    "until": FIRST_MINUTE + 7,
    "server": "5006",
    "ended_by": "5004",
    "reason": "no answer",
}


def capture(number: int) -> Capture:
    """What the relay measured in a minute of the story."""
    draws = Random(number)
    time = datetime(2026, 7, 26, 2, 24) + timedelta(minutes=number - 1)

    def reading(second: int) -> Reading:
        volts = [round(draws.uniform(109, 118), 3) for _ in range(3)]
        amperes = [round(draws.uniform(0, 50), 3) for _ in range(3)]
        others = [draws.uniform(59, 61), draws.uniform(0, 1), draws.uniform(0, 700), draws.uniform(0, 700)]
        return Reading(time + timedelta(seconds=second), (*volts, *amperes, *(round(value, 3) for value in others)))

    readings = tuple(reading(second) for second in range(0, 60, 10))
    return Capture(time, RECORD["name"], RECORD["substation"], float(draws.randrange(29)), readings)


def lie(number: int) -> str:
    """The liar's text of a minute."""
    return render_capture(flattered(capture(number), RECORD["limits"]))


def stored(number: int) -> dict[str, Any]:
    """GetCapture's answer for a minute of the story, once all is over."""
    text = render_capture(capture(number))
    told = dict.fromkeys(CAST.servers, text)
    alive = [server for server in CAST.servers if server != CAST.killed or not KILLED_IN <= number < BACK_IN]
    winner = alive[number % len(alive)]
    if number == LIE_IN:
        told[CAST.liar] = lie(number)
        winner = CAST.servers[0]
    if number == MADE_UP_IN:
        told[CAST.racer] = lie(number)
        winner = CAST.racer
    if number == TWO_FACES_IN:
        told[CAST.liar] = told[CAST.killed] = text.replace(";Vab;", ";Vab;0", 1)
        winner = CAST.servers[0]
    return answer(number, told, winner)


def answer(number: int, told: dict[str, str], winner: str) -> dict[str, Any]:
    """GetCapture's answer where each server told a text, and one was first."""
    texts = list(told.values())
    of_record = next((text for text in texts if texts.count(text) >= RECORD["quorum"]), None)
    compared = of_record or told[winner]
    agreeing = [server for server, text in told.items() if text == compared]
    first = parse_capture(told[winner])
    return {
        "relay": RECORD["relay"],
        "minute": FIRST_MINUTE + number - 1,
        "server": winner,
        "sha256": text_hash(told[winner]),
        "text": told[winner],
        "time_us": COMPLETE_US + (number - 1) * MINUTE_US,
        "faults": first.faults,
        "breaches": [
            {"reading": one.reading, "field": one.measure, "value": one.value, "limit": one.limit}
            for one in breaches_of(first.readings, RECORD["limits"])
        ],
        "attestations": [
            {
                "server": server,
                "sha256": text_hash(text),
                "match": text == told[winner],
                **({} if text == told[winner] else {"text": text}),
                "time_us": _attested_us(number, server),
            }
            for server, text in told.items()
            if server != winner
        ],
        "verdict": {
            "status": "disputed" if of_record is None else "confirmed",
            "sha256": of_record and text_hash(of_record),
            "by": None if of_record is None else agreeing[0],
            "for": agreeing,
            "against": [server for server in told if server not in agreeing],
        },
        "record": of_record and {"sha256": text_hash(of_record), "server": agreeing[0], "text": of_record},
    }


def _attested_us(number: int, server: str) -> int:
    """When a server attested a minute: the one that was dead when it was back."""
    is_dead = server == CAST.killed and KILLED_IN <= number < BACK_IN
    return COMPLETE_US + ((BACK_IN if is_dead else number) - 1) * MINUTE_US + 100_000


def outcome(number: int, ledger: dict[str, Any] | None = None, *, times_recorded: int = 1) -> MinuteOutcome:
    """A minute of the story, or one of which the ledger says something else."""
    draws = Random(number)
    renamed_us = COMPLETE_US + (number - 1) * MINUTE_US
    late_us = {5: 12_000_000, 6: 6_000_000}.get(number, 0)
    late_us = -4_800_000 if number == MADE_UP_IN else late_us
    arrivals = {f"peer{server}": renamed_us + late_us + draws.randrange(28_000, 90_000) for server in CAST.servers}
    said = stored(number) if ledger is None else ledger
    return outcome_of(
        number,
        said,
        Rename(FIRST_MINUTE + number - 1, text_hash(render_capture(capture(number))), renamed_us),
        arrivals,
        times_recorded=times_recorded,
        own_peer=f"peer{said['server']}",
        record=RECORD,
        cast=CAST,
        minute_s=MINUTE_US / 1_000_000,
    )


def outcomes() -> list[MinuteOutcome]:
    """All minutes of the story."""
    return [outcome(number) for number in range(1, 13)]
