"""The report's tables as CSV: one line for each load, process, code, channel's blocks, and second."""

from __future__ import annotations

import csv
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.measure.results import BenchmarkReport, Latency, Load
from benchmarks.report.wording import offer_of

Row = dict[str, Any]


def write_tables(report: BenchmarkReport, folder: Path) -> None:
    """Write loads.csv, processes.csv, codes.csv, blocks.csv and seconds.csv; ``load`` numbers the loads from 1."""
    loads = list(enumerate(report.loads, 1))
    write_csv(folder / "loads.csv", [_load(index, load) for index, load in loads])
    write_csv(folder / "processes.csv", [{"load": i, **u.model_dump()} for i, load in loads for u in load.processes])
    write_csv(folder / "codes.csv", [row for index, load in loads for row in _codes(index, load)])
    write_csv(folder / "blocks.csv", [{"load": i, **b.model_dump()} for i, load in loads for b in load.blocks])
    write_csv(folder / "seconds.csv", [{"load": i, **s.model_dump()} for i, load in loads for s in load.seconds])


def write_csv(path: Path, rows: Sequence[Mapping[str, Any]]) -> None:
    """Write rows with a header line; None is an empty field. Without rows the file is empty."""
    with path.open("w", newline="", encoding="utf-8") as file:
        if rows:
            writer = csv.DictWriter(file, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)


def _load(index: int, load: Load) -> Row:
    flat = load.model_dump(exclude={"controller", "codes", "refused", "latency", "processes", "blocks", "seconds"})
    latency = load.latency.model_dump() if load.latency else dict.fromkeys(Latency.model_fields)
    return {
        "load": index,
        **flat,
        **latency,
        "offer": offer_of(load),
        "controller": load.controller.get("type"),
        "success": load.success,
        "floor_share": load.floor_share,
    }


def _codes(index: int, load: Load) -> Iterable[Row]:
    for kind, counts in (("validation", load.codes), ("refused", load.refused)):
        for code, count in counts.items():
            yield {"load": index, "kind": kind, "code": code, "transactions": count}
