"""Rules about what devices say, and when."""

from __future__ import annotations

from dataclasses import replace

from services.case.rows import Row
from services.case.rules.catalogue import examine
from services.case.rules.finding import Finding
from tests.support.told_rows import at, batch, event, row


def _found(rule: str, rows: list[Row], **given: float) -> list[Finding]:
    return [each for each in examine(rows, parameters={rule: given}).findings if each.rule == rule]


def _regular(device: str, count: int, apart_s: float = 10.0, begin_s: float = 0.0) -> list[Row]:
    return [event(device, begin_s + number * apart_s, seq=number + 1) for number in range(count)]


def test_numbers_that_are_missing_are_found() -> None:
    rows = _regular("d-1", 6)
    (found,) = _found("sequence-gap", [*rows[:2], *rows[4:]])
    assert "3 to 4" in found.text
    assert [pointer.tx_id for pointer in found.rows] == [rows[1].tx_id, rows[4].tx_id]
    assert _found("sequence-gap", rows) == []
    (one,) = _found("sequence-gap", [*rows[:2], *rows[3:]])
    assert "3 to 3" in one.text


def test_rows_of_some_kinds_alone_say_nothing_of_gaps() -> None:
    rows = _regular("d-1", 6)
    examined = examine([*rows[:2], *rows[4:]], narrowed=True)
    assert examined.findings == ()
    assert "sequence-gap" in examined.not_applied


def test_a_batch_that_begins_late_is_a_gap() -> None:
    (found,) = _found("sequence-gap", [batch("p-1", 0, 60, {}, marks={"gap": 61})])
    assert "61.0 s" in found.text


def test_a_device_that_falls_silent_is_found() -> None:
    rows = [*_regular("d-1", 20), *_regular("d-2", 60)]
    (found,) = _found("device-silent", rows)
    assert found.subject == {"device": "d-1", "channel": "section-home"}
    assert "has said nothing since" in found.text
    assert found.details["from_us"] == at(190)


def test_the_silence_of_a_device_that_comes_back_is_found_from_five_times_its_pauses_on() -> None:
    def paused(pause_s: float) -> list[Row]:
        return [*_regular("d-1", 20), *_regular("d-1", 20, begin_s=190 + pause_s)]

    assert _found("device-silent", paused(60.0)) == []
    (found,) = _found("device-silent", paused(60.1))
    assert "then spoke again" in found.text
    assert _found("device-silent", paused(50.0), least_s=0.0) == []
    assert len(_found("device-silent", paused(50.1), least_s=0.0)) == 1


def test_a_device_that_hardly_speaks_is_never_silent() -> None:
    assert _found("device-silent", [*_regular("d-1", 9), *_regular("d-2", 60)]) == []


def test_many_alarms_within_minutes_are_found() -> None:
    def alarms(count: int, apart_s: float) -> list[Row]:
        return [event("calls-1", n * apart_s, "alarm") for n in range(count)]

    (found,) = _found("alarm-burst", alarms(40, 3.0))
    assert len(found.rows) == 40
    assert _found("alarm-burst", alarms(19, 3.0)) == []
    assert len(_found("alarm-burst", alarms(20, 31.5))) == 1
    assert _found("alarm-burst", alarms(20, 31.6)) == []


def _off(device: str, seconds: float, off_s: float, certificate: str = "a" * 64) -> Row:
    return event(device, seconds, block_us=at(seconds - off_s), certificate=certificate)


def test_a_clock_that_is_more_than_two_seconds_off_is_found() -> None:
    (ahead,) = _found("clock", [_off("d-1", 10 * n, 2.1) for n in range(3)])
    assert "ahead of" in ahead.text
    assert len(ahead.rows) == 3
    (behind,) = _found("clock", [_off("d-1", 10 * n, -300.0) for n in range(6)])
    assert "300.0 s behind" in behind.text
    assert len(behind.rows) == 6
    assert _found("clock", [_off("d-1", 10 * n, off) for n in range(6) for off in (2.0, -2.0)]) == []


def test_a_clock_is_behind_only_if_it_is_so_again_and_again_by_about_the_same() -> None:
    def behind(*off_s: float) -> list[Finding]:
        return _found("clock", [_off("d-1", 10.0 * n, -each) for n, each in enumerate(off_s)])

    assert len(behind(9, 9, 9, 9, 9)) == 1
    assert behind(9, 9, 9, 9) == []
    assert behind(9, 9, 0, 9, 9) == []
    assert len(behind(9, 10, 11, 10, 9)) == 1
    assert behind(9, 10, 11.1, 10, 9) == []
    one_transaction = [replace(_off("d-1", 10.0, -9.0), tx_id="7" * 64, item=n) for n in range(9)]
    assert _found("clock", one_transaction) == []


def test_what_a_light_node_held_back_accuses_no_clock() -> None:
    held = [_off("d-1", 10.0 * n, -9.0) for n in range(6)]
    assert len(_found("clock", held)) == 1
    assert _found("clock", [*held, *(_off("d-2", 10.0 * n, -9.0) for n in range(6))]) == []
    elsewhere = [_off("d-2", 10.0 * n, -9.0, "b" * 64) for n in range(6)]
    assert len(_found("clock", [*held, *elsewhere])) == 2
    ahead = [_off("d-1", 100, 9.0), _off("d-2", 100, 9.0)]
    assert len(_found("clock", ahead)) == 2


def test_what_is_late_by_an_outage_accuses_no_clock() -> None:
    assert _found("clock", [event("d-1", 0, block_us=at(1000), marks={"late": 1000})]) == []


def test_a_batch_may_come_late_and_its_end_not_early() -> None:
    assert _found("clock", [batch("p-1", 0, 60, {})]) == []
    assert _found("clock", [Row(**{**batch("p-1", 0, 60, {}).to_dict(), "block_us": at(300)})]) == []
    assert len(_found("clock", [Row(**{**batch("p-1", 0, 60, {}).to_dict(), "block_us": at(57)})])) == 1


def test_events_behind_a_revocation_are_found() -> None:
    revoked = row("device-revoked", 100, device="d-1", channel="devices")
    before, after = event("d-1", 99.8), event("d-1", 100.0)
    (found,) = _found("revoked-late", [before, revoked, after])
    assert [pointer.tx_id for pointer in found.rows] == [revoked.tx_id, after.tx_id]
    assert _found("revoked-late", [before, revoked, event("d-2", 120)]) == []
    assert len(_found("revoked-late", [event("d-3", 0, marks={"revoked-late": 1})])) == 1


def test_what_is_not_valid_is_no_event() -> None:
    rows = _regular("d-1", 6)
    invalid = [event("d-1", 15, seq=40, code=11, block_us=at(99))]
    assert examine([*rows, *invalid]).findings == ()
