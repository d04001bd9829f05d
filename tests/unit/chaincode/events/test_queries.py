"""ListEvents and GetEvent: spans of numbers and times, pages, and what is refused."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.contract_channel import START_US, S
from tests.support.events_channel import LIGHTNODE, Device, EventsChannel


@pytest.fixture(scope="module")
def channel() -> EventsChannel:
    """Two devices that tell a login, an alarm and a logout a second, with a batch between."""
    channel = EventsChannel()
    for name in ("pmu-1", "relay-7"):
        device = Device(name)
        kinds = ("login", "alarm", "logout")
        told = [device.tell(kind, START_US + n * S) for n, kind in enumerate(kinds * 3)]
        channel.call("LogEvents", {"device": name, "events": told}, LIGHTNODE, START_US + 9 * S)
        channel.call("LogBatch", device.tell_batch(START_US, START_US + 9 * S), LIGHTNODE, START_US + 10 * S)
    return channel


def listed(channel: EventsChannel, **argument: Any) -> list[tuple[str, int]]:
    return [(each["device"], each["seq"]) for each in channel.pages("ListEvents", {"limit": 2, **argument})]


def test_events_of_a_device_are_in_its_order(channel: EventsChannel) -> None:
    assert listed(channel, device="pmu-1") == [("pmu-1", n) for n in range(1, 11)]
    assert listed(channel, device="pmu-1", from_seq=4, to_seq=6) == [("pmu-1", 4), ("pmu-1", 5)]
    assert listed(channel, device="pmu-1", from_us=START_US + 2 * S, to_us=START_US + 4 * S) == [
        ("pmu-1", 3),
        ("pmu-1", 4),
    ]
    assert listed(channel, device="pmu-1", from_us=START_US, to_us=START_US + 1) == [("pmu-1", 1), ("pmu-1", 10)]


def test_events_of_a_kind_are_in_the_order_of_times_told(channel: EventsChannel) -> None:
    assert listed(channel, kind="alarm") == [(name, seq) for seq in (2, 5, 8) for name in ("pmu-1", "relay-7")]
    assert listed(channel, kind="alarm", from_us=START_US + 4 * S, to_us=START_US + 7 * S) == [
        ("pmu-1", 5),
        ("relay-7", 5),
    ]
    assert listed(channel, kind="batch") == [("pmu-1", 10), ("relay-7", 10)]
    assert listed(channel, kind="tamper") == []


def test_the_latest_time_of_all_is_listed_too() -> None:
    channel = EventsChannel()
    channel.log(Device(), time_us=10**16 - 2)
    assert listed(channel, kind="alarm") == [("pmu-1", 1)]
    assert listed(channel, device="pmu-1") == [("pmu-1", 1)]


@pytest.mark.parametrize(
    ("argument", "field"),
    [
        ({}, "device: one of device and kind"),
        ({"device": "pmu-1", "kind": "alarm"}, "device: one of device and kind"),
        ({"device": "pmu-9"}, "device: pmu-9 is not admitted"),
        ({"kind": "noise"}, "kind: must be login or"),
        ({"kind": "alarm", "from_seq": 1}, "from_seq: stands beside device only"),
        ({"kind": "alarm", "to_seq": 1}, "to_seq: stands beside device only"),
        ({"device": "pmu-1", "from_seq": 0}, "from_seq: "),
        ({"device": "pmu-1", "to_seq": "2"}, "to_seq: "),
        ({"device": "pmu-1", "from_us": -1}, "from_us: "),
        ({"kind": "alarm", "to_us": 10**16}, "to_us: "),
        ({"kind": "alarm", "limit": 0}, "limit: "),
        ({"kind": "alarm", "bookmark": "000000000001"}, "bookmark: "),
        ({"device": "pmu-1", "bookmark": "1"}, "bookmark: "),
        ({"device": "pmu-1", "from": 1}, "from: is no field"),
    ],
)
def test_a_refusal_names_the_field(channel: EventsChannel, argument: dict[str, Any], field: str) -> None:
    channel.refused("ListEvents", argument, field)


def test_an_event_that_is_not_there_is_refused(channel: EventsChannel) -> None:
    channel.refused("GetEvent", {"device": "pmu-1", "seq": 11}, "seq: pmu-1 has no event 11; its last one is 10")
    channel.refused("GetEvent", {"device": "pmu-9", "seq": 1}, "device: pmu-9 is not admitted")
    channel.refused("GetEvent", {"device": "pmu-1", "seq": 0}, "seq: must lie")


def test_a_call_looks_at_2000_events_of_a_device() -> None:
    channel, device = EventsChannel(), Device()
    for n in range(32):
        channel.log_many(device, 64, START_US + n * 64 * S, START_US + n * 64 * S)
    answer = channel.call("ListEvents", {"device": "pmu-1", "from_us": START_US + 2040 * S})
    assert (answer["items"], answer["bookmark"]) == ([], "000000002001")
    found = channel.pages("ListEvents", {"device": "pmu-1", "from_us": START_US + 2040 * S})
    assert [each["seq"] for each in found] == list(range(2041, 2049))
