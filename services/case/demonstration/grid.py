"""The PMUs of the demonstration: four neighbours of case30, one of which is told a wrong time."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Final

from gridledger.client.profile import read_roots
from gridledger.demonstration.steps import Steps
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.evidence.errors import EvidenceError
from gridledger.identity.signer import SigningIdentity
from gridledger.transport.node_client import NodeClient, path_of
from services.case.demonstration.pmu_servers import HOST, IDCODE
from services.case.demonstration.stage import Stage
from services.case.replay.pmus import MovingGrid, WrongClock, placed
from services.case.replay.story import Device, Planted
from services.case.row_files import columns_of_file
from services.case.rows import Row
from services.case.rules.finding import of_kinds
from services.case.rules.gps import Measured
from services.case.rules.placement import Columns, Placement, measured

SECTION: Final = "section-transmission"
BUSES: Final = {"pmu-kyiv-12": 12, "pmu-kyiv-14": 14, "pmu-kyiv-15": 15, "pmu-kyiv-16": 16}
SPOOFED: Final = "pmu-kyiv-12"
TAMPERED: Final = "pmu-kyiv-16"
"""A byte of one of its files is flipped."""
RATE: Final = 5
BATCH_S: Final = 10
SPOOFED_FROM: Final = 0.3
"""Share of the replay from which on its clock runs away."""
RUNS_AWAY_US_PER_S: Final = 1.0
_FIRST_PORT: Final = 5400
_TIMEOUT_S: Final = 20.0
_BYTE: Final = 200


def placement() -> Placement:
    """Where the PMUs stand."""
    return placed("case30", BUSES)


def devices() -> list[Device]:
    """The PMUs as devices."""
    return [Device(name, "pmu", SECTION, f"bus-{bus}", "SEL", "2240") for name, bus in BUSES.items()]


def ports(offset: int) -> dict[str, int]:
    """Where each PMU listens."""
    return {name: _FIRST_PORT + offset + place for place, name in enumerate(BUSES)}


def sources(offset: int) -> dict[str, list[dict[str, Any]]]:
    """What light nodes read of each, as their settings have it."""
    return {
        name: [{"kind": "pmu", "host": HOST, "port": port, "idcode": IDCODE, "batches": True, "batch_s": BATCH_S}]
        for name, port in ports(offset).items()
    }


def planted(at_s: float) -> Planted:
    """What the rule must find."""
    return Planted("a forged GPS signal", "gps-spoofing", {"device": SPOOFED}, at_s)


def spoof(grid: MovingGrid, from_s: float) -> None:
    """Have one PMU's clock run away from a second of the grid on."""
    grid.go_wrong(WrongClock(SPOOFED, from_s, RUNS_AWAY_US_PER_S))


@dataclass(frozen=True, slots=True)
class Read:
    """The phasors of all files that are what the ledger says, and those that are not, in words."""

    measured: Measured
    files: int
    refused: tuple[str, ...]


async def tamper(stage: Stage, rows: Sequence[Row], steps: Steps) -> Row:
    """Flip a byte of a file of rows on a light node's disk; the batch that it is of."""
    batches = [row for row in of_kinds(rows, "batch") if row.device == TAMPERED]
    if not batches:
        raise UnavailableError(f"there are no batches of {TAMPERED} on the ledger")
    batch = batches[-1]
    node = next(name for name, held in stage.devices.items() if any(each.device == TAMPERED for each in held))
    file = stage.folder.companion(node) / "data" / "rows" / TAMPERED / f"{batch.details['from_us']:016d}.parquet"
    await asyncio.to_thread(_flip, file)
    steps.console.say(f"  byte {_BYTE} of {file.name} of {TAMPERED} is flipped")
    return batch


def _flip(file: Path) -> None:
    data = bytearray(file.read_bytes())
    data[_BYTE] ^= 1
    file.write_bytes(data)


async def read_files(stage: Stage, rows: Sequence[Row], reader: SigningIdentity) -> Read:
    """The files of all batches of the PMUs, as the light node that has them hands them over."""
    node_of = {each.device: name for name, held in stage.devices.items() for each in held}
    read: dict[str, dict[str, list[Any]]] = {}
    refused: list[str] = []
    files = 0
    batches = [row for row in of_kinds(rows, "batch") if row.device in BUSES]
    for row in sorted(batches, key=lambda each: (str(each.device), each.seq or 0)):
        device, name = str(row.device), f"{row.device}/{row.seq}"
        try:
            async with NodeClient(stage.nodes[node_of[device]].url, reader, read_roots(stage.profile.roots)) as client:
                path, params = path_of("batches", str(row.seq), "file"), {"device": device}
                data = await client.get(path, params=params, timeout_s=_TIMEOUT_S)
            columns = await asyncio.to_thread(partial(columns_of_file, data, row.details, name))
        except (EvidenceError, GridLedgerError) as error:
            refused.append(f"{name}: {error.message}")
            continue
        files += 1
        for column, values in columns.items():
            read.setdefault(device, {}).setdefault(column, []).extend(values)
    known: dict[str, Columns] = dict(read.items())
    return Read(await asyncio.to_thread(measured, placement(), known), files, tuple(refused))


def expect_tampered(read: Read, batch: Row, steps: Steps) -> None:
    """The changed file is named, and no other."""
    steps.expect(
        "the file that was changed is named, and no other",
        len(read.refused) == 1 and read.refused[0].startswith(f"{batch.device}/{batch.seq}:"),
        "; ".join(read.refused),
    )
    steps.expect("all other files are what the ledger says", read.files > 0, f"{read.files} files")
