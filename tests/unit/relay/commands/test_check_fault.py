"""``check-fault``: a COMTRADE record beside what servers have stated, on the contract in memory."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from services.relay.__main__ import main
from services.relay.readers.comtrade import read_fault_record
from tests.support.relay_channel import RelayChannel, server
from tests.support.relay_commands import on_ledger

CFG = (
    "Bogotá - U.D.,Relay 1,1999\r\n3,2A,1D\r\n1,VAB,AB,,kV,0.01,0,0,-99999,99998,1,1,P\r\n"
    "2,IA,A,,A,0.01,0,0,-99999,99998,1,1,P\r\n3,TRIP,,,0\r\n60\r\n1\r\n960,2\r\n"
    "30/11/2026,02:24:10.000000\r\n30/11/2026,02:24:10.500000\r\nASCII\r\n1\r\n"
)
DAT = b"1,0,100,200,0\r\n2,1042,110,210,1\r\n"


@pytest.fixture
def record(tmp_path: Path) -> Path:
    path = tmp_path / "record.cfg"
    path.write_text(CFG, newline="", encoding="utf-8")
    path.with_suffix(".dat").write_bytes(DAT)
    return path


@pytest.fixture
def channel(monkeypatch: pytest.MonkeyPatch, record: Path) -> RelayChannel:
    """Two servers have stated the record."""
    channel = RelayChannel().register()
    on_ledger(monkeypatch, channel)
    for who in ("5004", "5006"):
        channel.call("RecordFault", {"relay": "Rele_1", **read_fault_record(record).to_dict()}, server(who))
    return channel


@pytest.mark.usefixtures("channel")
def test_a_record_that_was_stated_is_told_with_who(record: Path, capsys: pytest.CaptureFixture[str]):
    assert main(["check-fault", str(record)]) == 0
    out = capsys.readouterr().out
    assert f"{record}: Bogotá - U.D., Relay 1, triggered 2026-11-30T02:24:10.500000" in out
    assert "stated as it is by 5004, 5006" in out
    assert main(["check-fault", str(record), "--json"]) == 0
    told = json.loads(capsys.readouterr().out)
    assert (told["relay"], told["stated"], told["servers"]) == ("Rele_1", True, ["5004", "5006"])
    assert (told["other_statements"], told["same_trigger"]) == ([], [])


@pytest.mark.usefixtures("channel")
def test_an_altered_sample_is_seen(record: Path, capsys: pytest.CaptureFixture[str]):
    true = read_fault_record(record).sha256
    record.with_suffix(".dat").write_bytes(DAT.replace(b"110", b"111"))
    assert main(["check-fault", str(record)]) == 1
    out = capsys.readouterr().out
    assert "nobody has stated this file for Rele_1" in out
    assert f"of the same trigger the ledger has {true}, stated by 5004, 5006" in out


def test_another_statement_of_the_same_file_is_told(
    channel: RelayChannel, record: Path, capsys: pytest.CaptureFixture[str]
):
    odd = {"relay": "Rele_1", **read_fault_record(record).to_dict(), "samples": 99}
    channel.call("RecordFault", odd, server("5005"))
    assert main(["check-fault", str(record)]) == 0
    assert "another statement of the same hash by 5005" in capsys.readouterr().out


def test_what_most_state_otherwise_is_not_stated(record: Path, monkeypatch: pytest.MonkeyPatch):
    channel = RelayChannel().register()
    on_ledger(monkeypatch, channel)
    true = {"relay": "Rele_1", **read_fault_record(record).to_dict()}
    for who, statement in (("5004", true | {"samples": 99}), ("5005", true | {"samples": 99}), ("5006", true)):
        channel.call("RecordFault", statement, server(who))
    assert main(["check-fault", str(record)]) == 1


def test_a_file_that_is_no_record_is_refused(tmp_path: Path, capsys: pytest.CaptureFixture[str]):
    (tmp_path / "x.cff").write_text("no record")
    assert main(["check-fault", str(tmp_path / "x.cff")]) == 1
    assert capsys.readouterr().err.startswith("error: the fault record x.cff: ")
