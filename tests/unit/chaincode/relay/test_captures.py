"""RecordCapture: what is recorded, once, by whom, and in what time."""

from __future__ import annotations

import re
from typing import Any

import pytest

from gridledger.field.capture import text_hash
from tests.support.relay_channel import (
    HOUR,
    MINUTE,
    OPERATOR,
    RECORD,
    RelayChannel,
    S,
    after,
    client,
    local,
    recording,
    server,
    told,
)

TEXT = told(MINUTE)


@pytest.fixture
def channel() -> RelayChannel:
    """A channel with the relay registered."""
    return RelayChannel().register()


def test_a_capture_is_recorded_as_the_relay_told_it(channel: RelayChannel) -> None:
    result = channel.record("5005", TEXT)
    assert result == {
        "relay": "Rele_1",
        "minute": MINUTE,
        "server": "5005",
        "sha256": text_hash(TEXT),
        "readings": 6,
        "faults": 0.0,
        "breaches": result["breaches"],
    }
    assert channel.last is not None
    assert channel.last.event == {"name": "CaptureRecorded", "payload": result}
    assert sorted(channel.last.reads) == [f"capture/Rele_1/{MINUTE:010d}", f"hour/Rele_1/{HOUR:08d}", "relay/Rele_1"]
    assert list(channel.last.writes) == [f"capture/Rele_1/{MINUTE:010d}"]
    stored = channel.stored(f"capture/Rele_1/{MINUTE:010d}")
    assert (stored["text"], stored["revision"], stored["time_us"]) == (TEXT, 1, channel.now_us)
    assert stored["source"] == {"protocol": "text", "sha256": text_hash(TEXT)}
    assert len(stored["tx_id"]) == 64


def test_the_second_is_refused_and_told_who_was_first(channel: RelayChannel) -> None:
    channel.record("5005", TEXT)
    for who, given in (("5006", TEXT), ("5005", TEXT), ("5006", told(MINUTE, seed=3))):
        message = channel.refused("RecordCapture", recording(given), caller=server(who), time_us=channel.now_us + S)
        assert message == f"ALREADY_RECORDED by 5005 at 2026-11-30T02:01:00Z, sha256 {text_hash(TEXT)}"


def test_a_replay_is_told_so_however_late_it_is(channel: RelayChannel) -> None:
    channel.record("5005", TEXT)
    late = channel.now_us + 10**4 * 86_400 * S
    channel.refused("RecordCapture", recording(TEXT), "ALREADY_RECORDED by 5005", caller=server("5005"), time_us=late)


def test_a_breach_names_reading_field_value_and_limit(channel: RelayChannel) -> None:
    low = TEXT.replace(";Vab;109.0;", ";Vab;108.999;", 1)
    lines = low.splitlines()
    for number, frequency in ((8, "60.501"), (9, "60.5"), (10, "59.5")):
        lines[number] = re.sub(";F;[0-9.]+", f";F;{frequency}", lines[number])
    breaches = channel.record("5004", "\n".join(lines))["breaches"]
    assert {"reading": 0, "field": "Vab", "value": 108.999, "limit": 109.0} in breaches
    assert {"reading": 2, "field": "F", "value": 60.501, "limit": 60.5} in breaches
    assert not [one for one in breaches if one["reading"] in (3, 4) and one["field"] == "F"], "a limit is within"
    assert all(list(one) == ["reading", "field", "value", "limit"] for one in breaches)


def test_a_foreign_identity_is_refused(channel: RelayChannel) -> None:
    argument = recording(TEXT)
    for caller, why in [
        (client("Server5004MSP"), "relay.role"),
        (OPERATOR, "relay.role"),
        (client("Server5004MSP", relay_role="server"), "relay.server = '5004'; it has no such attribute"),
        (server("5005", "Server5004MSP"), "relay.server = '5004'; it has '5005'"),
        (server("5004", "Server5005MSP"), "relay.server = '5005'; it has '5004'"),
        (server("5004", "CustomersMSP"), "no server of CustomersMSP"),
        (
            server("5008"),
            "no server of Server5008MSP; its record (revision 1) names those of Server5004MSP, Server5005",
        ),
    ]:
        channel.refused("RecordCapture", argument, why, caller=caller)


@pytest.mark.parametrize(
    ("member", "value", "why"),
    [
        ("relay", "Rele_2", "relay: Rele_2 is not registered"),
        ("text", None, "text: must be a string"),
        ("text", TEXT.replace("Relay 1", "Relay 2"), "relay, line 2: must be that of the record"),
        ("text", TEXT.replace("U.D.", "U.D"), "substation, line 3: must be that of the record"),
        ("text", TEXT.replace("FP;0.", "FP;2."), "FP, line 7: must lie within -1 and 1"),
        ("text", TEXT + "\n" * 65_536, "bytes, line 1: there are more than 65536"),
        ("source", None, "source: must be a JSON object"),
        ("source", {"protocol": "text"}, "source.sha256: is missing"),
        ("source", {"protocol": "fax", "sha256": "0" * 64}, "source.protocol: must be text"),
        ("source", {"protocol": "text", "sha256": "0" * 64}, "source.sha256: must be that of the text"),
        ("source", {"protocol": "modbus", "sha256": "0" * 63}, "source.sha256: must be 64 hexadecimal"),
        ("minute", MINUTE + 1, "minute: 29933401 (2026-11-30T02:01Z) does not fit the header, 2026-11-29T21:00"),
        ("minute", -1, "minute: must lie"),
        ("minute", 10**10, "minute: must lie"),
        ("extra", 1, "extra: is no field"),
    ],
)
def test_a_refusal_names_the_field(channel: RelayChannel, member: str, value: Any, why: str) -> None:
    channel.refused("RecordCapture", recording(TEXT) | {member: value}, why, caller=server("5004"))


def test_another_protocol_s_hash_is_kept_as_it_is(channel: RelayChannel) -> None:
    source = {"protocol": "modbus", "sha256": "ab" * 32}
    channel.call("RecordCapture", recording(TEXT) | {"source": source, "minute": MINUTE}, server("5004"))
    assert channel.get()["source"] == source


def test_a_period_that_is_not_over_is_refused(channel: RelayChannel) -> None:
    over_s = (MINUTE + 1) * 60
    argument = recording(TEXT)
    early = (over_s - 121) * S
    assert "ends 121 s after the proposal's time; 120 s are allowed" in channel.refused(
        "RecordCapture", argument, "time, line 1", caller=server("5004"), time_us=early
    )
    channel.call("RecordCapture", argument, server("5004"), early + S)


def test_a_minute_that_is_too_old_is_refused() -> None:
    channel = RelayChannel().register(max_age_s=3600)
    argument, old = recording(TEXT), (MINUTE * 60 + 3601) * S
    channel.refused("RecordCapture", argument, "time, line 1", "3601 s before", caller=server("5004"), time_us=old)
    channel.call("RecordCapture", argument, server("5004"), old - S)


def test_a_longer_period_begins_at_its_multiples() -> None:
    channel = RelayChannel().register(period_s=300)
    channel.now_us = after(MINUTE, period_s=300)
    late = TEXT.replace("21 00 53;", "21 05 10;")
    channel.record("5004", late)
    channel.now_us = after(MINUTE + 5, period_s=300)
    off = recording(told(MINUTE + 4))
    channel.refused("RecordCapture", off, "a period of 300 s does not begin at 2026-11-29T21:04", caller=server("5004"))
    assert local(MINUTE).hour == 21


def test_breaches_are_bounded_and_so_is_what_is_answered() -> None:
    channel = RelayChannel().register(period_s=3600, limits={name: [-2e8, -1e8] for name in ("Vab", "Vbc", "Vca")})
    channel.now_us = after(MINUTE, period_s=3600)
    long = told(MINUTE, readings=360)
    assert len(channel.record("5004", long)["breaches"]) == 1000
    assert RECORD["period_s"] == 60


def test_a_capture_that_waited_is_recorded_under_its_revision(channel: RelayChannel) -> None:
    """The record changes while a capture waits in a spool: name, servers, limits are those of before."""
    changes = {"name": "Relay 9", "servers": RECORD["servers"][1:], "quorum": 2, "period_s": 120, "limits": {}}
    channel.call("UpdateRelay", RECORD | changes, OPERATOR)
    argument = recording(TEXT)
    channel.refused("RecordCapture", argument, "no server of", caller=server("5004"))
    channel.refused("RecordCapture", argument, "relay, line 2", caller=server("5005"))
    channel.call("RecordCapture", argument | {"revision": 1}, server("5004"))
    assert channel.get()["revision"] == 1
    channel.attest("5005", TEXT)
    channel.attest("5006", TEXT)
    assert channel.conclude("5007")["status"] == "confirmed"


def test_an_earlier_revision_records_only_what_ended_under_it(channel: RelayChannel) -> None:
    replaced_s = (MINUTE + 1) * 60 - 120
    channel.call("UpdateRelay", RECORD | {"name": "Relay 9"}, OPERATOR, replaced_s * S)
    late = recording(told(MINUTE + 1)) | {"revision": 1}
    channel.now_us = after(MINUTE + 1)
    why = "revision: 1 was replaced at 2026-11-30T01:59:00Z", "ended 180 s later; 120 s are allowed"
    channel.refused("RecordCapture", late, *why, caller=server("5004"))
    channel.call("RecordCapture", recording(TEXT) | {"revision": 1}, server("5004"))


@pytest.mark.parametrize("revision", [0, 2, "1", True])
def test_a_revision_that_is_not_there_is_refused(channel: RelayChannel, revision: Any) -> None:
    channel.refused("RecordCapture", recording(TEXT) | {"revision": revision}, "revision: must", caller=server("5004"))
    channel.refused("GetRelay", {"relay": "Rele_1", "revision": revision}, "revision: must")


def test_a_revision_of_a_record_is_told(channel: RelayChannel) -> None:
    channel.call("UpdateRelay", RECORD | {"name": "Relay 9"}, OPERATOR)
    names = [channel.call("GetRelay", {"relay": "Rele_1", "revision": revision})["name"] for revision in (1, 2)]
    assert names == ["Relay 1", "Relay 9"]


def test_a_server_records_under_no_revision_without_it() -> None:
    channel = RelayChannel().register(servers=RECORD["servers"][:3], quorum=2)
    channel.call("UpdateRelay", RECORD, OPERATOR)
    argument = recording(TEXT) | {"revision": 1}
    channel.refused("RecordCapture", argument, "no server of Server5007MSP", caller=server("5007"))
