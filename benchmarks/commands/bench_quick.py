"""``make bench-quick``: a 100-byte put and ComputeVSI, at saturation and at 100 transactions per second.

Starts each topology anew, loads it from two engine processes on the same machine (the benchmark's own, without Locust,
which would only take its time to start), and prints throughput, latency percentiles (at 100/s from the intended send
time) and the share of the floor that the machine's signatures set. Ends with 1 where that share is under its guard.
``--smoke`` is the test of the benchmark itself: a second of each workload on one topology; all must be VALID.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from benchmarks.load.bench_network import WORKLOADS, Bench, running_bench
from benchmarks.load.direct import Outcome, run_load
from benchmarks.measure.machine import TOPOLOGIES, Machine, measure_machine
from benchmarks.measure.window import percentile
from gridledger import jsontext

GUARDS = {
    ("no-shard", "put"): 0.33,
    ("no-shard", "ComputeVSI"): 0.21,
    ("two-shards", "put"): 0.30,
    ("two-shards", "ComputeVSI"): 0.18,
    ("three-shards", "put"): 0.24,
    ("three-shards", "ComputeVSI"): 0.16,
}
"""The share of the floor that each must reach at saturation: about 60 % of what docs/performance.md states."""

PACED = 100.0
SATURATING_USERS = 512
"""Transactions under way at saturation: blocks fill, and the cores have no rest in any topology."""

_SMOKE_USERS = 8
# LocalController's many groups take as long to make as all the rest.
_SMOKE_WORKLOADS = tuple(name for name in WORKLOADS if name != "LocalController")
_SMOKE_CONFLICTS = frozenset(("MVCC_READ_CONFLICT", "ENDORSEMENT_MISMATCH"))
_HEAD = f"{'topology':<13} {'workload':<16} {'load':<11} {'tx/s':>7} {'p50':>7} {'p95':>7} {'p99':>7} {'max':>7} ms"


async def measure(bench: Bench, machine: Machine, options: argparse.Namespace) -> list[dict[str, Any]]:
    """The workloads on one topology."""
    peers, endorsers = TOPOLOGIES[bench.topology]
    floor = machine.floor(peers=peers, endorsers=endorsers)
    rows = []
    for workload in options.workload:
        targets = await bench.targets(workload)
        for rate in (None,) if options.smoke else (None, PACED):
            warmup_s = options.seconds / 4
            outcome = await run_load(
                bench,
                targets,
                rate=rate,
                concurrency=options.concurrency,
                warmup_s=warmup_s,
                duration_s=options.seconds,
            )
            row = _row(bench.topology, workload, rate, outcome)
            row["floor_share"] = None if targets[0].readonly else row["tx_s"] / floor
            row["generator_cores"] = outcome.cpu_s / (outcome.measured_s + warmup_s)
            _print(row, machine)
            rows.append(row)
    return rows


def _row(topology: str, workload: str, rate: float | None, outcome: Outcome) -> dict[str, Any]:
    latencies = outcome.latencies_s
    return {
        "topology": topology,
        "workload": workload,
        "load": "saturation" if rate is None else f"{rate:g}/s",
        "tx_s": len(latencies) / outcome.measured_s,
        "p50_ms": percentile(latencies, 0.50) * 1000,
        "p95_ms": percentile(latencies, 0.95) * 1000,
        "p99_ms": percentile(latencies, 0.99) * 1000,
        "max_ms": (latencies[-1] if latencies else float("nan")) * 1000,
        "refused": outcome.refused,
    }


def _print(row: dict[str, Any], machine: Machine) -> None:
    line = (
        f"{row['topology']:<13} {row['workload']:<16} {row['load']:<11} {row['tx_s']:7.0f} {row['p50_ms']:7.1f} "
        f"{row['p95_ms']:7.1f} {row['p99_ms']:7.1f} {row['max_ms']:7.1f}   "
        f"generator {row['generator_cores']:.2f} of {machine.cores} cores"
    )
    if row["load"] == "saturation" and row["floor_share"] is not None:
        line += f", {row['floor_share']:.0%} of the floor"
    if row["refused"]:
        line += f", not VALID {row['refused']}"
    print(line, flush=True)


def below_guard(rows: list[dict[str, Any]]) -> list[str]:
    """What is too slow, in words."""
    said = []
    for row in rows:
        guard = GUARDS.get((row["topology"], row["workload"]))
        if row["load"] == "saturation" and guard is not None and row["floor_share"] < guard:
            said.append(
                f"{row['topology']}, {row['workload']}: {row['floor_share']:.1%} of the floor, guard {guard:.0%}"
            )
    return said


def not_valid(rows: list[dict[str, Any]]) -> list[str]:
    """What was not VALID, in words. A workload of conflicts may have some."""
    said = []
    for row in rows:
        allowed = _SMOKE_CONFLICTS if row["workload"] == "read-write" else frozenset()
        failed = {code: number for code, number in row["refused"].items() if code not in allowed}
        if failed or not row["tx_s"]:
            said.append(f"{row['topology']}, {row['workload']}: {failed or 'nothing became VALID'}")
    return said


async def run(options: argparse.Namespace) -> list[dict[str, Any]]:
    """Measure and print."""
    machine = measure_machine()
    print(
        f"{machine.cores} cores, {machine.processor}, Python {machine.python}, commit {machine.commit}; "
        f"P-256 sign {machine.sign_s * 1e6:.0f} us, verify {machine.verify_s * 1e6:.0f} us\n{_HEAD}",
        flush=True,
    )
    rows: list[dict[str, Any]] = []
    folder = options.out.absolute() / "network"
    for topology in options.topology:
        async with running_bench(topology, folder, port_offset=options.port_offset) as bench:
            rows += await measure(bench, machine, options)
    report = {"machine": machine.to_dict(), "seconds": options.seconds, "rows": rows}
    (options.out / "quick.json").write_bytes(jsontext.dumps(report))
    return rows


def main() -> int:
    """Read the options and run; 1 if a guard fails. The rows are kept in ``--out``."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.bench_quick", description=__doc__)
    parser.add_argument("--topology", action="append", choices=sorted(TOPOLOGIES), help="default: all; of --smoke: one")
    parser.add_argument("--workload", action="append", choices=WORKLOADS)
    parser.add_argument("--seconds", type=float, help="measured time of each load (default: 4.5; of --smoke: 1)")
    parser.add_argument("--concurrency", type=int, help="transactions under way at saturation (default: 512)")
    parser.add_argument("--smoke", action="store_true", help="a second of each workload; everything must be VALID")
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
