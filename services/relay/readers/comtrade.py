"""Reads a fault record: COMTRADE (IEEE C37.111, IEC 60255-24), a pair ``.cfg`` and ``.dat``, or one file ``.cff``.

What the ledger is told of a record is its hash and what it says of itself; the record stays where it is. The hash is
SHA-256 of the file, of a pair that of both, the ``.cfg`` first: ``cat x.cfg x.dat | sha256sum``.

The package ``comtrade`` makes room for as many channels and samples as a file announces, and takes zeros for samples
that do not come. So both are held against the bounds, and against the file's size, before it reads the values.
"""

from __future__ import annotations

import hashlib
import math
import re
from dataclasses import asdict, dataclass
from datetime import MINYEAR
from pathlib import Path
from typing import Any

import comtrade

from gridledger.field.grammar import UNSEEN
from services.relay.errors import FaultRecordBad

MAX_FILE_BYTES = 32 * 1024 * 1024
MAX_CFG_BYTES = 1024 * 1024
MAX_CHANNELS = 1_000
MAX_VALUES = 20_000_000
"""Samples by channels, with the two columns of number and time."""
MAX_NAME = 128
_REVISIONS = {"1991": 1991, "1999": 1999, "2001": 1999, "2013": 2013}
"""IEC's edition of 2001 is the IEEE's of 1999."""
_VALUE_BYTES = {"BINARY": 2, "BINARY32": 4, "FLOAT32": 4}
_SAMPLE_HEAD_BYTES, _STATUS_BITS, _STATUS_BYTES = 8, 16, 2
_SECTION = re.compile(rb"^--- file type: *(CFG|INF|HDR|DAT)[ :A-Z0-9]*---[ \t]*\r?\n", re.IGNORECASE | re.MULTILINE)
_COUNTS = re.compile(r"\s*([0-9]{1,6})\s*,\s*([0-9]{1,6})\s*A\s*,\s*([0-9]{1,6})\s*D\s*", re.IGNORECASE)


@dataclass(frozen=True, slots=True)
class FaultRecord:
    """What a COMTRADE record says of itself. ``trigger_time``: ISO 8601 by the device's clock, without zone."""

    sha256: str
    station: str
    device: str
    trigger_time: str
    samples: int
    channels: int
    bytes: int
    revision_year: int

    def to_dict(self) -> dict[str, Any]:
        """The members of the contract's RecordFault, without the relay."""
        return asdict(self)


def read_fault_record(path: Path) -> FaultRecord:
    """Read a record; ``path`` is a ``.cff``, or a ``.cfg`` that has its ``.dat`` beside it. :class:`FaultRecordBad`."""
    match path.suffix.lower():
        case ".cff":
            whole = _bytes_of(path)
            cfg, dat = _parts_of(path, whole)
        case ".cfg":
            cfg, dat = _bytes_of(path, MAX_CFG_BYTES), _bytes_of(_dat_of(path))
            whole = cfg + dat
        case _:
            raise _bad(path, "its name must end with .cff, or .cfg with a .dat beside it")
    record = _checked(path, cfg, dat)
    return FaultRecord(
        sha256=hashlib.sha256(whole).hexdigest(),
        station=_name(path, "station", record.station_name),
        device=_name(path, "device", record.rec_dev_id),
        trigger_time=record.trigger_timestamp.isoformat(),
        samples=record.total_samples,
        channels=record.channels_count,
        bytes=len(whole),
        revision_year=_REVISIONS[record.rev_year],
    )


def _checked(path: Path, cfg: bytes, dat: bytes) -> comtrade.Comtrade:
    """The record that the two parts make, read to its last sample."""
    text = _text(path, cfg)
    counts = _COUNTS.fullmatch(text.partition("\n")[2].partition("\n")[0])
    if counts is None or int(counts.group(1)) != int(counts.group(2)) + int(counts.group(3)):
        raise _bad(path, "its second line must count the channels, such as 7,6A,1D")
    if int(counts.group(1)) > MAX_CHANNELS:
        raise _bad(path, f"it has {counts.group(1)} channels; up to {MAX_CHANNELS} are read")
    try:
        head = comtrade.Cfg(ignore_warnings=True)
        head.read(text)
        is_ascii = _check_head(path, head, dat)
        record = comtrade.Comtrade(ignore_warnings=True)
        record.read(text, _text(path, dat) if is_ascii else dat)
    except FaultRecordBad:
        raise
    except Exception as error:  # what the package makes of a file that is none: any error of Python's
        raise _bad(path, f"it cannot be read: {type(error).__name__}: {error!s:.200}") from None
    return record


def _check_head(path: Path, head: comtrade.Cfg, dat: bytes) -> bool:
    """Hold what a ``.cfg`` announces against the bounds and the ``.dat``; whether that is ASCII."""
    samples, kind = head.sample_rates[-1][1], head.ft.upper()
    if head.rev_year not in _REVISIONS:
        raise _bad(path, f"its revision {head.rev_year!r:.20} is none of {', '.join(_REVISIONS)}")
    if head.trigger_timestamp.year == MINYEAR:
        raise _bad(path, "it has no date and time of its trigger")
    if not 0 < samples * (head.channels_count + 2) <= MAX_VALUES:
        raise _bad(path, f"it announces {samples} samples of {head.channels_count} channels: too many, or none")
    if kind == "ASCII":
        there = sum(1 for line in dat.splitlines() if line.strip(b" \t\x1a"))
    elif kind in _VALUE_BYTES:
        words = math.ceil(head.status_count / _STATUS_BITS)
        row = _SAMPLE_HEAD_BYTES + head.analog_count * _VALUE_BYTES[kind] + words * _STATUS_BYTES
        there = len(dat) // row
    else:
        raise _bad(path, f"its values are {kind!r:.20}; ASCII, {', '.join(_VALUE_BYTES)} are read")
    if there < samples:
        raise _bad(path, f"it announces {samples} samples and has {there}")
    return bool(kind == "ASCII")


def _parts_of(path: Path, whole: bytes) -> tuple[bytes, bytes]:
    """The sections CFG and DAT of a ``.cff``. DAT is the last one: its bytes may be anything."""
    sections: dict[bytes, bytes] = {}
    header = _SECTION.search(whole)
    while header is not None:
        name, start = header.group(1).upper(), header.end()
        header = None if name == b"DAT" else _SECTION.search(whole, start)
        sections[name] = whole[start : header.start() if header else len(whole)]
    if b"CFG" not in sections or b"DAT" not in sections:
        raise _bad(path, "it has no section CFG followed by a section DAT")
    if len(sections[b"CFG"]) > MAX_CFG_BYTES:
        raise _bad(path, f"its section CFG is longer than {MAX_CFG_BYTES} bytes")
    return sections[b"CFG"], sections[b"DAT"]


def _dat_of(path: Path) -> Path:
    """The ``.dat`` of a ``.cfg``, in either case."""
    beside = [path.with_suffix(".dat"), path.with_suffix(".DAT")]
    return next((file for file in beside if file.exists()), beside[0])


def _bytes_of(path: Path, bound: int = MAX_FILE_BYTES) -> bytes:
    try:
        with path.open("rb") as file:
            data = file.read(bound + 1)
    except OSError as error:
        raise _bad(path, f"it cannot be opened: {error.strerror}") from None
    if len(data) > bound:
        raise _bad(path, f"it is longer than {bound} bytes")
    return data


def _text(path: Path, data: bytes) -> str:
    if b"\0" in data:
        raise _bad(path, "it has binary data where a text is expected")
    try:
        return data.decode()
    except UnicodeDecodeError:
        return data.decode("latin-1")  # records of before 2013 have no encoding


def _name(path: Path, what: str, told: str) -> str:
    if len(told) > MAX_NAME or UNSEEN.search(told):
        raise _bad(path, f"its {what} is longer than {MAX_NAME} characters, or has some that nobody sees")
    return told.strip()


def _bad(path: Path, why: str) -> FaultRecordBad:
    return FaultRecordBad(f"the fault record {path.name}: {why}")
