"""Lengths: captures to fill with, the ratio of medians, and the sets of processes of a channel."""

from __future__ import annotations

import json
import random
import statistics
from pathlib import Path

import pytest

from benchmarks.relay.bootstrap import ratio_of_medians
from benchmarks.relay.lengths import _Measured, _ratios, _row
from benchmarks.relay.outcome import Update
from benchmarks.relay.own_processes import ChannelSet
from benchmarks.relay.prefill import fill, text_of
from benchmarks.relay.substations import substation
from gridledger.client.profile import CAEntry, ConnectionProfile, NodeEntry
from gridledger.field.capture import parse_capture
from services.relay.ledger import RelayLedger
from tests.support.relay_channel import MINUTE, RECORD, RelayChannel, after, recording, server
from tests.support.relay_commands import ledger_on


def test_the_contract_takes_what_is_filled_in():
    channel = RelayChannel().register()
    for minute in (MINUTE, MINUTE - 1, MINUTE - 100_000):
        recorded = channel.call("RecordCapture", recording(text_of(RECORD, minute), minute), server("5004"))
        assert (recorded["minute"], recorded["readings"]) == (minute, 6)


def test_a_minute_is_always_filled_with_the_same():
    assert text_of(RECORD, MINUTE) == text_of(RECORD, MINUTE)
    assert text_of(RECORD, MINUTE) != text_of(RECORD, MINUTE + 1)
    assert len(parse_capture(text_of(RECORD | {"reading_s": 5}, MINUTE)).readings) == 12


async def test_only_what_is_missing_is_filled(monkeypatch: pytest.MonkeyPatch, tmp_path: Path):
    channel = RelayChannel().register()
    channel.now_us = after(MINUTE + 10)
    channel.record("5005", text_of(RECORD, MINUTE + 3))
    used: list[str] = []

    class Ledger(RelayLedger):
        async def __aenter__(self) -> RelayLedger:
            return self

        async def __aexit__(self, *_: object) -> None:
            return None

    async def server_identity(_: object, organisation: str, name: str) -> str:
        used.append(f"{organisation}/{name}")
        return name

    def relay_ledger(_: object, name: str) -> Ledger:
        return Ledger(ledger_on(channel, server(name)).contract)

    monkeypatch.setattr("benchmarks.relay.prefill.server_identity", server_identity)
    monkeypatch.setattr("benchmarks.relay.prefill.relay_ledger", relay_ledger)
    profile = ConnectionProfile(
        name="substation",
        channels={},
        peers={
            f"peer{name}": NodeEntry(url="https://x", organisation=f"Org{name}", mspid=f"Server{name}MSP")
            for name in ("5004", "5005", "5006", "5007")
        },
        orderers={},
        ca=CAEntry(url="https://x", tls_root=tmp_path, organisations=()),
        roots=tmp_path,
        organisations=tmp_path,
        applications={},
    )
    minutes = range(MINUTE, MINUTE + 10)
    assert await fill(profile, RECORD, minutes, lambda _: None) == 9
    assert await fill(profile, RECORD, minutes, lambda _: None) == 0
    assert used[:4] == ["Org5004/5004", "Org5005/5005", "Org5006/5006", "Org5007/5007"]
    captures = channel.call("ListCaptures", {"relay": "Rele_1", "from": MINUTE, "to": MINUTE + 10})["items"]
    assert [item["minute"] for item in captures] == list(minutes)


def test_the_ratio_of_medians_has_its_interval():
    generator = random.Random(3)
    one = [generator.gauss(100, 10) for _ in range(200)]
    other = [value * 1.2 for value in one]
    ratio, low, high = ratio_of_medians(other, one)
    assert ratio == pytest.approx(1.2)
    assert 1.1 < low < 1.2 < high < 1.3
    assert ratio_of_medians(other, one) == (ratio, low, high)


def test_each_length_is_compared_with_the_shortest():
    def measured(seconds: float) -> _Measured:
        return _Measured([Update(minute, "5004", seconds, 2 * seconds) for minute in range(5)])

    found = _ratios({100: measured(0.1), 10_000: measured(0.11), 1_000: measured(0.1)})["ratios"]
    assert [(item["of"], item["to"]) for item in found] == [(1_000, 100), (10_000, 100)]
    assert [item["ratio"] for item in found] == [pytest.approx(1.0), pytest.approx(1.1)]


def test_a_length_is_told_with_what_a_server_used():
    found = _Measured([Update(1, "5004", 0.1, 0.2)], [7], [{"relay server": {"cores": 0.5, "end_mib": 80.0}}])
    row = _row(100, found)
    assert (row["minutes"], row["lost"], row["server_cores"], row["server_mib"]) == (2, [7], 0.5, 80.0)
    assert row["own_peer"]["p50_ms"] == pytest.approx(100.0)
    assert statistics.median([item[3] for item in row["updates_ms"]]) == 200.0


def test_a_set_reads_its_own_channel(tmp_path: Path):
    config = substation(1, channels=("a", "b"))
    network = tmp_path / "network"
    for name in ("rele1", "server5004"):
        folder = network / "companions" / name
        folder.mkdir(parents=True)
        (folder / "config.json").write_text(json.dumps({"name": name, "port": 1}))
        (folder / "connection.json").write_text(json.dumps({"applications": {"relay": {"channel": "a"}}}))
    processes = ChannelSet(config, network, tmp_path / "sets", "b")
    processes.prepare({"start_minute": 7})
    told = json.loads((tmp_path / "sets" / "server5004" / "connection.json").read_text())
    assert told["applications"]["relay"] == {"chaincode": "relay", "channel": "b"}
    relay = json.loads((tmp_path / "sets" / "rele1" / "config.json").read_text())
    assert relay == {"name": "rele1", "port": 1, "start_minute": 7}
    assert processes.renames == tmp_path / "sets" / "rele1" / "data" / "renames.jsonl"
