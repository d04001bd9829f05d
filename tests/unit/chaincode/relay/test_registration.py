"""RegisterRelay and UpdateRelay: what a record may say, whose it is, and that a revision stays as it was."""

from __future__ import annotations

from typing import Any

import pytest

from tests.support.relay_channel import MINUTE, OPERATOR, RECORD, SERVERS, RelayChannel, changed, client, server, told


def test_a_record_is_kept_as_it_was_given_with_defaults() -> None:
    channel = RelayChannel()
    kept = channel.call("RegisterRelay", RECORD, OPERATOR)
    stored = {"operator_msp": "OperatorMSP", "revision": 1, "time_us": channel.now_us}
    assert kept == RECORD | {"nominal_hz": 60, "max_age_s": 7_776_000} | stored
    assert channel.last is not None
    assert channel.last.event == {"name": "RelayRegistered", "payload": kept}
    assert channel.stored("relay/Rele_1") == channel.stored("revision/Rele_1/00000001") == kept
    assert channel.call("GetRelay", {"relay": "Rele_1"}) == kept | {"silence": None}


def test_what_may_be_left_out_is_filled_in() -> None:
    channel = RelayChannel()
    kept = channel.call("RegisterRelay", changed(RECORD, "limits", ...), OPERATOR)
    assert (kept["limits"], kept["nominal_hz"], kept["max_age_s"]) == ({}, 60, 7_776_000)


@pytest.mark.parametrize(
    ("path", "value", "field"),
    [
        ("relay", "", "relay: must be an id"),
        ("relay", "Rele/1", "relay: must be an id"),
        ("relay", "R" * 33, "relay: must be an id"),
        ("relay", "Relé", "relay: must be an id"),
        ("name", " Relay 1", "name: begins or ends"),
        ("name", "Relay\n1", "name: has a character"),
        ("name", "R" * 129, "name: must be a string"),
        ("substation", "U;D", "substation: has a semicolon"),
        ("substation", 7, "substation: must be a string"),
        ("protocol", "dnp3", "protocol: must be text or modbus or iec61850"),
        ("address", "x" * 257, "address: must be a string"),
        ("address", ..., "address: is missing"),
        ("address", "http://user:secret@10.0.0.7", "address: has an @"),
        ("colour", "red", "colour: is no field here"),
        ("utc_offsets", [], "utc_offsets: must be an array"),
        ("utc_offsets.0.from_minute", 1, "utc_offsets[0].from_minute: the first"),
        ("utc_offsets.0.offset_min", 841, "utc_offsets[0].offset_min: must lie"),
        ("utc_offsets.0.offset_min", 1.0, "utc_offsets[0].offset_min: must be an integer"),
        ("utc_offsets", [{"from_minute": 0, "offset_min": 0}] * 2, "utc_offsets[1].from_minute: must be later"),
        ("period_s", 90, "period_s: must be a whole number of minutes"),
        ("period_s", 420, "period_s: must be a whole number of minutes"),
        ("period_s", 30, "period_s: must lie"),
        ("period_s", True, "period_s: must be an integer"),
        ("reading_s", 61, "reading_s: must lie"),
        ("servers", [], "servers: must be an array"),
        ("servers", [{"id": f"s{i}", "mspid": f"M{i}"} for i in range(65)], "servers: must be an array of 1 to 64"),
        ("servers.1.id", "5004", "servers[1].id: 5004 is named twice"),
        ("servers.3.mspid", "Server5004MSP", "servers[3].mspid: Server5004MSP has server 5004 already"),
        ("servers.0.role", "x", "servers[0].role: is no field"),
        ("quorum", 2, "quorum: must lie within 3 and 4"),
        ("quorum", 5, "quorum: must lie within 3 and 4"),
        ("limits.Vab", [118.0, 109.0], "limits.Vab: the lowest"),
        ("limits.Vab", [118.0], "limits.Vab: must be"),
        ("limits.Vab", [1, "2"], "limits.Vab[1]: must be a number"),
        ("limits.Vxx", [1, 2], "limits.Vxx: is no field"),
        ("limits.P", [-1e10, 2], "limits.P[0]: must be a number"),
        ("nominal_hz", 16, "nominal_hz: must be 50 or 60"),
        ("max_age_s", 59, "max_age_s: must lie"),
    ],
)
def test_a_refusal_of_a_record_names_the_field(path: str, value: Any, field: str) -> None:
    channel = RelayChannel()
    message = channel.refused("RegisterRelay", changed(RECORD, path, value), caller=OPERATOR)
    assert message.startswith(field)
    channel.register()
    assert channel.refused("UpdateRelay", changed(RECORD, path, value), caller=OPERATOR) == message


def test_a_clock_change_must_fit_the_period() -> None:
    record = RECORD | {"period_s": 3600, "utc_offsets": [{"from_minute": 0, "offset_min": 330}]}
    assert "multiple of the period" in RelayChannel().refused("RegisterRelay", record, caller=OPERATOR)


def test_only_an_operator_registers() -> None:
    for caller in (client("OperatorMSP"), server("5004"), client("OperatorMSP", relay_role="server")):
        RelayChannel().refused("RegisterRelay", RECORD, "relay.role", caller=caller)


def test_a_relay_belongs_to_the_operator_that_registered_it() -> None:
    channel = RelayChannel().register()
    channel.refused("RegisterRelay", RECORD, "registered by OperatorMSP", caller=client("Other", relay_role="operator"))
    other = client("Server5005MSP", relay_role="operator")
    channel.refused("UpdateRelay", RECORD | {"quorum": 4}, "belongs to the operator of OperatorMSP", caller=other)
    channel.refused("UpdateRelay", RECORD | {"relay": "Rele_2"}, "Rele_2 is not registered", caller=OPERATOR)
    channel.refused("UpdateRelay", RECORD, "nothing differs from revision 1", caller=OPERATOR)


def test_a_revision_stays_as_it_was() -> None:
    channel = RelayChannel().register()
    first = channel.stored("revision/Rele_1/00000001")
    kept = channel.call("UpdateRelay", RECORD | {"quorum": 4}, OPERATOR)
    assert (kept["revision"], kept["quorum"]) == (2, 4)
    assert channel.last is not None
    assert channel.last.event == {"name": "RelayUpdated", "payload": kept}
    assert channel.stored("revision/Rele_1/00000001") == first
    assert channel.stored("relay/Rele_1") == channel.stored("revision/Rele_1/00000002") == kept


def test_an_update_does_not_change_what_was_recorded() -> None:
    channel = RelayChannel().register()
    true, false = told(MINUTE), told(MINUTE, seed=9)
    channel.record("5004", true)
    puppets = [{"id": f"x{i}", "mspid": f"Puppet{i}MSP"} for i in range(3)]
    channel.call("UpdateRelay", RECORD | {"servers": puppets, "quorum": 2, "limits": {}}, OPERATOR)
    for i in range(3):
        argument = {"relay": "Rele_1", "minute": MINUTE, "sha256": "0" * 64, "text": false}
        channel.refused(
            "AttestCapture", argument, f"no server of Puppet{i}MSP", caller=server(f"x{i}", f"Puppet{i}MSP")
        )
        channel.refused(
            "Conclude", {"relay": "Rele_1", "minute": MINUTE}, "no server of", caller=server(f"x{i}", f"Puppet{i}MSP")
        )
    for who in SERVERS[1:]:
        channel.attest(who, true)
    assert channel.conclude()["status"] == "confirmed"
    assert channel.get()["revision"] == 1


def test_what_is_recorded_after_an_update_is_judged_by_it() -> None:
    channel = RelayChannel().register()
    channel.call("UpdateRelay", RECORD | {"quorum": 4}, OPERATOR)
    channel.record("5004", told(MINUTE))
    for who in SERVERS[1:3]:
        channel.attest(who, told(MINUTE))
    assert channel.get()["revision"] == 2
    conclude = {"relay": "Rele_1", "minute": MINUTE}
    channel.refused(
        "Conclude", conclude, "3 of 4 servers have spoken, no text has the quorum of 4", caller=server("5004")
    )
    channel.attest("5007", told(MINUTE))
    assert channel.conclude()["status"] == "confirmed"
