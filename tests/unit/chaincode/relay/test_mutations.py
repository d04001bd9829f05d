"""Captures that are damaged at random: the library and the contract refuse alike, or take what stands in the text."""

from __future__ import annotations

import re
from collections import Counter
from random import Random
from typing import Final

import pytest

from gridledger.field.capture import MEASURES, CaptureError, parse_capture, read_capture
from gridledger.protocol.result import Result
from tests.support.relay_channel import MINUTE, RelayChannel, recording, server, told

SEED = 20_261_130
#: What the contract adds: the relay's names, and the minute that the proposal's time allows.
OF_THE_RECORD = re.compile(r"(relay, line 2|substation, line 3|time, line 1|minute): ")
NAMED: Final = re.compile(rf"(time|relay|substation|faults|reading|bytes|{'|'.join(MEASURES)}), line ([0-9]+): ")

CHARACTERS = [
    *"0123456789;.-+ eE_,:\n\r\t\x00\x0b\x1c\x85ñO",
    *(
        "\u0660",
        "\uff11",
        "\u00a0",
        "\u2028",
        "\u202e",
        "\ufeff",
        "\uff1b",
        "\u2212",
        "\r\n",
        "\n\n",
        "nan",
        "inf",
        "1e3",
    ),
    *("Time Stamp;", " Time Stamp;", ";Vab;", ";FP;", "0penings", "NULL", "1" * 12, "0.0000000001"),
]


def mutated(rng: Random, text: str) -> str:
    """One to three damages."""
    for _ in range(rng.choice((1, 1, 1, 2, 3))):
        text = rng.choice(DAMAGES)(rng, text)
    return text


def _replace(rng: Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(CHARACTERS) + text[at + 1 :]


def _insert(rng: Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + rng.choice(CHARACTERS) + text[at:]


def _delete(rng: Random, text: str) -> str:
    at = rng.randrange(len(text) + 1)
    return text[:at] + text[at + rng.choice((1, 1, 2, 5, 60)) :]


def _cut(rng: Random, text: str) -> str:
    return text[: rng.randrange(len(text) + 1)]


def _lines(rng: Random, text: str) -> str:
    lines = text.split("\n")
    first, second = rng.randrange(len(lines)), rng.randrange(len(lines))
    kind = rng.randrange(3)
    if kind == 0:
        lines[first], lines[second] = lines[second], lines[first]
    elif kind == 1:
        lines.insert(first, lines[second])
    else:
        del lines[first]
    return "\n".join(lines)


def _digit(rng: Random, text: str) -> str:
    places = [match.start() for match in re.finditer("[0-9]", text)] or [0]
    at = rng.choice(places)
    return text[:at] + rng.choice("0123456789") + text[at + 1 :]


def _glue(rng: Random, text: str) -> str:
    head, rows = text.split("\n")[:6], text.split("\n")[6:]
    return "\n".join(head) + "\n" + rng.choice((" ", "  ", "\t", "\n\n")).join(rows)


def _join(rng: Random, text: str) -> str:
    del rng
    return text.replace("\n", "\r\n")


def _field(rng: Random, text: str) -> str:
    parts = text.split(";")
    first, second = rng.randrange(len(parts)), rng.randrange(len(parts))
    parts[first] = parts[second]
    return ";".join(parts)


DAMAGES = (_replace, _insert, _delete, _cut, _lines, _digit, _digit, _glue, _join, _field)


def stands_in(text: str) -> list[list[float]]:
    """The numbers of the text's rows, found another way than the grammar does."""
    rows = [row.split(";") for row in re.split("[ \r\n]*Time Stamp;", text)[1:]]
    assert all(row[1::2] == list(MEASURES) for row in rows)
    assert all(re.fullmatch(r"-?[0-9.]+[\r\n]*", value) for row in rows for value in row[2::2])
    return [[float(value) for value in row[2::2]] for row in rows]


def refusal_of(text: str) -> CaptureError | None:
    """What the library says against a text; it names field and line."""
    try:
        parse_capture(text)
    except CaptureError as error:
        return error
    return None


def check_taken(text: str, result: Result) -> str:
    """A text that the library reads: the contract takes what stands there, or says what is not this relay's."""
    rows = stands_in(text)
    capture = parse_capture(text)
    assert [list(reading.values) for reading in capture.readings] == rows
    assert read_capture(text.encode()) == capture
    if result.response.status == 200:
        ((_, written),) = result.writes
        assert (written["text"], written["faults"], written["readings"]) == (text, capture.faults, len(rows))
        return "taken"
    assert OF_THE_RECORD.match(result.response.message), result.response.message
    assert text.replace("\r\n", "\n").split("\n")[:3] != told(MINUTE).split("\n")[:3]
    return "not of this relay or minute"


def try_mutants(count: int) -> Counter[str]:
    """How many of ``count`` mutants were refused by field, and how many taken."""
    channel = RelayChannel().register()
    rng = Random(SEED)
    found: Counter[str] = Counter()
    for number in range(count):
        text = mutated(rng, told(MINUTE, seed=number % 97))
        result = channel.endorse("RecordCapture", recording(text), server("5004"), channel.now_us, 1)
        refusal = refusal_of(text)
        if refusal is None:
            found[check_taken(text, result)] += 1
            continue
        assert (result.response.status, result.response.message) == (400, refusal.message)
        named = NAMED.match(refusal.message)
        assert named, refusal.message
        assert (named.group(1), int(named.group(2))) == (refusal.details["field"], refusal.details["line"])
        assert 1 <= refusal.details["line"] <= text.count("\n") + 1
        found[refusal.details["field"]] += 1
    return found


def test_10_000_mutants_are_refused_or_read_alike() -> None:
    found = try_mutants(10_000)
    assert found.total() == 10_000
    assert {"taken", "time", "relay", "substation", "faults", "reading", *MEASURES} <= set(found), found
    assert 500 < found["taken"] < 5000


@pytest.mark.long
@pytest.mark.timeout(1800)
def test_200_000_mutants_are_refused_or_read_alike() -> None:
    assert try_mutants(200_000).total() == 200_000
