"""One capture: values outside limits are marked, servers that were told another text come first, with its lines."""

from __future__ import annotations

from typing import Any

from services.console.relay import capture_view

TEXT = "one\ntwo\nthree\n"
VALUES = dict.fromkeys(("Vab", "Vbc", "Vca", "Ia", "Ib", "Ic", "F", "FP", "P", "Q"), 1.0)


def capture(**more: Any) -> dict[str, Any]:
    told: dict[str, Any] = {
        "relay": "Rele_1",
        "minute": 3,
        "server": "a",
        "sha256": "0" * 64,
        "text": TEXT,
        "time_us": 1,
        "attestations": [{"server": "b", "sha256": "0" * 64, "match": True, "time_us": 2}],
        "verdict": None,
        "record": None,
    }
    return {**told, **more}


def other(server: str, text: str) -> dict[str, Any]:
    return {"server": server, "sha256": "1" * 64, "match": False, "time_us": 3, "text": text}


def test_a_value_outside_its_limits_is_marked_with_the_limit() -> None:
    told = {
        "readings": [{"time": "2026-11-30T22:29:00", **VALUES, "F": 58.5}, {"time": "2026-11-30T22:29:10", **VALUES}],
        "breaches": [{"reading": 0, "field": "F", "value": 58.5, "limit": 59.0}],
    }
    first, second = capture_view.reading_rows(told)
    assert (first.cells["F"].text, first.cells["F"].state, first.cells["F"].plain) == ("58.5 < 59", "warn", 58.5)
    assert {second.cells[name].state for name in VALUES} == {""}


def test_who_was_told_another_text_comes_first_and_who_says_nothing_last() -> None:
    told = capture()
    told["attestations"].append(other("c", "one\nTWO\nthree\n"))
    rows = capture_view.attestation_rows(told, ["a", "b", "c", "d"])
    assert [(row.cells["server"].text, row.cells["said"].text, row.state) for row in rows] == [
        ("c", "ANOTHER text", "bad"),
        ("a", "recorded it", ""),
        ("b", "the same text", ""),
        ("d", "nothing yet", ""),
    ]


def test_a_winner_that_was_outvoted_is_named() -> None:
    verdict = {"status": "confirmed", "against": ["a"], "for": ["b", "c"]}
    rows = capture_view.attestation_rows(capture(verdict=verdict), ["a", "b"])
    assert next((row.cells["server"].text, row.cells["said"].text) for row in rows) == ("a", "recorded it, outvoted")


def test_the_lines_that_differ_are_told() -> None:
    told = capture()
    told["attestations"] += [other("c", "one\nTWO\nthree\nfour\n"), other("d", TEXT.replace("\n", "\r\n"))]
    found = capture_view.differences(told)
    assert [(one.server, list(one.lines)) for one in found] == [
        ("c", [(2, "two", "TWO"), (4, "", "four")]),
        ("d", []),
    ]
    long = capture(text="", attestations=[other("c", "x\n" * (capture_view.MAX_LINES + 5))])
    (one,) = capture_view.differences(long)
    assert (len(one.lines), one.more) == (capture_view.MAX_LINES, 5)
