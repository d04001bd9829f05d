"""GetSessions, GetCommands, GetDenials: filters, times, pages."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract_channel import START_US, S
from tests.support.forensics_channel import PeoplesChannel, person
from tests.support.vault_channel import certificate_sha256

IVAN = person("LvivMSP", "ivan", 2, "operator")
OLHA = person("KyivMSP", "olha", 3, "operator")
NODE = person("LvivMSP", "node", 4, "lightnode")
WHO = {"ivan": IVAN, "olha": OLHA}


@pytest.fixture(scope="module")
def channel() -> PeoplesChannel:
    """Twelve sessions, an hour each, by turns; the last two are open. Each has two commands, and each a denial."""
    channel = PeoplesChannel("access")
    for number in range(12):
        operator = "ivan" if number % 2 == 0 else "olha"
        at_us = START_US + number * 3600 * S
        opening = {"session": f"s-{number}", "operator": operator, "terminal": f"t-{number % 3}"}
        more = {"section": "section-home" if number < 6 else "section-plant", "reason": "shift"}
        channel.call("OpenSession", opening | more, WHO[operator], at_us)
        for device in ("breaker-1", "breaker-2"):
            command = {"session": f"s-{number}", "device": device, "command": "open"}
            at_us += S
            channel.call("Command", command, WHO[operator], at_us)
        denied = {"operator": operator, "terminal": f"t-{number % 3}", "why": "no such password"}
        channel.call("Deny", denied, NODE, at_us + S)
        if number < 10:
            channel.call("CloseSession", {"session": f"s-{number}"}, WHO[operator], at_us + 1800 * S)
    return channel


def sessions(channel: PeoplesChannel, **filters: Any) -> list[int]:
    return [int(each["session"][2:]) for each in channel.pages("GetSessions", filters)]


def hour(number: int) -> int:
    return START_US + number * 3600 * S


def test_sessions_by_what_they_are(channel: PeoplesChannel) -> None:
    assert sessions(channel) == list(range(12))
    assert sessions(channel, operator="olha") == [1, 3, 5, 7, 9, 11]
    assert sessions(channel, terminal="t-1") == [1, 4, 7, 10]
    assert sessions(channel, terminal="t-1", operator="olha") == [1, 7]
    assert sessions(channel, section="section-plant", operator="ivan") == [6, 8, 10]
    assert sessions(channel, open=True) == [10, 11]
    assert sessions(channel, open=False, operator="ivan") == [0, 2, 4, 6, 8]
    assert sessions(channel, operator="nobody") == []


def test_sessions_by_certificate(channel: PeoplesChannel) -> None:
    own = certificate_sha256(IVAN)
    assert sessions(channel, certificate=own) == [0, 2, 4, 6, 8, 10]
    assert sessions(channel, certificate=own, terminal="t-2") == [2, 8]
    assert sessions(channel, certificate=own, operator="olha") == []
    assert sessions(channel, **{"certificate": own, "from": hour(2), "to": hour(8)}) == [2, 4, 6]


def test_from_is_included_and_to_is_not(channel: PeoplesChannel) -> None:
    assert sessions(channel, **{"from": hour(3), "to": hour(5)}) == [3, 4]
    assert sessions(channel, **{"from": hour(3) + 1, "to": hour(5) + 1}) == [4, 5]
    assert sessions(channel, **{"from": hour(5), "to": hour(3)}) == []
    assert sessions(channel, to=hour(1)) == [0]


@pytest.mark.parametrize("limit", [1, 5, 500])
def test_pages_have_all_once(channel: PeoplesChannel, limit: int) -> None:
    assert sessions(channel, limit=limit) == list(range(12))
    assert sessions(channel, limit=limit, operator="olha") == [1, 3, 5, 7, 9, 11]
    assert len(channel.pages("GetCommands", {"limit": limit})) == 24
    assert len(channel.pages("GetDenials", {"limit": limit})) == 12


def test_commands_by_session_device_operator_and_time(channel: PeoplesChannel) -> None:
    def found(**filters: Any) -> list[tuple[str, str]]:
        return [(each["session"], each["device"]) for each in channel.pages("GetCommands", filters)]

    assert found(session="s-3") == [("s-3", "breaker-1"), ("s-3", "breaker-2")]
    assert found(session="s-3", device="breaker-2") == [("s-3", "breaker-2")]
    assert found(session="s-3", operator="ivan") == []
    assert len(found(device="breaker-2")) == 12
    assert found(**{"device": "breaker-2", "operator": "ivan", "from": hour(2), "to": hour(5)}) == [
        ("s-2", "breaker-2"),
        ("s-4", "breaker-2"),
    ]
    assert found(**{"session": "s-3", "from": hour(3) + S + 1}) == [("s-3", "breaker-2")]


def test_denials_by_operator_and_terminal(channel: PeoplesChannel) -> None:
    assert len(channel.pages("GetDenials", {"operator": "olha"})) == 6
    assert len(channel.pages("GetDenials", {"operator": "olha", "terminal": "t-1"})) == 2
    assert len(channel.pages("GetDenials", {"from": hour(0), "to": hour(4)})) == 4


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        ("GetSession", {"session": "s-99"}, "session: there is no session s-99"),
        ("GetSessions", {"open": "yes"}, "open: must be true or false"),
        ("GetSessions", {"suspicious": 1}, "suspicious: must be true or false"),
        ("GetSessions", {"from": -1}, "from: must lie within 0"),
        ("GetSessions", {"limit": 0}, "limit: must lie within 1"),
        ("GetSessions", {"certificate": "ab"}, "certificate: must be 64"),
        ("GetSessions", {"bookmark": "s-1"}, "bookmark: must be the bookmark of the page before"),
        ("GetSessions", {"bookmark": "1" * 16 + "/"}, "bookmark: must be"),
        ("GetCommands", {"bookmark": "1" * 16 + "/s-1"}, "bookmark: must be"),
        ("GetCommands", {"session": "s-99"}, "session: there is no session s-99"),
        ("GetCommands", {"terminal": "t-1"}, "terminal: is no field here"),
        ("GetDenials", {"device": "d"}, "device: is no field here"),
    ],
)
def test_refusals_name_the_field(channel: PeoplesChannel, function: str, argument: Any, message: str) -> None:
    assert message in channel.refused(function, argument)
