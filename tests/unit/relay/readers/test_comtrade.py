"""Reading COMTRADE records: the simulated relay's, every form, and files that are none."""

from __future__ import annotations

import hashlib
import random
import struct
from datetime import datetime, timedelta
from pathlib import Path

import comtrade
import pytest

from gridledger.field.capture import Capture, Reading
from services.relay.errors import FaultRecordBad
from services.relay.readers import comtrade as reader
from services.relay.readers.comtrade import read_fault_record
from services.relay.simulator.faults import KEPT, FaultFolder

TIME = datetime(2026, 11, 30, 2, 24)
VALUES = (115.3, 116.0, 116.2, 26.0, 30.8, 45.1, 60.1, 0.9, 2.3, 5.7)
CFG = (
    "Bogotá - U.D.,Relay 1,{year}\r\n3,2A,1D\r\n1,VAB,AB,,kV,0.01,0,0,-99999,99998,1,1,P\r\n"
    "2,IA,A,,A,0.01,0,0,-99999,99998,1,1,P\r\n3,TRIP,,,0\r\n60\r\n1\r\n960,2\r\n"
    "30/11/2026,02:24:10.000000\r\n30/11/2026,02:24:10.500000\r\n{kind}\r\n1\r\n"
)
DAT = b"1,0,100,200,0\r\n2,1042,110,210,1\r\n"


def capture(minute: int = 0) -> Capture:
    time = TIME + timedelta(minutes=minute)
    return Capture(time, "Relay 1", "Bogotá, U.D.", 22.0, (Reading(time, VALUES),))


def written(folder: FaultFolder, count: int = 1) -> list[Path]:
    """The records of the first captures that have one."""
    found: list[Path] = []
    minute = 0
    while len(found) < count:
        if (path := folder.take(capture(minute))) is not None:
            found.append(path)
        minute += 1
    return found


def pair(tmp_path: Path, cfg: str, dat: bytes = DAT) -> Path:
    path = tmp_path / "x.cfg"
    path.write_text(cfg, newline="")
    path.with_suffix(".dat").write_bytes(dat)
    return path


def cfg(kind: str = "ASCII", year: str = "1999", replace: tuple[str, str] = ("", "")) -> str:
    text = CFG.format(kind=kind, year=year)
    return text.replace(*replace) if replace[0] else text


def test_a_record_of_the_simulated_relay_is_read(tmp_path: Path) -> None:
    [path] = written(FaultFolder(tmp_path, "Relay 1", "Bogotá, U.D.", 7))
    found = read_fault_record(path)
    whole = path.read_bytes() + path.with_suffix(".dat").read_bytes()
    assert found.sha256 == hashlib.sha256(whole).hexdigest()
    assert (found.station, found.device, found.bytes) == ("Bogotá  U.D.", "Relay 1", len(whole))
    assert (found.samples, found.channels, found.revision_year) == (128, 7, 1999)
    assert found.trigger_time.startswith("2026-11-30T")
    assert f"{datetime.fromisoformat(found.trigger_time):%Y-%m-%d %H-%M-%S}" == path.stem


def test_the_simulated_fault_rises_and_is_cleared(tmp_path: Path) -> None:
    [path] = written(FaultFolder(tmp_path, "Relay 1", "Bogotá", 7))
    record = comtrade.load(str(path), ignore_warnings=True)
    currents = [list(map(abs, channel)) for channel in record.analog[3:]]
    [rise] = [max(one[32:96]) / max(one[:32]) for one in currents if max(one[32:96]) > 2 * max(one[:32])]
    assert rise == pytest.approx(6.0, rel=0.01)
    assert all(max(one[96:]) == 0 for one in currents)
    assert list(record.status[0]) == [0] * 64 + [1] * 64


def test_the_same_seed_writes_the_same_records(tmp_path: Path) -> None:
    first = written(FaultFolder(tmp_path / "a", "Relay 1", "Bogotá", 7), 3)
    second = written(FaultFolder(tmp_path / "b", "Relay 1", "Bogotá", 7), 3)
    assert [path.name for path in first] == [path.name for path in second]
    assert [path.read_bytes() for path in first] == [path.read_bytes() for path in second]


def test_the_newest_hundred_records_are_kept(tmp_path: Path) -> None:
    last = written(FaultFolder(tmp_path, "Relay 1", "Bogotá", 7), KEPT + 2)[-1]
    names = [path.name for path in (tmp_path / "faults").iterdir()]
    assert len(names) == 2 * KEPT
    assert last.name in names


def rows(kind: str) -> bytes:
    code = {"BINARY": "h", "BINARY32": "i", "FLOAT32": "f"}[kind]
    return b"".join(struct.pack(f"<II2{code}H", number, number * 1042, 100, 200, 1) for number in (1, 2))


@pytest.mark.parametrize("year", ["1999", "2013"])
@pytest.mark.parametrize("kind", ["ASCII", "BINARY", "BINARY32", "FLOAT32", "binary"])
def test_every_kind_of_values_is_read(tmp_path: Path, kind: str, year: str) -> None:
    dat = DAT if kind == "ASCII" else rows(kind.upper())
    found = read_fault_record(pair(tmp_path, cfg(kind, year), dat))
    assert (found.samples, found.channels, found.revision_year) == (2, 3, int(year))
    assert found.trigger_time == "2026-11-30T02:24:10.500000"


@pytest.mark.parametrize("kind", ["ASCII", "BINARY"])
def test_a_single_file_is_read(tmp_path: Path, kind: str) -> None:
    dat = DAT if kind == "ASCII" else rows(kind)
    title = "--- file type: DAT ASCII ---" if kind == "ASCII" else f"--- file type: DAT BINARY: {len(dat)} ---"
    text = f"--- file type: CFG ---\r\n{cfg(kind, '2013')}--- file type: INF ---\r\nx\r\n{title}\r\n"
    path = tmp_path / "x.cff"
    path.write_bytes(text.encode() + dat)
    found = read_fault_record(path)
    assert (found.sha256, found.samples) == (hashlib.sha256(path.read_bytes()).hexdigest(), 2)


def test_a_record_of_1991_has_no_year(tmp_path: Path) -> None:
    text = cfg(replace=(",1999\r\n", "\r\n")).replace("30/11/2026", "11/30/2026").removesuffix("1\r\n")
    assert read_fault_record(pair(tmp_path, text)).revision_year == 1991


BAD = {
    "an empty file": ("", DAT, "second line"),
    "no counts": (cfg(replace=("3,2A,1D", "3,2,1")), DAT, "second line"),
    "counts that do not fit": (cfg(replace=("3,2A,1D", "4,2A,1D")), DAT, "second line"),
    "a million channels": (cfg(replace=("3,2A,1D", "999999,999998A,1D")), DAT, "999999 channels"),
    "a billion samples": (cfg(replace=("960,2", "960,1000000000")), DAT, "too many"),
    "no samples": (cfg(replace=("960,2", "960,0")), DAT, "too many, or none"),
    "fewer samples than announced": (cfg(replace=("960,2", "960,3")), DAT, "announces 3 samples and has 2"),
    "fewer bytes than announced": (cfg("BINARY"), rows("BINARY")[:-1], "announces 2 samples and has 1"),
    "another kind of values": (cfg("MORSE"), DAT, "'MORSE'"),
    "another year": (cfg(year="2077"), DAT, "revision '2077'"),
    "no trigger": (cfg(replace=("30/11/2026,02:24:10.500000", ",")), DAT, "no date and time"),
    "a day that does not exist": (cfg(replace=("30/11/2026,02:24:10.5", "31/11/2026,02:24:10.5")), DAT, "day is out"),
    "values that are none": (cfg(), DAT.replace(b"110", b"abc"), "could not convert"),
    "a value that is missing": (cfg(), b"1,0,100\r\n2,0,100\r\n", "cannot be read"),
    "binary in place of text": (cfg(), DAT + b"\0", "binary data"),
    "a name that nobody sees": (cfg(replace=("Relay 1", "Relay\x1b[2J")), DAT, "device"),
    "a long name": (cfg(replace=("Relay 1", "R" * 129)), DAT, "device is longer"),
}


@pytest.mark.parametrize("kind", BAD)
def test_a_file_that_is_no_record_is_refused(tmp_path: Path, kind: str) -> None:
    text, dat, why = BAD[kind]
    with pytest.raises(FaultRecordBad, match=why) as refused:
        read_fault_record(pair(tmp_path, text, dat))
    assert refused.value.code == "BAD_FAULT_RECORD"
    assert refused.value.message.startswith("the fault record x.cfg: ")


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    pair(tmp_path, cfg()).with_suffix(".dat").unlink()
    for name in ("x.cfg", "y.cff", "z.txt"):
        with pytest.raises(FaultRecordBad):
            read_fault_record(tmp_path / name)


def test_a_file_beyond_the_bound_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader._bytes_of, "__defaults__", (20,))
    with pytest.raises(FaultRecordBad, match="longer than 20 bytes"):
        read_fault_record(pair(tmp_path, cfg()))


def test_a_single_file_without_values_is_refused(tmp_path: Path) -> None:
    path = tmp_path / "x.cff"
    path.write_text(f"--- file type: CFG ---\r\n{cfg()}", newline="")
    with pytest.raises(FaultRecordBad, match="section DAT"):
        read_fault_record(path)


def test_changed_bytes_are_read_or_refused(tmp_path: Path) -> None:
    draws = random.Random(3)
    whole, refused = cfg().encode(), 0
    for _ in range(600):
        text, dat = bytearray(whole), bytearray(DAT)
        changed = text if draws.random() < 0.7 else dat
        for _ in range(draws.randrange(1, 4)):
            changed[draws.randrange(len(changed))] = draws.randrange(256)
        path = tmp_path / "x.cfg"
        path.write_bytes(text)
        path.with_suffix(".dat").write_bytes(dat)
        try:
            read_fault_record(path)
        except FaultRecordBad:
            refused += 1
    assert 50 < refused < 600
