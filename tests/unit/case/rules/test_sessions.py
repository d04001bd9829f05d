"""Rules about operators: each fires, stays silent, and changes its mind at its limit."""

from __future__ import annotations

from services.case.rows import Row
from services.case.rules.catalogue import examine
from services.case.rules.finding import Finding
from tests.support.told_rows import at, closed, denied, opened, row

HOUR = 3600.0


def _found(rule: str, rows: list[Row], **given: float) -> list[Finding]:
    return [each for each in examine(rows, parameters={rule: given}).findings if each.rule == rule]


def test_a_session_that_is_never_closed_is_found_after_a_shift() -> None:
    rows = [opened("s-1", 0), row("health", 12.01 * HOUR)]
    (found,) = _found("session-without-logout", rows)
    assert found.subject == {"session": "s-1", "operator": "ivan", "terminal": "t-1"}
    assert found.rows[0].tx_id == rows[0].tx_id
    assert _found("session-without-logout", [opened("s-1", 0), row("health", 12 * HOUR)]) == []
    assert _found("session-without-logout", [*rows, closed("s-1", 5 * HOUR)]) == []
    assert _found("session-without-logout", [opened("s-1", 0), row("health", 10.1)], after_s=10.0) != []


def test_a_session_at_a_terminal_never_used_before_is_found_once_the_operator_is_known() -> None:
    usual = [opened(f"s-{number}", number * HOUR) for number in range(3)]
    (found,) = _found("new-terminal", [*usual, opened("s-9", 4 * HOUR, terminal="vpn-7")])
    assert found.subject["terminal"] == "vpn-7"
    assert "3 sessions" in found.text
    assert _found("new-terminal", [*usual, opened("s-9", 4 * HOUR)]) == []
    assert _found("new-terminal", [*usual[:2], opened("s-9", 4 * HOUR, terminal="vpn-7")]) == []
    olga = opened("s-9", 4 * HOUR, operator="olga", terminal="vpn-7")
    assert _found("new-terminal", [*usual, olga]) == []


def test_what_the_contract_flagged_is_one_finding_a_certificate_with_all_its_sessions() -> None:
    first = opened("s-1", 0)
    told = [{"why": "two-sessions", "session": "s-1"}, {"why": "two-terminals", "session": "s-1"}]
    later = opened("s-2", 30, terminal="t-2", text={"suspicious": told}, marks={"suspicious": 2})
    rest = opened("s-4", 900)
    (found,) = _found("suspicious-session", [first, later, rest])
    assert [pointer.tx_id for pointer in found.rows] == [first.tx_id, later.tx_id]
    assert found.details["sessions"] == ["s-2", "s-1"]
    assert "1 times in two sessions at once and 1 times at two terminals within a minute, at t-1, t-2" in found.text
    assert _found("suspicious-session", [first, opened("s-2", 30)]) == []
    other = opened("s-3", 60, operator="olga", marks={"suspicious": 1}, certificate="d" * 64)
    assert [each.subject["operator"] for each in _found("suspicious-session", [first, later, other])] == [
        "ivan",
        "olga",
    ]


def test_an_operator_who_is_locked_out_while_his_name_is_used_elsewhere_is_found() -> None:
    foreign = opened("s-1", 0, terminal="vpn-7")
    denials = [denied("ivan", "t-1", 60.0 * number) for number in range(1, 4)]
    (found,) = _found("locked-out", [foreign, *denials])
    assert found.subject == {"operator": "ivan", "terminal": "t-1"}
    assert len(found.rows) == 4
    assert _found("locked-out", [foreign, *denials[:2]]) == []
    assert _found("locked-out", denials) == []
    assert _found("locked-out", [opened("s-1", 0), *denials]) == []
    assert _found("locked-out", [foreign, closed("s-1", 10), *denials]) == []
    apart = [denied("ivan", "t-1", 601.0 * number) for number in range(1, 4)]
    assert _found("locked-out", [foreign, *apart]) == []


def test_findings_come_by_time_and_name_their_span() -> None:
    usual = [opened(f"s-{number}", number * HOUR) for number in range(3)]
    examined = examine([opened("s-9", 4 * HOUR, terminal="vpn-7"), *usual, row("health", 20 * HOUR)])
    assert [each.from_us for each in examined.findings] == sorted(each.from_us for each in examined.findings)
    assert examined.findings[-1].to_us == at(4 * HOUR)
    assert examined.rows == 5
