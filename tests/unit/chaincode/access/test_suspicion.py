"""Which sessions are flagged: one certificate in two at once, or at two terminals within a minute."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract_channel import START_US, S
from tests.support.forensics_channel import PeoplesChannel, person

IVAN = person("LvivMSP", "ivan", 2, "operator")
OLHA = person("KyivMSP", "olha", 3, "operator")
DAY = {"operator": "ivan", "section": "section-home", "reason": "day shift"}
SESSIONS, TERMINALS = "two-sessions", "two-terminals"


@pytest.fixture
def channel() -> PeoplesChannel:
    return PeoplesChannel("access")


def opening(session: str, terminal: str = "t-1") -> dict[str, Any]:
    return {"session": session, "terminal": terminal, **DAY}


def flags(channel: PeoplesChannel, session: str) -> list[tuple[str, str]]:
    told = channel.call("GetSession", {"session": session})["suspicious"]
    return sorted((each["why"], each["session"]) for each in told)


def test_two_sessions_at_once_flag_both(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening("s-1"), IVAN)
    second = channel.call("OpenSession", opening("s-2"), IVAN, START_US + 3600 * S)
    assert second["suspicious"] == [{"why": SESSIONS, "session": "s-1"}]
    assert channel.event()[1]["suspicious"] == second["suspicious"]
    assert flags(channel, "s-1") == [(SESSIONS, "s-2")]
    assert flags(channel, "s-2") == [(SESSIONS, "s-1")]
    command = {"session": "s-2", "device": "d", "command": "open"}
    assert channel.call("Command", command, IVAN)["suspicious"] is True


def test_one_session_after_the_other_flags_none(channel: PeoplesChannel) -> None:
    for number in range(3):
        channel.call("OpenSession", opening(f"s-{number}"), IVAN)
        channel.call("CloseSession", {"session": f"s-{number}"}, IVAN)
    assert [flags(channel, f"s-{number}") for number in range(3)] == [[], [], []]


@pytest.mark.parametrize(("after_s", "flagged"), [(60, True), (61, False)])
def test_two_terminals_within_a_minute_flag_both_though_the_first_is_closed(
    channel: PeoplesChannel, after_s: int, flagged: bool
) -> None:
    channel.call("OpenSession", opening("s-1"), IVAN, START_US + S)
    channel.call("CloseSession", {"session": "s-1"}, IVAN, START_US + 2 * S)
    second = channel.call("OpenSession", opening("s-2", "t-2"), IVAN, START_US + (1 + after_s) * S)
    assert second["suspicious"] == ([{"why": TERMINALS, "session": "s-1"}] if flagged else [])
    assert flags(channel, "s-2") == ([(TERMINALS, "s-1")] if flagged else [])
    assert flags(channel, "s-1") == ([(TERMINALS, "s-2")] if flagged else [])


def test_the_same_terminal_within_a_minute_is_nothing(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening("s-1"), IVAN)
    channel.call("CloseSession", {"session": "s-1"}, IVAN)
    assert channel.call("OpenSession", opening("s-2"), IVAN)["suspicious"] == []


def test_other_certificates_are_not_compared(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening("s-1"), IVAN)
    assert channel.call("OpenSession", opening("s-2", "t-2"), OLHA)["suspicious"] == []
    assert flags(channel, "s-1") == []


def test_openings_of_one_operator_in_one_block_both_stay_and_queries_flag_both(channel: PeoplesChannel) -> None:
    calls = [("OpenSession", opening("s-1"), IVAN), ("OpenSession", opening("s-2", "t-2"), IVAN)]
    results = channel.endorsed(*calls)
    assert [result.response.payload["suspicious"] for result in results] == [[], []]
    assert channel.ordered(results) == [True, True]
    assert flags(channel, "s-1") == [(SESSIONS, "s-2"), (TERMINALS, "s-2")]
    assert flags(channel, "s-2") == [(SESSIONS, "s-1"), (TERMINALS, "s-1")]
    third = channel.call("OpenSession", opening("s-3"), IVAN)
    assert sorted(each["session"] for each in third["suspicious"] if each["why"] == SESSIONS) == ["s-1", "s-2"]


def test_a_thief_who_opens_again_and_again_keeps_nobody_out(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening("own"), IVAN)
    command = ("Command", {"session": "own", "device": "d", "command": "close"}, IVAN)
    thefts = [("OpenSession", opening(f"theft-{number}", "t-9"), IVAN) for number in range(20)]
    assert all(channel.ordered(channel.endorsed(*thefts, command, ("OpenSession", opening("again"), IVAN))))


def test_a_session_left_open_is_found_behind_many_that_were_closed(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening("forgotten"), IVAN)
    for number in range(40):
        at_us = START_US + (number + 1) * 3600 * S
        channel.call("OpenSession", opening(f"s-{number}"), IVAN, at_us)
        channel.call("CloseSession", {"session": f"s-{number}"}, IVAN, at_us + S)
    assert flags(channel, "s-39") == [(SESSIONS, "forgotten")]
    listed = channel.pages("GetSessions", {"suspicious": True})
    assert len(listed) == 41


def test_the_flagged_are_listed_over_pages(channel: PeoplesChannel) -> None:
    for number in range(200):
        who = person("LvivMSP", f"o-{number}", 100 + number % 3, "operator")
        channel.call("OpenSession", opening(f"s-{number:03d}"), who)
    channel.call("OpenSession", opening("x-1"), IVAN)
    channel.call("OpenSession", opening("x-2", "t-2"), IVAN)
    first = channel.call("GetSessions", {"suspicious": True})
    assert (first["items"], first["bookmark"] is None) == ([], False)
    assert [each["session"] for each in channel.pages("GetSessions", {"suspicious": True})] == ["x-1", "x-2"]
    assert len(channel.pages("GetSessions", {"suspicious": False})) == 200
    assert len(channel.pages("GetSessions", {"limit": 7})) == 202


def test_a_flag_is_told_once_however_it_was_found(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening("s-1"), IVAN)
    channel.call("OpenSession", opening("s-2", "t-2"), IVAN)
    assert flags(channel, "s-2") == [(SESSIONS, "s-1"), (TERMINALS, "s-1")]
    assert flags(channel, "s-1") == [(SESSIONS, "s-2"), (TERMINALS, "s-2")]
