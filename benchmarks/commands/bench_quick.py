"""``make bench-quick``: a 100-byte put and ComputeVSI, at saturation and at 100 transactions per second.

Starts each topology anew, offers the loads from two engines on the same machine without Locust, and prints throughput,
latency percentiles (at 100/s from the intended send time) and the share of the floor. Exits with 1 where a share is
below its guard. ``--smoke`` tests the benchmark itself: a second of each workload on one topology; everything must
become VALID.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from benchmarks.load.bench_network import WORKLOADS, BenchNetwork, running_bench_network
from benchmarks.load.plan import CLOSED_LOOP, ControllerSpec, LoadSpec
from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.engine_run import EngineRun, run_load
from benchmarks.measure.machine import this_machine
from gridledger import jsontext

GUARDS = {
    ("no-shard", "put"): 0.33,
    ("no-shard", "ComputeVSI"): 0.21,
    ("two-shards", "put"): 0.30,
    ("two-shards", "ComputeVSI"): 0.18,
    ("three-shards", "put"): 0.24,
    ("three-shards", "ComputeVSI"): 0.16,
}
"""The least share of the floor at saturation: about 60 % of what docs/performance.md states."""

PACED = ControllerSpec(type="fixed-rate", opts={"tps": 100.0})
SATURATING_USERS = 512
"""Transactions under way at saturation: enough to fill blocks and cores in every topology."""

_SMOKE_USERS = 8
# LocalController is left out: its many groups take as long to prepare as everything else.
_SMOKE_WORKLOADS = tuple(name for name in WORKLOADS if name != "LocalController")
_SMOKE_CONFLICTS = frozenset(("MVCC_READ_CONFLICT", "ENDORSEMENT_MISMATCH"))
_PERCENTILES = ("p50_ms", "p95_ms", "p99_ms", "max_ms")
_HEAD = f"{'topology':<13} {'workload':<16} {'load':<11} {'tx/s':>7} {'p50':>7} {'p95':>7} {'p99':>7} {'max':>7} ms"


async def measure(network: BenchNetwork, options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure the workloads on one topology and print a line for each load."""
    rows = []
    saturating = ControllerSpec(type=CLOSED_LOOP, opts={"users": options.concurrency})
    for workload in options.workload:
        streams = await network.streams(workload)
        for controller in (saturating,) if options.smoke else (saturating, PACED):
            spec = LoadSpec(
                workload=workload, controller=controller, duration_s=options.seconds, warmup_s=options.seconds / 4
            )
            row = _row(network.topology, spec, await run_load(network, streams, spec), readonly=streams[0].readonly)
            print(_line(row), flush=True)
            rows.append(row)
    return rows


def _row(topology: str, spec: LoadSpec, run: EngineRun, *, readonly: bool) -> dict[str, Any]:
    latency = run.outcome.latency
    floor_tx_s = this_machine().floor_tx_s(TOPOLOGIES[topology])
    return {
        "topology": topology,
        "workload": spec.workload,
        "load": "saturation" if spec.closed else f"{spec.controller.opts['tps']:g}/s",
        "tx_s": run.tx_s,
        **(latency.model_dump(include=set(_PERCENTILES)) if latency else dict.fromkeys(_PERCENTILES)),
        "refused": run.outcome.failed,
        "floor_share": None if readonly else run.tx_s / floor_tx_s,
        "generator_cores": run.engines_cpu_s / (run.measured_s + spec.warmup_s),
    }


def _line(row: dict[str, Any]) -> str:
    latencies = " ".join(f"{float('nan') if row[name] is None else row[name]:7.1f}" for name in _PERCENTILES)
    line = (
        f"{row['topology']:<13} {row['workload']:<16} {row['load']:<11} {row['tx_s']:7.0f} {latencies}   "
        f"generator {row['generator_cores']:.2f} of {this_machine().cores} cores"
    )
    if row["load"] == "saturation" and row["floor_share"] is not None:
        line += f", {row['floor_share']:.0%} of the floor"
    if row["refused"]:
        line += f", not VALID {row['refused']}"
    return line


def below_guard(rows: list[dict[str, Any]]) -> list[str]:
    """A complaint for each load that is too slow."""
    found = []
    for row in rows:
        guard = GUARDS.get((row["topology"], row["workload"]))
        if row["load"] == "saturation" and guard is not None and row["floor_share"] < guard:
            found.append(
                f"{row['topology']}, {row['workload']}: {row['floor_share']:.1%} of the floor, guard {guard:.0%}"
            )
    return found


def not_valid(rows: list[dict[str, Any]]) -> list[str]:
    """A complaint for each load of which something did not become VALID; read-write may have conflicts."""
    found = []
    for row in rows:
        allowed = _SMOKE_CONFLICTS if row["workload"] == "read-write" else frozenset()
        failed = {code: number for code, number in row["refused"].items() if code not in allowed}
        if failed or not row["tx_s"]:
            found.append(f"{row['topology']}, {row['workload']}: {failed or 'nothing became VALID'}")
    return found


async def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure on each topology, and keep the rows in ``quick.json``."""
    print(f"{this_machine()}\n{_HEAD}", flush=True)
    rows: list[dict[str, Any]] = []
    folder = options.out.absolute() / "network"
    for topology in options.topology:
        async with running_bench_network(topology, folder, port_offset=options.port_offset) as network:
            rows += await measure(network, options)
    report = {"machine": this_machine().to_dict(), "seconds": options.seconds, "rows": rows}
    (options.out / "quick.json").write_bytes(jsontext.dumps(report))
    return rows


def main() -> int:
    """Read the options and run. Returns 1 where a guard fails."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.bench_quick", description=__doc__)
    parser.add_argument("--topology", action="append", choices=TOPOLOGIES, help="default: all; of --smoke: one")
    parser.add_argument("--workload", action="append", choices=WORKLOADS)
    parser.add_argument("--seconds", type=float, help="measured time of each load (default: 4.5; of --smoke: 1)")
    parser.add_argument("--concurrency", type=int, help="transactions under way at saturation (default: 512)")
    parser.add_argument("--smoke", action="store_true", help="a second of each workload; everything must become VALID")
    parser.add_argument("--port-offset", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    options = parser.parse_args()
    smoke = options.smoke
    options.topology = options.topology or (["three-shards"] if smoke else list(TOPOLOGIES))
    options.workload = options.workload or (_SMOKE_WORKLOADS if smoke else ["put", "ComputeVSI"])
    options.seconds = options.seconds or (1.0 if smoke else 4.5)
    options.concurrency = options.concurrency or (_SMOKE_USERS if smoke else SATURATING_USERS)
    options.out.mkdir(parents=True, exist_ok=True)
    rows = asyncio.run(run(options))
    complaints = not_valid(rows) if smoke else below_guard(rows)
    for complaint in complaints:
        print(f"{'NOT VALID' if smoke else 'UNDER ITS GUARD'}: {complaint}", file=sys.stderr)
    return 1 if complaints else 0


if __name__ == "__main__":
    sys.exit(main())
