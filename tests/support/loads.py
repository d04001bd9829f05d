"""Loads as a benchmark might have measured them, and points of a figure."""

from __future__ import annotations

from typing import Any

from benchmarks.figures.point_store import Basis
from benchmarks.figures.sweeps import Point, load_sweeps
from benchmarks.measure.results import BenchmarkReport, BlockSizes, Latency, Load, ProcessUse, Second

BASIS = Basis(commit="0123", processor="p", cores=4, python="3.11", seconds_per_point=20.0, quick=False)


def made_load(
    *,
    topology: str = "no-shard",
    workload: str = "ComputeVSI",
    tps: float | None = 100.0,
    tx_s: float = 100.0,
    valid: int = 400,
    refused: dict[str, int] | None = None,
    process: str = "peer1",
    engine_cores: float = 0.3,
) -> Load:
    """A load of four seconds."""
    refused = refused or {}
    controller: dict[str, Any] = {"type": "closed-loop", "opts": {"users": 96}}
    if tps is not None:
        controller = {"type": "fixed-rate", "opts": {"tps": tps}}
    memory = {"rss_first_bytes": 80_000_000, "rss_last_bytes": 81_000_000, "rss_max_bytes": 82_000_000}
    return Load(
        topology=topology,
        workload=workload,
        controller=controller,
        workers=2,
        offered_tx_s=tps,
        started_at="2026-01-01T00:00:00+00:00",
        measured_s=4.0,
        sent=valid + sum(refused.values()),
        valid=valid,
        tx_s=tx_s,
        codes={"VALID": valid} if valid else {},
        refused=refused,
        latency=Latency(mean_ms=13.0, p50_ms=12.0, p95_ms=15.0, p99_ms=19.5, max_ms=31.0) if valid else None,
        payload_bytes=3100.0,
        disk_bytes_per_tx=5200.0,
        floor_tx_s=2100.0,
        generator_cores=engine_cores * 2,
        generator_us_per_request=700.0,
        processes=[
            ProcessUse(name=process, kind="edge", pid=11, cores=0.4, **memory),
            ProcessUse(name="engine", kind="engine", pid=12, cores=engine_cores, **memory),
        ],
        blocks=[BlockSizes(channel="mainchain", blocks=40, transactions=400, mean=10.0, p50=9, max=31)],
        seconds=[
            Second(at_s=second, sent=100, valid=100, refused=0, p50_ms=12.0 if second else None, p99_ms=None)
            for second in range(4)
        ],
    )


def made_report(*loads: Load) -> BenchmarkReport:
    """A report of some loads, or of two."""
    machine = {"cores": 4, "processor": "a processor", "commit": "0123456789ab", "sign_s": 25e-6}
    given = loads or (made_load(), made_load(tps=None, tx_s=500.0, refused={"BUSY": 5}))
    return BenchmarkReport(title="A report", machine=machine, configuration={"seconds": 4.0}, loads=list(given))


def points_of(*topologies: str) -> list[Point]:
    """Three points on each topology of the thesis's first sweep."""
    sweep = load_sweeps()[0]
    return [point for name in topologies for point in sweep.points(name, most_seconds=20.0, quick=True)]
