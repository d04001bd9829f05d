"""Fault records that come to lie in a server's folder."""

from __future__ import annotations

import hashlib
import logging
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from gridledger.client.testing import FakeGateway
from gridledger.errors import ConflictError, InputError, UnavailableError
from gridledger.field.capture import parse_capture
from services.relay.errors import FaultRecordBad
from services.relay.ledger import RelayLedger
from services.relay.readers.comtrade import read_fault_record
from services.relay.server.fault_folder import FaultFolder
from services.relay.simulator.faults import FaultFolder as SimulatedFaults
from tests.support.relay_world import FIRST_MINUTE, RELAY, text_of

RECORD = {
    "relay": RELAY,
    "name": "Relay 1",
    "substation": "Bogota",
    "protocol": "text",
    "address": "http://127.0.0.1:5010",
    "utc_offsets": [{"from_minute": 0, "offset_min": 0}],
    "period_s": 60,
    "reading_s": 10,
    "servers": [{"id": "5004", "mspid": "Server5004MSP"}],
    "quorum": 1,
}


class Ledger:
    def __init__(self) -> None:
        self.stated: list[Mapping[str, Any]] = []
        self.fails: Exception | None = None

    async def record_fault(self, fault: Mapping[str, Any]) -> dict[str, Any]:
        if self.fails is not None:
            raise self.fails
        self.stated.append(fault)
        return {}


def read(path: Path) -> dict[str, Any]:
    text = path.read_text()
    if "bad" in text:
        raise FaultRecordBad(f"{path.name} is bad")
    return {"sha256": text}


def watching(folder: Path) -> tuple[FaultFolder, Ledger]:
    ledger = Ledger()
    return FaultFolder(folder, "Rele_1", ledger, read), ledger


async def test_a_record_is_stated_once_when_it_is_whole(tmp_path: Path) -> None:
    watch, ledger = watching(tmp_path / "faults")
    await watch.look()
    (tmp_path / "faults").mkdir()
    cfg = tmp_path / "faults" / "a.cfg"
    cfg.write_text("aa")
    for _ in range(3):
        await watch.look()
    assert ledger.stated == [], "its .dat is missing"
    cfg.with_suffix(".dat").write_bytes(b"1")
    await watch.look()
    cfg.with_suffix(".dat").write_bytes(b"12")
    await watch.look()
    assert ledger.stated == [], "it grows"
    await watch.look()
    await watch.look()
    assert ledger.stated == [{"relay": "Rele_1", "sha256": "aa"}]


async def test_a_single_file_record_is_stated_too(tmp_path: Path) -> None:
    watch, ledger = watching(tmp_path)
    (tmp_path / "b.CFF").write_text("bb")
    (tmp_path / "notes.txt").write_text("bad")
    await watch.look()
    await watch.look()
    assert ledger.stated == [{"relay": "Rele_1", "sha256": "bb"}]


async def test_a_bad_record_is_told_once_and_stops_nothing(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    watch, ledger = watching(tmp_path)
    (tmp_path / "a.cff").write_text("bad")
    (tmp_path / "b.cff").write_text("good")
    with caplog.at_level(logging.ERROR):
        for _ in range(4):
            await watch.look()
    assert [item["sha256"] for item in ledger.stated] == ["good"]
    assert caplog.text.count("a fault record cannot be read") == 1


async def test_while_the_ledger_is_away_a_record_waits(tmp_path: Path) -> None:
    watch, ledger = watching(tmp_path)
    (tmp_path / "a.cff").write_text("aa")
    ledger.fails = UnavailableError("away")
    await watch.look()
    with pytest.raises(UnavailableError):
        await watch.look()
    ledger.fails = None
    await watch.look()
    assert len(ledger.stated) == 1


@pytest.mark.parametrize("code", ["CHAINCODE_REFUSED"])
async def test_what_was_stated_before_a_restart_is_left(tmp_path: Path, code: str) -> None:
    watch, ledger = watching(tmp_path)
    (tmp_path / "a.cff").write_text("aa")
    ledger.fails = InputError("ALREADY_STATED by 5004", code=code)
    for _ in range(3):
        await watch.look()
    ledger.fails = ConflictError("asked again")
    await watch.look()


async def test_a_simulated_relays_records_are_on_the_contracts_ledger(tmp_path: Path) -> None:
    writer = SimulatedFaults(tmp_path, "Relay 1", "Bogota", 1)
    captures = [parse_capture(text_of(FIRST_MINUTE + n, 1)) for n in range(40)]
    written = [file for capture in captures if (file := writer.take(capture)) is not None]
    gateway = FakeGateway(
        {"relay": Path("chaincode/relay")},
        attributes={"relay.role": "operator"},
        mspid="Server5004MSP",
    )
    server = FakeGateway(
        {"relay": Path("chaincode/relay")},
        attributes={"relay.role": "server", "relay.server": "5004"},
        mspid="Server5004MSP",
    )
    server._ledger._running = gateway._ledger._running
    operator = RelayLedger(gateway.get_network("channel").get_contract("relay"))
    await operator.register_relay(RECORD)
    ledger = RelayLedger(server.get_network("channel").get_contract("relay"))
    watch = FaultFolder(tmp_path / "faults", RELAY, ledger, lambda path: read_fault_record(path).to_dict())
    for _ in range(3):
        await watch.look()
    stated = (await ledger.get_faults(RELAY))["items"]
    assert len(stated) == len(written) > 0
    whole = written[0].read_bytes() + written[0].with_suffix(".dat").read_bytes()
    assert hashlib.sha256(whole).hexdigest() in {item["sha256"] for item in stated}
    assert {tuple(item["servers"]) for item in stated} == {("5004",)}
