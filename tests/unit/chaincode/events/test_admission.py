"""AdmitDevice, SuspendDevice, RekeyDevice: who may speak on a section, by which key, and from when on no more."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.contract import ClientIdentity
from tests.support.contract_channel import START_US, S, client
from tests.support.events_channel import (
    AGENT,
    LIGHTNODE,
    OTHER_AGENT,
    TX,
    Device,
    EventsChannel,
    admitting,
    rekeying,
)
from tests.support.registry_channel import proof_key

SUSPENDING = {"device": "pmu-1", "tx": "cd" * 32, "revoked_us": START_US - 5 * S}


def test_a_device_is_admitted_by_its_own_organisation() -> None:
    channel = EventsChannel(admitted=())
    record = channel.call("AdmitDevice", admitting(), AGENT)
    assert record == admitting() | {"status": "active", "time_us": channel.now_us, "suspensions": []}
    assert channel.event() == ("DeviceAdmitted", record)
    assert channel.last is not None
    assert channel.last.writes == {f"key/{proof_key('pmu-1')[2:66]}": "pmu-1", "device/pmu-1": record}
    assert channel.call("GetDevice", {"device": "pmu-1"}) == record | {"head": {"seq": 0, "sha256": "0" * 64}}


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "a/b"}, "device: must be a name"),
        ({"mspid": "Kyiv MSP"}, "mspid: must be the id"),
        ({"mspid": "LvivMSP"}, "device: pmu-9 belongs to LvivMSP; the caller's certificate is of KyivMSP"),
        ({"proof_key": "04" + "00" * 64}, "proof_key: is no point"),
        ({"proof_key": None}, "proof_key: must be 130"),
        ({"proof_key": proof_key("pmu-1")}, "proof_key: is or was a key of pmu-1"),
        ({"tx": "ab"}, "tx: must be 64"),
        ({"section": "x"}, "section: is no field"),
        ({"device": "pmu-1"}, "device: pmu-1 is admitted already"),
    ],
)
def test_a_refusal_of_an_admission_names_the_field(changes: dict[str, Any], message: str) -> None:
    EventsChannel().refused("AdmitDevice", admitting("pmu-9") | changes, message, caller=AGENT)


@pytest.mark.parametrize(
    "caller",
    [
        client("KyivMSP"),
        LIGHTNODE,
        client("KyivMSP", forensics_role="device", forensics_device="pmu-1"),
        client("KyivMSP", anchor_role="registrar"),
    ],
)
def test_only_registrars_and_agents_keep_devices(caller: ClientIdentity) -> None:
    channel = EventsChannel()
    for function, argument in (
        ("AdmitDevice", admitting("pmu-9")),
        ("SuspendDevice", SUSPENDING),
        ("RekeyDevice", rekeying()),
    ):
        channel.refused(function, argument, "caller: its certificate must have forensics.role", caller=caller)


def test_registrars_and_agents_of_either_kind_keep_devices() -> None:
    for roles in ({"forensics_role": "registrar"}, {"forensics_role": "agent"}, {"anchor_role": "agent"}):
        EventsChannel(admitted=()).call("AdmitDevice", admitting(), client("KyivMSP", **roles))


def test_any_member_suspends_and_the_device_is_refused_from_there_on() -> None:
    channel, device = EventsChannel(), Device()
    channel.log(device)
    record = channel.call("SuspendDevice", SUSPENDING, OTHER_AGENT)
    suspension = {"tx": "cd" * 32, "revoked_us": START_US - 5 * S, "at_us": channel.now_us, "by": "LvivMSP"}
    assert (record["status"], record["suspensions"]) == ("suspended", [suspension | {"last_seq": None}])
    assert channel.event() == ("DeviceSuspended", record)
    message = "device: pmu-1 is suspended by LvivMSP"
    told = device.tell()
    channel.refused("LogEvent", {"device": "pmu-1", **told}, message, caller=LIGHTNODE)
    channel.refused("LogEvents", {"device": "pmu-1", "events": [told]}, message, caller=LIGHTNODE)
    channel.refused("LogBatch", device.tell_batch(START_US, START_US + S), message, caller=LIGHTNODE)
    channel.refused("RekeyDevice", rekeying(), message, caller=AGENT)
    channel.refused("SuspendDevice", SUSPENDING, message, caller=AGENT)
    channel.refused("SuspendDevice", SUSPENDING | {"device": "x"}, "device: x is not admitted", caller=AGENT)
    for field, value in (("tx", "x"), ("revoked_us", -1), ("revoked_us", None)):
        channel.refused("SuspendDevice", SUSPENDING | {field: value}, f"{field}: must", caller=AGENT)


def test_a_stream_of_events_does_not_hold_up_a_suspension_which_stops_what_is_on_its_way() -> None:
    channel, device = EventsChannel(), Device()
    first = channel.endorse("LogEvent", device.argument(), LIGHTNODE, 1)
    suspend = channel.endorse("SuspendDevice", SUSPENDING, OTHER_AGENT, 2)
    late = channel.endorse("LogEvent", Device().argument("login"), LIGHTNODE, 3)
    assert [channel.order(result) for result in (first, suspend, late)] == [True, True, False]


def test_only_its_own_organisation_admits_a_suspended_device_again_with_its_key() -> None:
    channel, device = EventsChannel(), Device()
    channel.log(device)
    channel.log(device)
    channel.call("SuspendDevice", SUSPENDING, OTHER_AGENT)
    other = client("LvivMSP", forensics_role="agent")
    channel.refused("AdmitDevice", admitting(mspid="LvivMSP"), "mspid: pmu-1 belongs to KyivMSP", caller=other)
    message = "proof_key: is not the key that pmu-1 had"
    channel.refused("AdmitDevice", admitting(proof_key=proof_key("pmu-1", 2)), message, caller=AGENT)
    record = channel.call("AdmitDevice", admitting(tx="ef" * 32), AGENT)
    assert (record["status"], record["tx"], record["suspensions"][0]["last_seq"]) == ("active", "ef" * 32, 2)
    channel.log(device)
    assert channel.call("GetDevice", {"device": "pmu-1"})["head"]["seq"] == 3


def test_a_device_is_suspended_a_hundred_times_at_most() -> None:
    channel = EventsChannel()
    for _ in range(99):
        channel.call("SuspendDevice", SUSPENDING, AGENT)
        channel.call("AdmitDevice", admitting(), AGENT)
    channel.call("SuspendDevice", SUSPENDING, AGENT)
    channel.refused("AdmitDevice", admitting(), "device: pmu-1 was suspended 100 times", caller=AGENT)


def test_another_key_holds_from_the_block_on() -> None:
    channel, device = EventsChannel(), Device()
    channel.log(device)
    record = channel.call("RekeyDevice", rekeying(tx="ef" * 32), AGENT)
    assert (record["proof_key"], record["tx"]) == (proof_key("pmu-1", 2), "ef" * 32)
    assert channel.event() == ("DeviceRekeyed", record)
    before = Device()
    before.seq, before.prev = device.seq, device.prev
    channel.refused("LogEvent", before.argument(), "proof: does not hold", caller=LIGHTNODE)
    device.key = 2
    assert channel.log(device)["seq"] == 2


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"proof_old": rekeying()["proof_new"]}, "proof_old: does not hold"),
        ({"proof_new": rekeying()["proof_old"]}, "proof_new: does not hold"),
        ({"proof_old": "", "proof_new": ""}, "proof_old: must be 194"),
        ({"proof_key": proof_key("pmu-1", 3)}, "proof_old: does not hold"),
        ({"proof_key": proof_key("pmu-1")}, "proof_key: is or was a key of pmu-1"),
        ({"proof_key": proof_key("relay-7")}, "proof_key: is or was a key of relay-7"),
        ({"channel": "section-home"}, "proof_old: does not hold"),
        ({"channel": "/"}, "channel: must be a name"),
        ({"certificate_sha256": "00" * 32}, "proof_old: does not hold"),
        ({"device": "relay-7"}, "proof_old: does not hold"),
        ({"device": "pmu-9"}, "device: pmu-9 is not admitted"),
        ({"tx": 1}, "tx: must be 64"),
    ],
)
def test_a_refusal_of_another_key_names_the_field(changes: dict[str, Any], message: str) -> None:
    EventsChannel().refused("RekeyDevice", rekeying(**changes), message, caller=AGENT)


def test_another_key_is_brought_by_the_device_s_own_organisation_and_never_comes_back() -> None:
    channel = EventsChannel()
    channel.refused("RekeyDevice", rekeying(), "device: pmu-1 belongs to KyivMSP", caller=OTHER_AGENT)
    channel.call("RekeyDevice", rekeying(), AGENT)
    channel.refused("RekeyDevice", rekeying(old=2, new=1), "proof_key: is or was a key of pmu-1", caller=AGENT)
    channel.call("RekeyDevice", rekeying(old=2, new=3), AGENT)


def test_devices_are_listed_with_their_heads() -> None:
    channel, device = EventsChannel(), Device()
    channel.log(device)
    listed = channel.pages("ListDevices", {"limit": 1})
    assert [(each["device"], each["head"]["seq"]) for each in listed] == [("pmu-1", 1), ("relay-7", 0)]
    assert listed[0]["tx"] == TX
    channel.refused("GetDevice", {"device": "pmu-9"}, "device: pmu-9 is not admitted on simulate")
    channel.refused("ListDevices", {"bookmark": "/"}, "bookmark: ")
