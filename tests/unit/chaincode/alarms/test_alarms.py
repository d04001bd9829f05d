"""The contract ``alarms``: the first acknowledgement stands, a shelf has an end, and readers only read."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.contract import ClientIdentity
from tests.support.contract_channel import S
from tests.support.forensics_channel import PeoplesChannel

RAISED = 1_796_000_000 * S
TX = "ab" * 32


def operator(name: str, mspid: str = "Org1MSP", **attributes: str) -> ClientIdentity:
    named = {f"alarms.{key}": value for key, value in attributes.items()}
    return ClientIdentity(f"x509::/CN={name}::/CN=ca", mspid, "client", {"alarms.role": "operator"} | named)


ALICE = operator("alice")
BOB = operator("bob")
READER = ClientIdentity("x509::/CN=reader::/CN=ca", "ControlRoomMSP", "client")


@pytest.fixture
def channel() -> PeoplesChannel:
    return PeoplesChannel("alarms")


def alarm(kind: str = "vsi", group: str = "1", raised_us: Any = RAISED, **more: Any) -> dict[str, Any]:
    return {"group": group, "kind": kind, "raised_us": raised_us, **more}


def shelf(kind: str = "vsi", group: str = "1", **changes: Any) -> dict[str, Any]:
    return {"group": group, "kind": kind, "duration_s": 3600, "reason": "meter at bus 3 is replaced", **changes}


def test_an_acknowledgement_says_who_saw_which_alarm_when(channel: PeoplesChannel) -> None:
    record = channel.call("Acknowledge", alarm(raised_by=TX, note="crew is on its way"), ALICE)
    assert record == alarm(raised_by=TX, note="crew is on its way") | {
        "by": {"mspid": "Org1MSP", "id": ALICE.id},
        "time_us": channel.now_us,
        "tx": channel.written_by("acknowledged/"),
    }
    assert channel.event() == ("Acknowledged", record)
    assert channel.call("GetAlarm", alarm()) == alarm(acknowledged=record, shelved=None)
    assert channel.call("GetAlarm", alarm(raised_us=RAISED + 1))["acknowledged"] is None


def test_the_first_acknowledgement_stands(channel: PeoplesChannel) -> None:
    record = channel.call("Acknowledge", alarm(note="seen"), ALICE)
    for again in (alarm(note="seen"), alarm()):
        assert channel.call("Acknowledge", again, ALICE) == record
        assert channel.last is not None
        assert (channel.last.writes, channel.last.event) == ({}, None)
    message = channel.refused("Acknowledge", alarm(), caller=BOB)
    assert message.startswith(f"alarm: {ALICE.id} of Org1MSP has acknowledged it already, at 2026-11-30T")
    assert record["tx"] in message
    namesake = operator("alice", "Org2MSP")
    channel.refused("Acknowledge", alarm(), "alarm: ", caller=namesake)
    other = alarm(note="something else")
    assert channel.refused("Acknowledge", other, caller=ALICE).startswith("note: the caller has acknowledged")
    assert channel.refused("Acknowledge", alarm(raised_by=TX), caller=ALICE).startswith("raised_by: the caller has")
    channel.call("Acknowledge", alarm("escalated"), BOB)
    channel.call("Acknowledge", alarm(raised_us=RAISED + 1), BOB)


def test_of_two_at_once_one_is_valid_and_other_alarms_never_conflict(channel: PeoplesChannel) -> None:
    calls = [("Acknowledge", alarm(), who) for who in (ALICE, BOB)]
    others = [("Acknowledge", alarm(raised_us=RAISED + n), ALICE) for n in range(1, 20)]
    shelves = [("Shelve", shelf("escalated"), ALICE), ("Shelve", shelf(), BOB)]
    assert channel.ordered(channel.endorsed(*calls, *others, *shelves)) == [True, False] + [True] * 21


def test_only_operators_of_a_group_write(channel: PeoplesChannel) -> None:
    channel.call("Shelve", shelf(), ALICE)
    someone = ClientIdentity("x509::/CN=x::/CN=ca", "Org1MSP", "client", {"alarms.role": "reader"})
    elsewhere = operator("carol", groups="2, 13")
    unshelve = {"group": "1", "kind": "vsi"}
    for function, argument in (("Acknowledge", alarm()), ("Shelve", shelf()), ("Unshelve", unshelve)):
        for caller in (READER, someone):
            message = channel.refused(function, argument, caller=caller)
            assert message == "caller: its certificate must have alarms.role = operator"
        message = channel.refused(function, argument, caller=elsewhere)
        assert message == "caller: its certificate has alarms.groups = 2, 13, which does not name group 1"
    channel.call("Acknowledge", alarm(group="13"), elsewhere)
    channel.call("Acknowledge", alarm(group="1_2"), elsewhere)
    channel.refused("Acknowledge", alarm(group="1_3"), "caller: ", caller=elsewhere)
    for query, argument in (("ListAcknowledged", {"group": "13"}), ("ListShelved", {})):
        assert len(channel.call(query, argument, READER)["items"]) == 1


def test_a_shelf_has_an_end_and_the_last_one_counts(channel: PeoplesChannel) -> None:
    record = channel.call("Shelve", shelf(), ALICE)
    assert record == {
        "group": "1",
        "kind": "vsi",
        "until_us": channel.now_us + 3600 * S,
        "reason": "meter at bus 3 is replaced",
        "by": {"mspid": "Org1MSP", "id": ALICE.id},
        "time_us": channel.now_us,
        "tx": channel.written_by("shelved/"),
    }
    assert channel.event() == ("Shelved", record)
    assert channel.call("GetAlarm", alarm())["shelved"] == record
    longer = channel.call("Shelve", shelf(duration_s=86_400, reason="takes longer"), BOB)
    assert longer["until_us"] == channel.now_us + 24 * 3600 * S
    assert channel.call("ListShelved", {})["items"] == [longer]
    ended = channel.call("Unshelve", {"group": "1", "kind": "vsi"}, ALICE)
    assert ended.keys() == {"group", "kind", "by", "time_us", "tx"}
    assert channel.event() == ("Unshelved", ended)
    assert channel.call("ListShelved", {}) == {"items": [], "bookmark": None}
    message = channel.refused("Unshelve", {"group": "1", "kind": "vsi"}, caller=ALICE)
    assert message == "kind: vsi of group 1 is not shelved"


def test_lists_go_over_pages_in_the_order_of_their_alarms(channel: PeoplesChannel) -> None:
    for n in (5, 1, 3, 2, 4, 0):
        channel.call("Acknowledge", alarm(("vsi", "escalated")[n % 2], raised_us=RAISED + n // 2), ALICE)
        channel.call("Shelve", shelf(f"kind_{n}"), ALICE)
    channel.call("Acknowledge", alarm(group="10"), ALICE)
    channel.call("Acknowledge", alarm(group="1_2"), ALICE)
    listed = channel.pages("ListAcknowledged", {"group": "1", "limit": 1})
    assert [(each["raised_us"] - RAISED, each["kind"]) for each in listed] == [
        (n, kind) for n in range(3) for kind in ("escalated", "vsi")
    ]
    assert channel.pages("ListAcknowledged", {"group": "1", "from_us": RAISED + 1}) == listed[2:]
    assert [each["kind"] for each in channel.pages("ListShelved", {"limit": 4})] == [f"kind_{n}" for n in range(6)]


@pytest.mark.parametrize(
    ("function", "argument", "message"),
    [
        ("Acknowledge", alarm(group="0"), 'group: must be a group id such as "2" or "1_2"'),
        ("Acknowledge", alarm(group="2_1"), "group: the components of a merged id ascend"),
        ("Acknowledge", alarm(group="1_" * 300 + "1"), "group: must be a group id"),
        ("Acknowledge", alarm("No data"), 'kind: must be a kind of alarm such as "vsi"'),
        ("Acknowledge", alarm("a/b"), "kind: must be a kind"),
        ("Acknowledge", alarm("x" * 33), "kind: must be a kind"),
        ("Acknowledge", alarm(raised_us=10**16), "raised_us: must lie within 0"),
        ("Acknowledge", alarm(raised_us="1"), "raised_us: must be an integer"),
        ("Acknowledge", alarm(raised_by="abc"), "raised_by: must be 64 hexadecimal digits"),
        ("Acknowledge", alarm(note=""), "note: must be a string of 1 to 1024"),
        ("Acknowledge", alarm(note="a\u202eb"), "note: has a character that nobody sees"),
        ("Acknowledge", {"group": "1", "kind": "vsi"}, "raised_us: is missing"),
        ("Shelve", shelf(duration_s=0), "duration_s: must lie within 1 and 86400"),
        ("Shelve", shelf(duration_s=86_401), "duration_s: must lie within 1 and 86400"),
        ("Shelve", shelf(reason=""), "reason: must be a string of 1 to 1024"),
        ("Shelve", shelf(until_us=1), "until_us: is no field here"),
        ("Unshelve", [], "argument: must be a JSON object"),
        ("ListAcknowledged", {"group": "1", "bookmark": "7/vsi"}, "bookmark: must be the bookmark of the page before"),
        ("ListAcknowledged", {"group": "1", "from_us": -1}, "from_us: must lie within 0"),
        ("ListShelved", {"bookmark": "1"}, "bookmark: must be the bookmark of the page before"),
        ("ListShelved", {"bookmark": "a/vsi"}, "bookmark: must be a group id"),
        ("ListShelved", {"limit": 0}, "limit: must lie within 1"),
    ],
)
def test_what_is_refused_names_the_field(channel: PeoplesChannel, function: str, argument: Any, message: str) -> None:
    assert channel.refused(function, argument, caller=ALICE).startswith(message)
