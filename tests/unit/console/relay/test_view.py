"""Relays as the pages show them: what fails comes first, and each count is of what the ledger has."""

from __future__ import annotations

from typing import Any

from services.console.listing import Row
from services.console.relay import view
from services.console.relay.reading import Overview, RelayState, hours_around

RECORD: dict[str, Any] = {
    "relay": "Rele_1",
    "substation": "Sur",
    "servers": [{"id": "a", "mspid": "A"}, {"id": "b", "mspid": "B"}],
    "quorum": 2,
    "silence": None,
    "limits": {"F": [59.0, 61.0], "Ia": [0, 48]},
}
DISPUTE = {"minute": 12, "since_us": 1, "for": [], "against": ["b"]}
SILENCE = {"from": 20, "reason": "no route", "until": None, "server": "a", "ended_by": None}


def capture(minute: int, status: str = "confirmed", **breaches: float) -> dict[str, Any]:
    return {
        "minute": minute,
        "server": "a",
        "sha256": "0" * 64,
        "record_sha256": None,
        "status": status,
        "faults": 0.0,
        "readings": 6,
        "time_us": 5,
        "breaches": [
            {"reading": 0, "field": field, "value": value, "limit": 59.0 if value < 60 else 61.0}
            for field, value in breaches.items()
        ],
    }


def state(captures: list[dict[str, Any]], **more: Any) -> RelayState:
    rest: dict[str, Any] = {
        "record": RECORD,
        "begin": 0,
        "end": 60,
        "disputes": [],
        "gaps": [],
        "silences": [],
        "faults": [],
        "statistics": {},
    }
    return RelayState(captures=captures, **{**rest, **more})


def texts(rows: list[Row], name: str) -> list[str]:
    return [row.cells[name].text for row in rows]


def test_relays_that_fail_come_first() -> None:
    sound = view.relay_row("c", "x", Overview(RECORD, [capture(1)], [], []))
    missing = view.relay_row("c", "x", Overview({**RECORD, "relay": "gappy"}, [capture(1)], [], [[2, 5]]))
    silent = view.relay_row("c", "x", Overview({**RECORD, "relay": "mute", "silence": SILENCE}, [capture(1)], [], []))
    disputed = view.relay_row("c", "x", Overview({**RECORD, "relay": "two"}, [capture(1)], [DISPUTE], []))
    never = view.relay_row("c", "x", Overview({**RECORD, "relay": "new"}, [], [], []))
    ordered = view.failed_first([sound, missing, silent, never, disputed])
    assert texts(ordered, "relay") == ["mute", "two", "gappy", "new", "Rele_1"]
    assert texts(ordered, "gap_minutes") == ["0", "0", "3", "0", "0"]
    assert "no route" in silent.cells["state"].text
    assert texts([sound, never], "state") == ["servers agree", "no capture in this time"]


def test_disputed_captures_come_first_then_the_newest() -> None:
    captures = [capture(1), capture(2, "disputed"), capture(3, "open"), capture(4, F=61.5)]
    shown = {
        only: [row.cells["minute"].plain for row in view.capture_rows("c", "r", captures, only)]
        for only, _ in view.CHOICES
    }
    assert shown == {"": [2, 4, 3, 1], "disputed": [2], "open": [3], "breached": [4]}


def test_power_quality_tells_the_farthest_readings_of_each_measure() -> None:
    rows = view.quality_rows("c", state([capture(1, F=61.5), capture(2, F=58.0), capture(3, F=61.2, Ia=70.0)]))
    found = [{name: cell.plain for name, cell in row.cells.items()} for row in rows]
    assert [(one["measure"], one["breaches"], one["minutes"], one["newest"]) for one in found] == [
        ("F", 3, 3, 3),
        ("Ia", 1, 1, 3),
    ]
    assert (found[0]["lowest"], found[0]["highest"]) == (58.0, 61.5)
    assert (found[1]["lowest"], found[1]["highest"]) == ("", 70.0)
    quiet = view.quality_rows("c", state([capture(1)]))
    assert [row.state for row in quiet] == ["", ""], "measures with limits are told, though none is breached"


def test_what_stands_above_all_tells_both_a_silence_and_disputes() -> None:
    told = view.verdicts(state([capture(1)], record={**RECORD, "silence": SILENCE}, disputes=[DISPUTE], gaps=[[3, 5]]))
    assert [kind for _, kind in told] == ["bad", "bad", "warn", "good"]
    assert told[1][0] == "1 disputed"
    assert told[2][0] == "2 minutes without a capture"
    assert [kind for _, kind in view.verdicts(state([capture(1)]))] == ["good", "good", "good"]


def test_an_open_silence_comes_first() -> None:
    ended = {**SILENCE, "from": 30, "until": 31, "ended_by": "b"}
    rows = view.silence_rows([SILENCE, ended])
    assert texts(rows, "from") == ["1970-01-01T00:20Z", "1970-01-01T00:30Z"]
    assert texts(rows, "until") == ["it lasts", "1970-01-01T00:31Z"]


def test_fault_records_stated_otherwise_come_first() -> None:
    def fault(time: str, others: list[dict[str, Any]]) -> dict[str, Any]:
        named = {"station": "s", "device": "d", "samples": 4, "servers": ["a"], "sha256": "1" * 64}
        return {**named, "trigger_time": time, "others": others}

    rows = view.fault_rows([fault("2026-01-01", [{"servers": ["b"]}]), fault("2026-01-02", [])])
    assert texts(rows, "trigger") == ["2026-01-01", "2026-01-02"]
    assert texts(rows, "otherwise") == ["b", ""]


def test_hours_cover_the_range_and_a_day_at_least() -> None:
    assert hours_around(60 * 48, 60 * 48 + 30) == (25, 49)
    assert hours_around(0, 60 * 48) == (0, 48)
    assert hours_around(5, 5) == (0, 1)
