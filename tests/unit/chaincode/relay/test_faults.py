"""RecordFault and GetFaults: each server states for itself what COMTRADE record it holds."""

from __future__ import annotations

from typing import Any

import pytest

from chaincode.relay import faults
from tests.support.relay_channel import FAULT, OPERATOR, RelayChannel, server


@pytest.fixture
def channel() -> RelayChannel:
    """A channel with the relay registered."""
    return RelayChannel().register()


def test_each_server_states_for_itself(channel: RelayChannel) -> None:
    results = [channel.endorse("RecordFault", FAULT, server(who), channel.now_us, 1) for who in ("5004", "5006")]
    assert [channel.order(result, channel.now_us) for result in results] == [True, True]
    found = channel.call("RecordFault", FAULT, server("5005"), channel.now_us + 1)
    assert found == FAULT | {"server": "5005", "time_us": channel.now_us + 1}
    assert channel.last is not None
    assert channel.last.event == {"name": "FaultRecorded", "payload": found}
    channel.refused("RecordFault", FAULT, "ALREADY_STATED by 5005 at 2026-11-30T02:01:00Z", caller=server("5005"))
    item = {name: value for name, value in FAULT.items() if name != "relay"}
    item |= {"time_us": channel.now_us, "servers": ["5004", "5005", "5006"], "others": []}
    assert channel.call("GetFaults", {"relay": "Rele_1"}) == {"items": [item], "bookmark": None}


def test_who_states_other_things_of_a_file_stands_apart(channel: RelayChannel) -> None:
    channel.call("RecordFault", FAULT | {"samples": 1}, server("5004"))
    for who in ("5005", "5006"):
        channel.call("RecordFault", FAULT, server(who))
    (item,) = channel.call("GetFaults", {"relay": "Rele_1"})["items"]
    assert (item["samples"], item["servers"]) == (4000, ["5005", "5006"])
    assert [(one["samples"], one["servers"]) for one in item["others"]] == [(1, ["5004"])]


def test_faults_are_paged_by_their_hash(channel: RelayChannel) -> None:
    hashes = [f"{number:064x}" for number in range(5)]
    for sha256 in hashes:
        for who in ("5004", "5005"):
            channel.call("RecordFault", FAULT | {"sha256": sha256}, server(who))
    found, bookmark = [], None
    while True:
        page = channel.call("GetFaults", {"relay": "Rele_1", "limit": 2, "bookmark": bookmark})
        assert all(item["servers"] == ["5004", "5005"] for item in page["items"])
        found += [item["sha256"] for item in page["items"]]
        bookmark = page["bookmark"]
        if bookmark is None:
            break
    assert found == hashes


def test_the_largest_page_of_faults_stays_within_a_call_s_accesses() -> None:
    servers = [{"id": f"s{number}", "mspid": f"M{number}"} for number in range(64)]
    channel = RelayChannel().register(servers=servers, quorum=33)
    hashes = [f"{number:064x}" for number in range(92)]
    for sha256 in hashes:
        for one in servers:
            channel.call("RecordFault", FAULT | {"sha256": sha256}, server(one["id"], one["mspid"]))
    page = channel.call("GetFaults", {"relay": "Rele_1", "limit": 500})
    assert ([item["sha256"] for item in page["items"]], page["bookmark"]) == (hashes[:90], hashes[90])
    assert all(len(item["servers"]) == 64 for item in page["items"])
    rest = channel.call("GetFaults", {"relay": "Rele_1", "bookmark": page["bookmark"]})
    assert ([item["sha256"] for item in rest["items"]], rest["bookmark"]) == (hashes[90:], None)


@pytest.mark.parametrize(
    ("member", "value", "why"),
    [
        ("sha256", "AB" * 32, "sha256: must be 64"),
        ("station", "x" * 129, "station: must be a string of 0 to 128"),
        ("device", None, "device: must be a string"),
        ("trigger_time", "30/11/2026,02:24:33", "trigger_time: must be a time"),
        ("trigger_time", "2026-02-30T02:24:33", "trigger_time: must be a time"),
        ("trigger_time", "2026-11-30T02:24:33Z", "trigger_time: must be a time"),
        ("trigger_time", "2026-11-30T24:00:00", "trigger_time: must be a time"),
        ("samples", -1, "samples: must lie"),
        ("channels", 1.0, "channels: must be an integer"),
        ("bytes", 0, "bytes: must lie"),
        ("revision_year", 2001, "revision_year: must be 1991 or 1999 or 2013"),
    ],
)
def test_a_refusal_names_the_field(channel: RelayChannel, member: str, value: Any, why: str) -> None:
    channel.refused("RecordFault", FAULT | {member: value}, why, caller=server("5004"))


def test_only_servers_state(channel: RelayChannel) -> None:
    for caller in (OPERATOR, server("5008"), server("5004", "Server5005MSP")):
        channel.refused("RecordFault", FAULT, caller=caller)


def test_stations_without_a_name_are_taken(channel: RelayChannel) -> None:
    channel.call(
        "RecordFault", FAULT | {"station": "", "device": "", "trigger_time": "2026-11-30T02:24:33"}, server("5004")
    )


def test_no_python_version_has_an_hour_24() -> None:
    """From 3.14 on its fromisoformat has one, so the pattern must not."""
    assert faults._TRIGGER.fullmatch("2026-11-30T23:59:59")
    assert not faults._TRIGGER.fullmatch("2026-11-30T24:00:00")
