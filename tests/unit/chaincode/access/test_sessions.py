"""OpenSession, CloseSession, Command, Deny: whose a session is, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract_channel import S
from tests.support.forensics_channel import PeoplesChannel, identity, person

IVAN = person("LvivMSP", "ivan", 2, "operator")
OLHA = person("KyivMSP", "olha", 3, "operator")
NODE = person("LvivMSP", "node", 4, "lightnode")
ANYONE = person("AuthorityMSP", "reader", 5)
DAY = {"operator": "ivan", "terminal": "t-1", "section": "section-home", "reason": "day shift"}


@pytest.fixture
def channel() -> PeoplesChannel:
    return PeoplesChannel("access")


def opening(session: str = "s-1", **changes: Any) -> dict[str, Any]:
    return {"session": session, **DAY, **changes}


def test_a_session_says_who_where_and_why(channel: PeoplesChannel) -> None:
    record = channel.call("OpenSession", opening(), IVAN)
    assert channel.event() == ("SessionOpened", record)
    at = {"opened_us": channel.now_us, "tx": channel.written_by("session/")}
    assert record == opening() | {"by": identity(IVAN), "suspicious": []} | at
    assert channel.call("GetSession", {"session": "s-1"}) == record | {"closed": None}
    closed = channel.call("CloseSession", {"session": "s-1", "reason": "day is over"}, IVAN)
    assert channel.event() == ("SessionClosed", closed | {"operator": "ivan", "terminal": "t-1"})
    assert closed["reason"] == "day is over"
    assert channel.call("GetSession", {"session": "s-1"})["closed"] == closed


def test_a_command_is_told_with_its_session(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening(), IVAN)
    given = {"session": "s-1", "device": "breaker-7", "command": "open", "value": 1.5}
    issued = channel.call("Command", given, IVAN)
    assert channel.event() == ("CommandIssued", issued)
    place = {"operator": "ivan", "terminal": "t-1", "section": "section-home", "suspicious": False}
    assert issued == given | place | {"time_us": channel.now_us, "tx": channel.written_by("command/")}
    assert channel.call("GetCommands", {"session": "s-1"})["items"] == [issued]


@pytest.mark.parametrize("value", ["off", 3, -0.25, True, None])
def test_what_a_command_may_set(channel: PeoplesChannel, value: Any) -> None:
    channel.call("OpenSession", opening(), IVAN)
    given = {"session": "s-1", "device": "d", "command": "set", "value": value}
    kept = channel.call("Command", given, IVAN)["value"]
    assert (kept, type(kept)) == (value, type(value))


def test_only_its_operator_uses_a_session_and_only_while_it_is_open(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening(), IVAN)
    command = {"session": "s-1", "device": "d", "command": "open"}
    renewed = person("LvivMSP", "ivan", 20, "operator")
    same_key_elsewhere = person("KyivMSP", "ivan", 2, "operator")
    for other in (OLHA, renewed, same_key_elsewhere):
        for function, argument in (("Command", command), ("CloseSession", {"session": "s-1"})):
            assert "caller: the session s-1 belongs to another certificate" in channel.refused(
                function, argument, caller=other
            )
    for role in (None, "registrar", "lightnode"):
        lost = person("LvivMSP", "ivan", 2, role)
        assert "must have attribute forensics.role = 'operator'" in channel.refused("Command", command, caller=lost)
    channel.call("CloseSession", {"session": "s-1"}, IVAN)
    for function, argument in (("Command", command), ("CloseSession", {"session": "s-1"})):
        assert channel.refused(function, argument, caller=IVAN) == "session: s-1 is closed; open another one"
    assert "session: there is a session s-1 already" in channel.refused("OpenSession", opening(), caller=IVAN)
    assert channel.refused("Command", command | {"session": "s-2"}, caller=IVAN) == "session: there is no session s-2"


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        ("OpenSession", opening("-s"), "session: must be a name such as"),
        ("OpenSession", opening(operator="x" * 65), "operator: must be a name"),
        ("OpenSession", opening(terminal=7), "terminal: must be a name"),
        ("OpenSession", opening(section="a/b"), "section: must be a name"),
        ("OpenSession", opening(reason=""), "reason: must be a string of 1 to 256 characters"),
        ("OpenSession", opening(more=1), "more: is no field here"),
        ("OpenSession", {"session": "s"}, "operator: is missing"),
        ("OpenSession", "s-1", "argument: must be a JSON object"),
        ("Command", {"session": "s-1", "device": "", "command": "open"}, "device: must be a name"),
        ("Command", {"session": "s-1", "device": "d", "command": "a b"}, "command: must be a name"),
        ("Command", {"session": "s-1", "device": "d", "command": "c", "value": [1]}, "value: must be a text, a number"),
        ("Command", {"session": "s-1", "device": "d", "command": "c", "value": "x" * 257}, "value: must be a string"),
        ("CloseSession", {"session": "s-1", "reason": 7}, "reason: must be a string"),
    ],
)
def test_refusals_name_the_field(channel: PeoplesChannel, function: str, argument: Any, message: str) -> None:
    channel.call("OpenSession", opening(), IVAN)
    assert message in channel.refused(function, argument, caller=IVAN)


def test_only_operators_open_sessions(channel: PeoplesChannel) -> None:
    assert "forensics.role = 'operator'; it has 'lightnode'" in channel.refused("OpenSession", opening(), caller=NODE)
    assert "it has no such attribute" in channel.refused("OpenSession", opening(), caller=ANYONE)


def test_a_denied_login_says_who_was_claimed_and_who_reports(channel: PeoplesChannel) -> None:
    why = {"operator": "ivan", "terminal": "t-9", "why": "wrong password, three times"}
    denied = channel.call("Deny", why, NODE)
    assert channel.event() == ("AccessDenied", denied)
    assert denied == why | {"by": identity(NODE), "time_us": channel.now_us, "tx": channel.written_by("denial/")}
    assert channel.call("Deny", why, IVAN)["by"] == identity(IVAN)
    message = channel.refused("Deny", why, caller=person("LvivMSP", "r", 9, "registrar"))
    assert message.startswith("caller: denied logins are reported with forensics.role = lightnode or device or oper")
    assert "caller" in channel.refused("Deny", why, caller=ANYONE)


def test_sessions_of_different_operators_and_commands_do_not_conflict(channel: PeoplesChannel) -> None:
    others = [person("LvivMSP", f"o-{number}", 30 + number, "operator") for number in range(9)]
    openings = [("OpenSession", opening(f"s-{number}"), who) for number, who in enumerate(others)]
    assert all(channel.ordered(channel.endorsed(*openings)))
    commands = [
        ("Command", {"session": f"s-{number}", "device": "breaker-7", "command": "open"}, who)
        for number, who in enumerate(others)
        for _ in range(2)
    ]
    assert all(channel.ordered(channel.endorsed(*commands)))
    assert len(channel.call("GetCommands", {"device": "breaker-7"})["items"]) == 18


def test_a_command_behind_its_sessions_end_in_one_block_does_not_count(channel: PeoplesChannel) -> None:
    channel.call("OpenSession", opening(), IVAN)
    close = ("CloseSession", {"session": "s-1"}, IVAN)
    command = ("Command", {"session": "s-1", "device": "d", "command": "open"}, IVAN)
    assert channel.ordered(channel.endorsed(command, close, command)) == [True, True, False]


def test_two_openings_of_one_name_in_one_block_open_one(channel: PeoplesChannel) -> None:
    openings = [("OpenSession", opening(), who) for who in (IVAN, OLHA)]
    assert channel.ordered(channel.endorsed(*openings)) == [True, False]


def test_times_lie_in_keys_so_that_lists_ascend(channel: PeoplesChannel) -> None:
    for number, late_us in enumerate((30 * S, 10 * S, 20 * S)):
        channel.call("OpenSession", opening(f"s-{number}"), IVAN, channel.now_us + late_us)
    assert [each["session"] for each in channel.call("GetSessions", {})["items"]] == ["s-1", "s-2", "s-0"]
