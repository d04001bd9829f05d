"""``make bench-quick``: a 100-byte put and ComputeVSI, at saturation and at 100 transactions per second.

Starts each topology anew, loads it from two processes on the same machine, and prints throughput, latency percentiles
(at 100/s counted from the intended send time) and the share of the floor that the machine's signatures set.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
from pathlib import Path
from typing import Any

from benchmarks.bench import PUT_BYTES, Bench, running_bench
from benchmarks.direct import Outcome, run_load
from benchmarks.machine import TOPOLOGIES, Machine, measure_machine
from benchmarks.measures import percentile
from gridledger import jsontext

PACED = 100.0
_HEAD = f"{'topology':<13} {'workload':<11} {'load':<11} {'tx/s':>7} {'p50':>7} {'p95':>7} {'p99':>7} {'max':>7} ms"


async def measure(bench: Bench, machine: Machine, topology: str, options: argparse.Namespace) -> list[dict[str, Any]]:
    """All workloads on one topology."""
    peers, endorsers = TOPOLOGIES[topology]
    floor = machine.floor(peers=peers, endorsers=endorsers)
    workloads = {"put 100 B": bench.put_targets(PUT_BYTES), "ComputeVSI": bench.vsi_targets()}
    rows = []
    for workload, targets in workloads.items():
        for rate in (None, PACED):
            outcome = await run_load(
                bench,
                targets,
                rate=rate,
                concurrency=options.concurrency,
                warmup_s=options.seconds / 4,
                duration_s=options.seconds,
            )
            row = _row(topology, workload, rate, outcome)
            row["floor_share"] = row["tx_s"] / floor
            row["generator_cores"] = outcome.cpu_s / (outcome.measured_s * 1.25)
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
        f"{row['topology']:<13} {row['workload']:<11} {row['load']:<11} {row['tx_s']:7.0f} {row['p50_ms']:7.1f} "
        f"{row['p95_ms']:7.1f} {row['p99_ms']:7.1f} {row['max_ms']:7.1f}   "
        f"generator {row['generator_cores']:.2f} of {machine.cores} cores"
    )
    if row["load"] == "saturation":
        line += f", {row['floor_share']:.0%} of the floor"
    if row["refused"]:
        line += f", refused {row['refused']}"
    print(line, flush=True)


async def run(options: argparse.Namespace) -> int:
    """Measure and print; the rows are kept in ``--out``."""
    machine = measure_machine()
    print(
        f"{machine.cores} cores, {machine.processor}, Python {machine.python}, commit {machine.commit}; "
        f"P-256 sign {machine.sign_s * 1e6:.0f} us, verify {machine.verify_s * 1e6:.0f} us\n{_HEAD}",
        flush=True,
    )
    rows: list[dict[str, Any]] = []
    for topology in options.topology or list(TOPOLOGIES):
        async with running_bench(
            topology, options.out.absolute() / "network", port_offset=options.port_offset
        ) as bench:
            rows += await measure(bench, machine, topology, options)
    options.out.mkdir(parents=True, exist_ok=True)
    report = {"machine": machine.to_dict(), "seconds": options.seconds, "rows": rows}
    (options.out / "quick.json").write_bytes(jsontext.dumps(report))
    return 0


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.quick", description=__doc__)
    parser.add_argument("--topology", action="append", choices=sorted(TOPOLOGIES))
    parser.add_argument("--seconds", type=float, default=4.5, help="measured time of each load")
    parser.add_argument("--concurrency", type=int, default=96, help="transactions under way at saturation")
    parser.add_argument("--port-offset", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
