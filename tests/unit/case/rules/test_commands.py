"""Rules about commands, openings, firmware."""

from __future__ import annotations

from services.case.rows import Row
from services.case.rules.catalogue import examine
from services.case.rules.finding import Finding
from tests.support.told_rows import command, event, opened, row


def _found(rule: str, rows: list[Row], *, faster: float = 1.0) -> list[Finding]:
    return [each for each in examine(rows, faster=faster).findings if each.rule == rule]


def _carried_out(device: str, seconds: float, what: str = "open") -> Row:
    return event(device, seconds, "command", body={"command": what})


def test_a_command_that_was_not_valid_is_found() -> None:
    refused = command("b-1", 5, code=11)
    (found,) = _found("command-without-session", [opened("s-1", 0), refused])
    assert found.subject == {"device": "b-1", "session": "s-1"}
    assert "code 11" in found.text
    assert _found("command-without-session", [opened("s-1", 0), command("b-1", 5)]) == []


def test_a_command_whose_session_was_never_opened_is_found_where_the_record_begins_with_the_channel() -> None:
    orphan = command("b-1", 5, session="s-9")
    begin = row("other", 0, channel="access", block=1)
    assert len(_found("command-without-session", [begin, orphan])) == 1
    assert _found("command-without-session", [row("other", 0, channel="access", block=7), orphan]) == []


def test_a_device_that_carries_out_what_nobody_commanded_is_found() -> None:
    rows = [opened("s-1", 0), command("b-1", 10)]
    assert _found("command-without-session", [*rows, _carried_out("b-1", 11)]) == []
    assert _found("command-without-session", [*rows, _carried_out("b-1", 72.0)]) == []
    assert len(_found("command-without-session", [*rows, _carried_out("b-1", 72.1)])) == 1
    assert _found("command-without-session", [*rows, _carried_out("b-1", 8.0)]) == []
    assert len(_found("command-without-session", [*rows, _carried_out("b-1", 7.9)])) == 1
    assert len(_found("command-without-session", [*rows, _carried_out("b-1", 11, "close")])) == 1
    (found,) = _found("command-without-session", [*rows, _carried_out("b-2", 11)])
    assert found.subject == {"device": "b-2"}


def test_openings_of_many_devices_within_minutes_are_one_finding_in_order() -> None:
    rows = [opened("s-1", 0), *(command(f"b-{number}", 100 + 60 * number) for number in range(1, 8))]
    (found,) = _found("many-openings", rows)
    assert found.details["devices"] == [f"b-{number}" for number in range(1, 8)]
    assert [each["time_us"] for each in found.details["openings"]] == sorted(
        each["time_us"] for each in found.details["openings"]
    )
    assert "7 devices" in found.text


def test_few_openings_or_slow_ones_or_of_one_device_are_none() -> None:
    def openings(count: int, apart_s: float, what: str = "open") -> list[Row]:
        return [opened("s-1", 0), *(command(f"b-{n}", n * apart_s, what=what) for n in range(count))]

    assert len(_found("many-openings", openings(5, 150))) == 1
    assert _found("many-openings", openings(5, 150.1)) == []
    assert _found("many-openings", openings(4, 1)) == []
    assert _found("many-openings", openings(9, 1, "close")) == []
    assert _found("many-openings", [opened("s-1", 0), *(command("b-1", n) for n in range(9))]) == []
    assert len(_found("many-openings", openings(5, 0.15), faster=1000)) == 1
    assert _found("many-openings", openings(5, 0.16), faster=1000) == []


def test_two_waves_of_openings_are_two_findings() -> None:
    waves = [command(f"b-{n}", begin + n) for begin in (0, 10_000) for n in range(6)]
    waves += [command("b-9", 3000), command("b-9", 6000)]
    assert [len(each.details["devices"]) for each in _found("many-openings", waves)] == [6, 6]


def test_shutdowns_count_as_openings() -> None:
    assert len(_found("many-openings", [event(f"d-{n}", n, "shutdown") for n in range(5)])) == 1


def test_firmware_that_changes_without_a_command_is_found() -> None:
    before, after = (event("g-1", s, "health", body={"firmware": f}) for s, f in ((0, "2.1"), (30_000, "9.9")))
    (found,) = _found("firmware-changed", [before, after])
    assert found.subject == {"device": "g-1"}
    assert "2.1 to 9.9" in found.text
    same = event("g-1", 30_000, body={"firmware": "2.1"})
    assert _found("firmware-changed", [before, same]) == []
    assert _found("firmware-changed", [before, command("g-1", 8400, what="upgrade"), after]) == []
    assert len(_found("firmware-changed", [before, command("g-1", 8399, what="upgrade"), after])) == 1
    assert len(_found("firmware-changed", [before, command("g-2", 8400, what="upgrade"), after])) == 1
