"""Doubtful times are marked and listed as gaps, never refused."""

from __future__ import annotations

from typing import Any

from tests.support.contract_channel import START_US, S
from tests.support.events_channel import AGENT, LIGHTNODE, OTHER_AGENT, Device, EventsChannel, admitting


def gaps(channel: EventsChannel, device: str = "pmu-1") -> list[Any]:
    return [
        {name: value for name, value in each.items() if name != "device"}
        for each in channel.pages("GetGaps", {"device": device, "limit": 1})
    ]


def batch(channel: EventsChannel, device: Device, from_us: int, to_us: int) -> Any:
    """LogBatch, a second after its end."""
    return channel.call("LogBatch", device.tell_batch(from_us, to_us), LIGHTNODE, to_us + S)["marks"]


def test_an_event_that_comes_ten_minutes_later_is_late() -> None:
    channel, device = EventsChannel(), Device()
    assert channel.log(device, at_us=START_US + 600 * S)["marks"] == {}
    assert channel.log(device, at_us=START_US + 600 * S + 1)["marks"] == {"late": 600}
    assert channel.call("GetEvent", {"device": "pmu-1", "seq": 2})["marks"] == {"late": 600}
    assert channel.call("GetEvent", {"device": "pmu-1", "seq": 1})["marks"] == {}


def test_a_wrong_clock_is_marked() -> None:
    channel, device = EventsChannel(), Device()
    assert channel.log(device, time_us=START_US + 2 * S, at_us=START_US)["marks"] == {}
    assert channel.log(device, time_us=START_US + 3 * S, at_us=START_US)["marks"] == {"ahead": 3}
    assert channel.log(device, time_us=START_US + S, at_us=START_US + S)["marks"] == {}
    assert channel.log(device, time_us=START_US - 2 * S, at_us=START_US + S)["marks"] == {"back": 3}


def test_what_comes_after_an_outage_is_one_gap() -> None:
    channel, device = EventsChannel(), Device()
    channel.log(device)
    # Three hours held back, an event a minute, handed over within one call and the next.
    at_us = START_US + 3 * 3600 * S
    told = [device.tell("alarm", START_US + n * 60 * S) for n in range(1, 178)]
    for start in range(0, len(told), 64):
        argument = {"device": "pmu-1", "events": told[start : start + 64]}
        answer = channel.call("LogEvents", argument, LIGHTNODE, at_us)
    assert [each["seq"] for each in answer["marks"]] == list(range(130, 171))
    run = {"mark": "late", "from_seq": 2, "to_seq": 170, "time_us": START_US + 60 * S, "at_us": at_us}
    assert gaps(channel) == [run]
    assert channel.call("GetDevice", {"device": "pmu-1"})["head"]["seq"] == 178


def test_a_run_that_goes_on_has_no_end_yet() -> None:
    channel, device = EventsChannel(), Device()
    channel.log(device, at_us=START_US + 700 * S)
    open_run = {"mark": "late", "from_seq": 1, "to_seq": None, "time_us": START_US, "at_us": START_US + 700 * S}
    assert gaps(channel) == [open_run]
    channel.log(device, at_us=START_US + 800 * S)
    assert channel.last is not None
    assert not any(key.startswith("gap/") for key in channel.last.writes)
    channel.log(device, time_us=START_US + 800 * S, at_us=START_US + 800 * S)
    assert gaps(channel) == [open_run | {"to_seq": 2}]


def test_a_run_within_one_call_is_closed_in_it() -> None:
    channel, device = EventsChannel(), Device()
    times = (0, 700, 0, 0, 700)
    told = [device.tell("alarm", START_US + each * S) for each in times]
    argument = {"device": "pmu-1", "events": told}
    marks = channel.call("LogEvents", argument, LIGHTNODE, START_US + 700 * S)["marks"]
    assert marks == [{"seq": 1, "late": 700}, {"seq": 3, "late": 700, "back": 700}, {"seq": 4, "late": 700}]
    late = {"mark": "late", "at_us": START_US + 700 * S, "time_us": START_US}
    assert gaps(channel) == [
        late | {"from_seq": 1, "to_seq": 1},
        {"mark": "back", "from_seq": 3, "to_seq": 3, "from_us": START_US + 700 * S, "to_us": START_US},
        late | {"from_seq": 3, "to_seq": 4},
    ]


def test_time_between_batches_without_rows_is_a_gap() -> None:
    channel, device = EventsChannel(), Device()
    minute = 60 * S
    assert batch(channel, device, START_US, START_US + minute) == {}
    assert batch(channel, device, START_US + minute, START_US + 2 * minute) == {}
    assert batch(channel, device, START_US + 2 * minute + S - 1, START_US + 3 * minute - S) == {}
    assert batch(channel, device, START_US + 3 * minute, START_US + 4 * minute) == {"gap": 1}
    assert batch(channel, device, START_US + 4 * minute - S + 1, START_US + 5 * minute) == {}
    assert batch(channel, device, START_US + 7 * minute, START_US + 8 * minute) == {"gap": 120}
    assert batch(channel, device, START_US + 8 * minute - S, START_US + 9 * minute) == {"overlap": 1}
    told = [(each["mark"], each["from_seq"], each["from_us"], each["to_us"]) for each in gaps(channel)]
    assert told == [
        ("gap", 4, START_US + 3 * minute - S, START_US + 3 * minute),
        ("gap", 6, START_US + 5 * minute, START_US + 7 * minute),
        ("overlap", 7, START_US + 8 * minute, START_US + 8 * minute - S),
    ]


def test_a_batch_is_late_by_its_end_and_turns_no_event_s_time_back() -> None:
    channel, device = EventsChannel(), Device()
    channel.log(device, time_us=START_US + 3600 * S, at_us=START_US + 3600 * S)
    assert batch(channel, device, START_US, START_US + 3600 * S) == {}
    assert channel.log(device, time_us=START_US + 3601 * S, at_us=START_US + 3601 * S)["marks"] == {}


def test_gaps_are_listed_by_device_or_all() -> None:
    channel = EventsChannel()
    for name in ("relay-7", "pmu-1"):
        channel.log(Device(name), at_us=START_US + 700 * S)
    assert [each["device"] for each in channel.pages("GetGaps", {"limit": 1})] == ["pmu-1", "relay-7"]
    assert len(gaps(channel, "relay-7")) == 1
    channel.refused("GetGaps", {"device": "pmu-9"}, "device: pmu-9 is not admitted")
    channel.refused("GetGaps", {"bookmark": "pmu-1"}, "bookmark: ")


def suspended(channel: EventsChannel, revoked_us: int, at_us: int) -> None:
    argument = {"device": "pmu-1", "tx": "cd" * 32, "revoked_us": revoked_us}
    channel.call("SuspendDevice", argument, OTHER_AGENT, at_us)


def test_what_was_logged_between_revocation_and_suspension_is_told() -> None:
    channel, device = EventsChannel(), Device()
    for n in range(5):
        channel.log(device, time_us=START_US + n * S, at_us=START_US + n * S)
    assert channel.call("GetGaps", {"device": "pmu-1"})["revoked_late"] == []
    suspended(channel, START_US + 3 * S, START_US + 10 * S)
    told = {"tx": "cd" * 32, "by": "LvivMSP", "revoked_us": START_US + 3 * S, "at_us": START_US + 10 * S}
    first = told | {"from_seq": 4, "to_seq": 5, "more": False}
    assert channel.call("GetGaps", {"device": "pmu-1"})["revoked_late"] == [first]
    marks = [each["marks"] for each in channel.pages("ListEvents", {"device": "pmu-1"})]
    assert marks == [{}, {}, {}, {"revoked-late": 0}, {"revoked-late": 1}]
    assert marks == [each["marks"] for each in channel.pages("ListEvents", {"kind": "alarm", "limit": 2})]
    assert channel.call("GetEvent", {"device": "pmu-1", "seq": 5})["marks"] == {"revoked-late": 1}
    # Admitted again: what it says from now on is not late, what was is.
    channel.call("AdmitDevice", admitting(), AGENT)
    channel.log(device, time_us=START_US + 11 * S, at_us=START_US + 11 * S)
    assert channel.call("GetEvent", {"device": "pmu-1", "seq": 6})["marks"] == {}
    assert channel.call("GetGaps", {"device": "pmu-1"})["revoked_late"] == [first]
    suspended(channel, START_US + 20 * S, START_US + 21 * S)
    none = told | {"revoked_us": START_US + 20 * S, "at_us": START_US + 21 * S}
    assert channel.call("GetGaps", {"device": "pmu-1"})["revoked_late"] == [
        first,
        none | {"from_seq": None, "to_seq": None, "more": False},
    ]


def test_a_call_looks_at_500_events_for_those_after_a_revocation() -> None:
    channel, device = EventsChannel(), Device()
    for _ in range(9):
        channel.log_many(device, 64)
    suspended(channel, START_US, START_US + S)
    (told,) = channel.call("GetGaps", {"device": "pmu-1"})["revoked_late"]
    assert (told["from_seq"], told["to_seq"], told["more"]) == (577 - 500, 576, True)
