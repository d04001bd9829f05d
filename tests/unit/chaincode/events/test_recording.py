"""LogEvent, LogEvents, LogBatch: only the next event, naming the one before, proved by its device, is written."""

from __future__ import annotations

import base64
from itertools import pairwise
from typing import Any

import pytest

from gridledger.contract import ClientIdentity
from gridledger.evidence import events, schnorr
from tests.support.contract_channel import CHANNEL, START_US, S, changed, client
from tests.support.events_channel import AGENT, DEVICES, LIGHTNODE, Device, EventsChannel
from tests.support.registry_channel import proof_key

HASH = "5a" * 32


def test_an_event_is_kept_small_and_told_whole() -> None:
    channel, device = EventsChannel(), Device()
    told = device.argument("alarm", body={"text": "overcurrent"})
    answer = channel.call("LogEvent", told, LIGHTNODE)
    assert answer == {"device": "pmu-1", "seq": 1, "sha256": device.prev, "marks": {}, "tx": answer["tx"]}
    assert channel.event() == (
        "EventLogged",
        {"device": "pmu-1", "seq": 1, "kind": "alarm", "time_us": START_US, "tx": answer["tx"]},
    )
    assert channel.last is not None
    assert set(channel.last.reads) == {"device/pmu-1", "head/pmu-1"}
    assert channel.last.writes == {
        "event/pmu-1/000000000001": {
            "kind": "alarm",
            "time_us": START_US,
            "prev": "0" * 64,
            "body": '{"text": "overcurrent"}',
        },
        f"kind/alarm/{START_US}/pmu-1/000000000001": 1,
        "head/pmu-1": {"seq": 1, "sha256": device.prev, "time_us": START_US},
    }
    body_sha256 = events.text_hash('{"text": "overcurrent"}')
    text = (
        f'{{"channel":"simulate","device":"pmu-1","seq":1,"prev":"{"0" * 64}","kind":"alarm","time_us":{START_US},'
        f'"body_sha256":"{body_sha256}"}}'
    )
    kept = {field: value for field, value in told.items() if field != "proof"}
    assert channel.call("GetEvent", {"device": "pmu-1", "seq": 1}) == kept | {
        "body_sha256": body_sha256,
        "text": text,
        "sha256": device.prev,
        "marks": {},
        "tx": answer["tx"],
        "block": channel.state.height - 1,
        "at_us": START_US + 3,
    }


def test_a_body_may_stay_off_the_chain_or_be_sealed() -> None:
    channel, device = EventsChannel(), Device()
    sealed = base64.b64encode(b"c" * 4500).decode()
    channel.log(device, "reading", body=HASH)
    channel.log(device, "reading", body=HASH, sealed=sealed)
    first, second = channel.pages("ListEvents", {"device": "pmu-1"})
    assert (first["body_hash"], first["body_sha256"], "body" in first, "sealed" in first) == (HASH, HASH, False, False)
    assert (second["body_hash"], second["sealed"]) == (HASH, sealed)


@pytest.mark.parametrize("kind", ["reading", "charge", "payment"])
def test_private_kinds_have_no_body_on_the_chain(kind: str) -> None:
    message = f"body: of the kind {kind} stays off the chain"
    EventsChannel().refused("LogEvent", Device().argument(kind), message, caller=LIGHTNODE)


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"device": "pmu/1"}, "device: must be a name"),
        ({"device": "pmu-9"}, "device: pmu-9 is not admitted"),
        ({"device": "relay-7"}, "proof: does not hold"),
        ({"seq": 0}, "seq: must lie within 1"),
        ({"seq": 1.0}, "seq: must be an integer"),
        ({"seq": 3}, "seq: must be 1, the one after the last of pmu-1, not 3"),
        ({"prev": "1" * 64}, "prev: must be 64 zeros for a device's first event"),
        ({"prev": "0" * 63}, "prev: must be 64 hexadecimal digits"),
        ({"kind": "batch"}, "kind: must be login, logout"),
        ({"kind": ["alarm"]}, "kind: must be login, logout"),
        ({"kind": "login"}, "proof: does not hold"),
        ({"time_us": START_US + 1}, "proof: does not hold"),
        ({"time_us": 10**16 - 1}, "time_us: must lie within 0"),
        ({"time_us": -1}, "time_us: must lie within 0"),
        ({"body": '{"text": "event 3"}'}, "proof: does not hold"),
        ({"body": "[]"}, "body: must be the JSON text of an object"),
        ({"body": '{"a":1,"a":2}'}, "body: is no JSON text"),
        ({"body": '{"a":' * 61 + "1" + "}" * 61}, "body: is no JSON text"),
        ({"body": '{"a":NaN}'}, "body: is no JSON text"),
        ({"body": '{"a":"' + "x" * 4090 + '"}'}, "body: must be the JSON text of an object, at most 4096 bytes"),
        ({"body": '{"a":"' + "é" * 2045 + '"}'}, "body: must be the JSON text of an object, at most 4096 bytes"),
        ({"body": {}}, "body: must be the JSON text of an object"),
        ({"body": None}, "body: must be the JSON text of an object"),
        ({"body": ...}, "body: one of body and body_hash must be there"),
        ({"body_hash": HASH}, "body: one of body and body_hash must be there, and not both"),
        ({"body": ..., "body_hash": "x"}, "body_hash: must be 64"),
        ({"sealed": "AAAA"}, "sealed: stands beside body_hash only"),
        ({"body": ..., "body_hash": HASH, "sealed": ""}, "sealed: must be base64"),
        ({"body": ..., "body_hash": HASH, "sealed": None}, "sealed: must be base64"),
        ({"body": ..., "body_hash": HASH, "sealed": "AAB="}, "sealed: must be base64"),
        ({"body": ..., "body_hash": HASH, "sealed": "A" * 6004}, "sealed: must be base64 of at most 6000 characters"),
        ({"proof": "0" * 194}, "proof: does not hold"),
        ({"proof": "F" * 194}, "proof: must be 194 hex digits"),
        ({"proof": ...}, "proof: is missing"),
        ({"note": ""}, "note: is no field here"),
    ],
)
def test_a_refusal_names_the_field(changes: dict[str, Any], message: str) -> None:
    argument = {name: value for name, value in (Device().argument() | changes).items() if value is not ...}
    channel = EventsChannel()
    channel.refused("LogEvent", argument, message, caller=LIGHTNODE)
    if "device" in changes:
        return
    # In a call of several the second one refuses the whole call.
    device = Device()
    good = device.tell()
    bad = {name: value for name, value in (device.tell() | changes).items() if value is not ...}
    second = channel.refused("LogEvents", {"device": "pmu-1", "events": [good, bad]}, "events[1].", caller=LIGHTNODE)
    assert second.startswith(f"events[1].{message.partition(':')[0]}:")
    assert channel.call("GetDevice", {"device": "pmu-1"})["head"]["seq"] == 0


def test_an_event_is_taken_once() -> None:
    channel, device = EventsChannel(), Device()
    first = device.argument()
    channel.call("LogEvent", first, LIGHTNODE)
    message = "seq: 1 of pmu-1 is on the ledger already; the next is 2"
    channel.refused("LogEvent", first, message, caller=LIGHTNODE)
    channel.refused("LogEvent", first | {"seq": 2}, f"prev: must be {device.prev}", caller=LIGHTNODE)
    channel.refused("LogEvent", first | {"seq": 2, "prev": device.prev}, "proof: does not hold", caller=LIGHTNODE)
    again = {"device": "pmu-1", "events": [{k: v for k, v in first.items() if k != "device"}]}
    channel.refused("LogEvents", again, "events[0].seq: 1 of pmu-1 is on the ledger already", caller=LIGHTNODE)


def test_no_event_is_left_out_or_reordered() -> None:
    channel, device = EventsChannel(), Device()
    first, second, third = (device.tell() for _ in range(3))
    for order in ([second], [first, third], [second, first], [first, first], [first, third, second]):
        channel.refused("LogEvents", {"device": "pmu-1", "events": order}, "events[", ".seq: ", caller=LIGHTNODE)
    renumbered = [first, third | {"seq": 2}]
    channel.refused("LogEvents", {"device": "pmu-1", "events": renumbered}, "events[1].prev: ", caller=LIGHTNODE)
    channel.call("LogEvents", {"device": "pmu-1", "events": [first, second, third]}, LIGHTNODE)


def test_a_proof_serves_for_one_device_and_channel() -> None:
    channel = EventsChannel()
    for other in (Device(channel="section-home"), Device("relay-7")):
        argument = other.argument() | {"device": "pmu-1"}
        channel.refused("LogEvent", argument, "proof: does not hold by the key", caller=LIGHTNODE)
    # relay-7's key and name, for an event of pmu-1: the text names the device, and so does UserID.
    assert channel.log(Device())["seq"] == 1


def test_every_event_s_proof_holds_by_the_text_that_the_ledger_tells() -> None:
    channel, device = EventsChannel(), Device()
    told = [device.tell(body={"n": n}) for n in range(5)]
    channel.call("LogEvents", {"device": "pmu-1", "events": told}, LIGHTNODE)
    batch = device.tell_batch(START_US, START_US + 60 * S)
    channel.call("LogBatch", batch, LIGHTNODE, START_US + 61 * S)
    listed = channel.pages("ListEvents", {"device": "pmu-1"})
    public = bytes.fromhex(proof_key("pmu-1"))
    for each, sent in zip(listed, [*told, batch], strict=True):
        assert schnorr.verify(public, "pmu-1", each["text"], schnorr.Proof.of(sent["proof"]))
    assert all(after["prev"] == before["sha256"] for before, after in pairwise(listed))


@pytest.mark.parametrize(
    ("caller", "message"),
    [
        (client("KyivMSP"), "caller: its certificate must have forensics.role = lightnode"),
        (client("KyivMSP", forensics_role="agent"), "caller: its certificate must have"),
        (client("KyivMSP", forensics_role="device"), "caller: its certificate must have"),
        (client("KyivMSP", forensics_role="device", forensics_device="relay-7"), "caller: its certificate must have"),
        (client("LvivMSP", forensics_role="lightnode"), "device: pmu-1 belongs to KyivMSP"),
        (client("LvivMSP", forensics_role="device", forensics_device="pmu-1"), "device: pmu-1 belongs to KyivMSP"),
    ],
)
def test_only_its_light_node_and_the_device_itself_speak_for_it(caller: ClientIdentity, message: str) -> None:
    channel = EventsChannel()
    event = Device().tell()
    for function, argument in (
        ("LogEvent", {"device": "pmu-1", **event}),
        ("LogEvents", {"device": "pmu-1", "events": [event]}),
        ("LogBatch", Device().tell_batch(START_US, START_US + S)),
    ):
        channel.refused(function, argument, message, caller=caller)


def test_a_device_speaks_for_itself() -> None:
    caller = client("KyivMSP", forensics_role="device", forensics_device="pmu-1")
    EventsChannel().call("LogEvent", Device().argument(), caller)


def test_several_events_are_one_transaction_with_one_event() -> None:
    channel, device = EventsChannel(), Device()
    told = [device.tell(kind, START_US + n * S) for n, kind in enumerate(("login", "command", "login", "logout"))]
    answer = channel.call("LogEvents", {"device": "pmu-1", "events": told}, LIGHTNODE)
    span = {"device": "pmu-1", "from_seq": 1, "to_seq": 4}
    assert answer == span | {"sha256": device.prev, "marks": answer["marks"], "tx": answer["tx"]}
    kinds = ["command", "login", "logout"]
    assert channel.event() == ("EventsLogged", span | {"kinds": kinds, "tx": answer["tx"]})
    assert [each["seq"] for each in channel.pages("ListEvents", {"device": "pmu-1", "limit": 3})] == [1, 2, 3, 4]


@pytest.mark.parametrize("count", [0, 257])
def test_a_call_has_1_to_256_events(count: int) -> None:
    argument = {"device": "pmu-1", "events": [{}] * count}
    EventsChannel().refused("LogEvents", argument, "events: must be an array of 1 to 256", caller=LIGHTNODE)


def call_of(name: str, count: int) -> dict[str, Any]:
    device = Device(name)
    return {"device": name, "events": [device.tell("alarm", START_US + n * S) for n in range(count)]}


def test_several_devices_are_one_transaction_with_one_event() -> None:
    channel = EventsChannel()
    told = [call_of(name, count) for name, count in zip(DEVICES, (1, 3), strict=True)]
    answer = channel.call("LogDevices", {"devices": told}, LIGHTNODE, START_US + 2 * S)
    spans = [{"device": name, "from_seq": 1, "to_seq": count} for name, count in zip(DEVICES, (1, 3), strict=True)]
    assert channel.event() == ("DevicesLogged", {"devices": spans, "kinds": ["alarm"], "tx": answer["tx"]})
    for each, span in zip(answer["devices"], spans, strict=True):
        alone = EventsChannel()
        call = next(call for call in told if call["device"] == span["device"])
        expected = alone.call("LogEvents", call, LIGHTNODE, START_US + 2 * S)
        assert each == {name: value for name, value in expected.items() if name != "tx"}
        device = {"device": span["device"]}
        assert channel.call("GetDevice", device)["head"] == alone.call("GetDevice", device)["head"]


def test_what_is_refused_of_one_device_refuses_all_and_is_named() -> None:
    channel = EventsChannel()
    good, other = (call_of(name, 1) for name in DEVICES)
    bad = {**other, "events": [{**other["events"][0], "time_us": START_US + 1}]}
    for devices, message in (
        ([good, bad], "devices[1].events[0].proof: does not hold"),
        ([good, {**other, "device": "nobody"}], "devices[1].device: "),
        ([good, good], f"devices[1].device: {DEVICES[0]} is there twice"),
        ([good, {"device": DEVICES[1]}], "devices[1].events: is missing"),
        ([good, {**other, "events": []}], "devices[1].events: must be an array of 1 to 256"),
        ([good, {**other, "more": 1}], "devices[1].more: is no field here"),
        ([good, 7], "devices[1]: must be a JSON object"),
        ([], "devices: must be an array of 1 to 256"),
        ([{**good, "events": good["events"] * 129}, {**other, "events": other["events"] * 128}], "devices: must have"),
    ):
        channel.refused("LogDevices", {"devices": devices}, message, caller=LIGHTNODE)
    channel.call("SuspendDevice", {"device": DEVICES[1], "tx": "ab" * 32, "revoked_us": START_US}, AGENT)
    channel.refused("LogDevices", {"devices": [good, other]}, "devices[1].device: ", caller=LIGHTNODE)
    assert channel.call("GetDevice", {"device": DEVICES[0]})["head"]["seq"] == 0


def test_64_large_events_fit_into_a_call() -> None:
    channel, device = EventsChannel(), Device()
    told = [device.tell("alarm", body={"text": "x" * 4080}) for _ in range(64)]
    channel.call("LogEvents", {"device": "pmu-1", "events": told}, LIGHTNODE)
    assert channel.call("GetDevice", {"device": "pmu-1"})["head"] == {"seq": 64, "sha256": device.prev}
    assert len(channel.pages("ListEvents", {"device": "pmu-1", "limit": 500})) == 64


def test_devices_in_one_block_do_not_disturb_each_other() -> None:
    channel = EventsChannel()
    results = [channel.endorse("LogEvent", Device(name).argument(), LIGHTNODE, 1) for name in ("pmu-1", "relay-7")]
    twice = channel.endorse("LogEvent", Device().argument("login"), LIGHTNODE, 2)
    assert [channel.order(result) for result in (*results, twice)] == [True, True, False]


def test_a_batch_stands_in_the_chain() -> None:
    channel, device = EventsChannel(), Device()
    channel.log(device)
    told = device.tell_batch(START_US, START_US + 60 * S)
    answer = channel.call("LogBatch", told, LIGHTNODE, START_US + 61 * S)
    assert (answer["seq"], answer["sha256"], answer["marks"]) == (2, device.prev, {})
    span = {"from_us": START_US, "to_us": START_US + 60 * S, "rows": 3000}
    assert channel.event() == ("BatchLogged", {"device": "pmu-1", "seq": 2, **span, "tx": answer["tx"]})
    event = channel.call("GetEvent", {"device": "pmu-1", "seq": 2})
    batch = {name: told[name] for name in ("from_us", "to_us", "rows", "root", "sha256", "uri", "synopsis")}
    assert (event["kind"], event["time_us"], event["batch"]) == ("batch", START_US, batch)
    assert [*event["batch"]["synopsis"]] == ["frequency", "angle"]
    assert event["body_sha256"] == events.text_hash(events.batch_body(**batch))
    assert channel.log(device)["seq"] == 3


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        ("from_us", -1, "from_us: must lie"),
        ("from_us", START_US + 1, "proof: does not hold"),
        ("to_us", START_US, "to_us: must be later than from_us"),
        ("to_us", START_US + 86_401 * S, "to_us: must be later than from_us"),
        ("to_us", START_US + 61 * S, "proof: does not hold"),
        ("rows", 0, "rows: must lie within 1"),
        ("rows", 3001, "proof: does not hold"),
        ("root", "x", "root: must be 64"),
        ("root", HASH, "proof: does not hold"),
        ("sha256", None, "sha256: must be 64"),
        ("sha256", HASH, "proof: does not hold"),
        ("uri", "", "uri: must be a string"),
        ("uri", "x" * 513, "uri: must be a string"),
        ("uri", "https://elsewhere.example/a", "proof: does not hold"),
        ("synopsis", {}, "synopsis: must be an object of 1 to 64 fields"),
        ("synopsis", {f"f{n}": [0, None, None, None] for n in range(65)}, "synopsis: must be an object of 1 to 64"),
        ("synopsis", {"a b": [0, None, None, None]}, "synopsis: must be a name"),
        ("synopsis.frequency", [1, 2, 3], "synopsis.frequency: must be [n, min, mean, max]"),
        ("synopsis.frequency.0", 3001, "synopsis.frequency[0]: must lie within 0 and 3000"),
        ("synopsis.frequency.0", 0, "synopsis.frequency: must be [0, null, null, null]"),
        ("synopsis.frequency.1", 51, "synopsis.frequency: the least value must not be above the greatest"),
        ("synopsis.frequency.2", None, "synopsis.frequency[2]: must be a number"),
        ("synopsis.frequency.3", True, "synopsis.frequency[3]: must be a number"),
        ("synopsis.frequency.3", 1e19, "synopsis.frequency[3]: must be a number"),
        ("synopsis.frequency.2", 50.0011, "proof: does not hold"),
        ("seq", 2, "seq: must be 1"),
        ("prev", HASH, "prev: must be 64 zeros"),
        ("proof", "", "proof: must be 194"),
        ("kind", "batch", "kind: is no field"),
    ],
)
def test_a_refusal_of_a_batch_names_the_field(path: str, value: Any, message: str) -> None:
    argument = changed(Device().tell_batch(START_US, START_US + 60 * S) | {"kind": 0}, path, value)
    if path != "kind":
        del argument["kind"]
    channel = EventsChannel()
    channel.refused("LogBatch", argument, message, caller=LIGHTNODE)
    if path != "kind":
        del argument["device"]
        among = {"device": "pmu-1", "events": [argument]}
        channel.refused("LogEvents", among, f"events[0].{message}", caller=LIGHTNODE)


def test_batches_stand_among_events_of_one_call() -> None:
    channel, device = EventsChannel(), Device()
    minute = 60 * S
    told = [
        device.tell("login"),
        device.tell_batch(START_US, START_US + minute),
        device.tell_batch(START_US + minute, START_US + 2 * minute),
        device.tell("logout", START_US + 2 * minute),
    ]
    for each in told:
        each.pop("device", None)
    argument = {"device": "pmu-1", "events": told}
    answer = channel.call("LogEvents", argument, LIGHTNODE, START_US + 2 * minute)
    assert (answer["to_seq"], answer["sha256"], answer["marks"]) == (4, device.prev, [])
    assert channel.event()[1]["kinds"] == ["batch", "login", "logout"]
    assert [each["seq"] for each in channel.pages("ListEvents", {"kind": "batch"})] == [2, 3]
    assert channel.stored("head/pmu-1")["batch_us"] == START_US + 2 * minute
    mixed = told[0] | told[1]
    channel.refused("LogEvents", argument | {"events": [mixed]}, "events[0].kind: is no field", caller=LIGHTNODE)


def test_the_order_of_a_synopsis_is_the_sender_s() -> None:
    told = Device().tell_batch(START_US, START_US + 60 * S)
    turned = told | {"synopsis": dict(reversed(told["synopsis"].items()))}
    EventsChannel().refused("LogBatch", turned, "proof: does not hold", caller=LIGHTNODE)
    assert CHANNEL in events.event_text(CHANNEL, "pmu-1", 1, events.NO_EVENT, kind="batch", time_us=1, body_sha256=HASH)
