"""Laws of a device's chain: whatever is sent, in whatever order, the ledger has what the device told, unbroken."""

from __future__ import annotations

from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from gridledger.contract.determinism import check_package
from gridledger.evidence import events
from tests.support.contract_channel import START_US, S
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
from tests.support.mutated_calls import check_mutations
from tests.support.processes import REPOSITORY

#: What a sender does with the events that a device has told: sends them from one number on, so many, perhaps one twice,
#: one left out, two turned round, one of another device.
SENDINGS = st.lists(
    st.tuples(
        st.integers(1, 12),
        st.integers(1, 4),
        st.sampled_from(["as told", "as told", "twice", "left out", "turned", "other"]),
        st.booleans(),
    ),
    max_size=12,
)


@settings(max_examples=40, deadline=None)
@given(SENDINGS)
def test_a_chain_is_a_prefix_of_what_its_device_told(sendings: list[tuple[int, int, str, bool]]) -> None:
    channel, device, other = EventsChannel(), Device(), Device("relay-7")
    told = [device.tell(body={"n": n}) for n in range(16)]
    others = [other.tell(body={"n": n}) for n in range(16)]
    length = 0
    for first, count, how, at_once in sendings:
        sent = told[first - 1 : first - 1 + count]
        if how == "twice":
            sent = [sent[0], *sent]
        elif how == "left out":
            sent = sent[:1] + sent[2:]
        elif how == "turned":
            sent = sent[::-1]
        elif how == "other":
            sent = [*sent[:-1], others[first + count - 2]]
        calls = [sent] if at_once else [[each] for each in sent]
        for call in calls:
            right = how != "other" or call[-1] in told
            expected = right and [each["seq"] for each in call] == list(range(length + 1, length + 1 + len(call)))
            answer = channel.ask("LogEvents", {"device": "pmu-1", "events": call}, LIGHTNODE)
            assert answer.successful == expected, answer.message
            length += len(call) * expected
    listed = channel.pages("ListEvents", {"device": "pmu-1"})
    assert [each["body"] for each in listed] == [each["body"] for each in told[:length]]
    assert [each["prev"] for each in listed[:1]] in ([], [events.NO_EVENT])
    assert all(after["prev"] == before["sha256"] for before, after in pairwise(listed))
    assert channel.call("GetDevice", {"device": "pmu-1"})["head"]["seq"] == length


def test_a_thousand_mutations() -> None:
    channel, device = EventsChannel(), Device()
    channel.log_many(device, 3)
    suspended = Device("relay-7")
    place = device.seq, device.prev
    single = device.argument("login")
    device.seq, device.prev = place
    several = {"device": "pmu-1", "events": [device.tell("alarm", START_US + n * S) for n in range(3)]}
    device.seq, device.prev = place
    mixed = [device.tell_batch(START_US, START_US + 60 * S), device.tell("alarm", START_US + 61 * S)]
    del mixed[0]["device"]
    device.seq, device.prev = place
    sealed = device.argument("reading", body="5a" * 32, sealed="AAAA")
    device.seq, device.prev = place
    batch = device.tell_batch(START_US, START_US + 60 * S)
    channel.call("SuspendDevice", {"device": suspended.name, "tx": TX, "revoked_us": START_US}, AGENT)
    calls = [
        ("AdmitDevice", admitting("pmu-9"), AGENT),
        ("AdmitDevice", admitting("relay-7"), AGENT),
        ("SuspendDevice", {"device": "pmu-1", "tx": TX, "revoked_us": START_US}, OTHER_AGENT),
        ("RekeyDevice", rekeying(), AGENT),
        *[("LogEvent", argument, LIGHTNODE) for argument in (single, sealed)],
        *[("LogEvents", several, LIGHTNODE)] * 3,
        *[("LogEvents", {"device": "pmu-1", "events": mixed}, LIGHTNODE)] * 2,
        *[("LogBatch", batch, LIGHTNODE)] * 3,
        ("GetEvent", {"device": "pmu-1", "seq": 2}, LIGHTNODE),
        ("ListEvents", {"device": "pmu-1", "from_seq": 1, "to_seq": 3, "from_us": 5, "limit": 2}, LIGHTNODE),
        ("ListEvents", {"kind": "alarm", "from_us": 5, "to_us": 10**16 - 1, "limit": 2}, LIGHTNODE),
        ("GetDevice", {"device": "pmu-1"}, LIGHTNODE),
        ("ListDevices", {"limit": 2, "bookmark": "pmu-1"}, LIGHTNODE),
        ("GetGaps", {"device": "pmu-1", "limit": 2}, LIGHTNODE),
    ]
    for call in calls:
        assert channel.endorse(*call).response.status == 200, call
    found = check_mutations(channel, calls, 1000, seed=20_261_130)
    assert found.total() == 1000
    wanted = {"device", "proof", "events[0].proof", "events[2].seq", "root", "synopsis.frequency", "seq", "body"}
    assert wanted <= set(found), sorted(found)
    assert 20 < found["taken"] < 400


def test_a_damaged_event_is_never_taken() -> None:
    """What a device proves covers each member: but for its proof, no text of an event can be changed."""
    channel, device = EventsChannel(), Device()
    calls = [("LogEvent", device.argument("login"), LIGHTNODE)]
    found = check_mutations(channel, calls, 300, seed=1)
    assert found["taken"] == 0, found


def test_nothing_in_it_may_differ_from_peer_to_peer() -> None:
    assert list(check_package(REPOSITORY / "chaincode" / "events")) == []
