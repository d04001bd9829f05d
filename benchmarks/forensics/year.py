"""``python -m benchmarks.forensics year``: what each kind of device takes in a year, and 60 TB in devices.

Nothing is measured here: bytes an event, a batch and a value come from what ``events``, ``batches`` and ``rows`` left
in the folder ``--from``; how often a device tells something is what this page says it is.
"""

from __future__ import annotations

import argparse
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from benchmarks.forensics.device_year import Device
from benchmarks.forensics.tables import MINUTES_A_YEAR, year_table
from gridledger.files import write_atomically

SOURCE_BYTES: Final = 60e12
"""A year and node, as the article says."""
_DAYS: Final = 365
_FRAME_BYTES: Final = 54
_FRAMES_A_S: Final = 50
_SECONDS_A_YEAR: Final = _DAYS * 86_400
_FRAME_VALUES: Final = 12


@dataclass(frozen=True, slots=True)
class Measured:
    """Bytes as they were measured: {blocks, folder} of an event alone, of one of 64 in a call, of a batch alone and of
    one of five; bytes of a value in a Parquet file."""

    event: Mapping[str, float]
    grouped: Mapping[str, float]
    batch: Mapping[str, float]
    gathered: Mapping[str, float]
    value: float

    @classmethod
    def read(cls, folder: Path) -> Measured:
        """From the reports."""
        events = {run["mode"]: run.get("bytes_per_event", {}) for run in _last(folder / "events.json")["runs"]}
        batches = {run["group"]: run["bytes_per_batch"] for run in _last(folder / "batches.json")["runs"]}
        value = _last(folder / "rows.json")["rows"][0]["bytes_per_value"]
        return cls(events["alone"], events["one"], batches[1], batches[5], value)


def devices(measured: Measured) -> list[Device]:
    """The kinds of devices that the network of three cities has, and what a PMU would take a transaction a frame."""
    frames = _FRAMES_A_S * _SECONDS_A_YEAR
    rows = frames * _FRAME_VALUES * measured.value

    def alone(kind: str, tells: str, count: float) -> Device:
        return Device(kind, tells, 0.0, count * measured.event["blocks"], count * measured.event["folder"])

    def pmu(tells: str, batch: Mapping[str, float]) -> Device:
        return Device("PMU", tells, rows, MINUTES_A_YEAR * batch["blocks"], MINUTES_A_YEAR * batch["folder"])

    quarters = _DAYS * 96
    return [
        pmu(f"{_FRAMES_A_S} frames/s of {_FRAME_VALUES} values, batches of a minute, five a call", measured.gathered),
        pmu("the same, each batch alone", measured.batch),
        Device(
            "PMU",
            "a transaction for each frame, no files",
            0.0,
            frames * measured.event["blocks"],
            frames * measured.event["folder"],
        ),
        alone("relay, IED", "100 events a day", 100 * _DAYS),
        alone("smart meter", "a reading each 15 minutes, alone", quarters),
        Device(
            "smart meter",
            "the same, 64 in a call",
            0.0,
            quarters * measured.grouped["blocks"],
            quarters * measured.grouped["folder"],
        ),
        alone("charging station", "40 events a day", 40 * _DAYS),
        alone("operator station", "200 events a day", 200 * _DAYS),
    ]


def main(argv: Sequence[str]) -> int:
    """The command."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forensics year", description=__doc__)
    parser.add_argument("--from", dest="reports", type=Path, default=Path("out/forensics-bench"), help="the reports")
    options = parser.parse_args(argv)
    found = devices(Measured.read(options.reports))
    frames = _FRAMES_A_S * _SECONDS_A_YEAR * _FRAME_BYTES
    text = year_table(found, SOURCE_BYTES, SOURCE_BYTES / frames)
    write_atomically(options.reports / "year.md", f"{text}\n".encode())
    print(text)
    return 0


def _last(path: Path) -> dict[str, Any]:
    """The newest run of a report."""
    found: dict[str, Any] = json.loads(path.read_bytes())["runs"][-1]
    return found
