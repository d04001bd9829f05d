"""Core time of one transaction: ``python -m benchmarks.commands.core_time --topology three-shards --workload put``.

Throughput on a shared machine says more of its other users than of the ledger. This starts a topology anew, offers a
fixed load that the machine sustains, and divides the processor time that each kind of process took by the transactions
that became VALID. Context switches tell how often the processes were woken; transactions per block what a block shared.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from pathlib import Path

from benchmarks.load.bench_network import PUT_BYTES, Bench, running_bench
from benchmarks.load.direct import Outcome, run_load
from benchmarks.load.plan import Target
from benchmarks.measure.machine import TOPOLOGIES
from benchmarks.measure.processes import KINDS, Used, used_by_kind
from benchmarks.measure.window import percentile
from gridledger.client import Gateway, SigningIdentity

_STARTUP_S = 2.5


async def heights(bench: Bench, targets: list[Target]) -> int:
    """The blocks of all channels under load."""
    total = 0
    for target in {target.channel: target for target in targets}.values():
        identity = SigningIdentity.load(target.identity)
        async with Gateway.connect(target.url, identity, roots=bench.profile.roots) as gateway:
            total += (await gateway.get_network(target.channel).get_chain_info()).height
    return total


async def measure(bench: Bench, targets: list[Target], options: argparse.Namespace) -> None:
    """Offer the load once, and print what it took."""
    start_at = time.time() + _STARTUP_S
    load = asyncio.create_task(
        run_load(
            bench,
            targets,
            rate=None if options.concurrency else options.rate,
            concurrency=options.concurrency or 1,
            start_at=start_at,
            warmup_s=options.warmup,
            duration_s=options.seconds,
        )
    )
    await asyncio.sleep(start_at + options.warmup - time.time())
    blocks, begun = await heights(bench, targets), used_by_kind(os.getpid())
    await asyncio.sleep(start_at + options.warmup + options.seconds - time.time())
    ended, blocks = used_by_kind(os.getpid()), await heights(bench, targets) - blocks
    report(await load, {kind: ended[kind].plus(begun[kind], -1) for kind in begun}, blocks)


def report(outcome: Outcome, used: dict[str, Used], blocks: int) -> None:
    """Print a table: microseconds and context switches for each VALID transaction, by kind of process."""
    latencies = outcome.latencies_s
    count = max(1, len(latencies))
    total = Used(0.0, 0, 0)
    print(f"{'process':<16} {'us/tx':>7} {'waits/tx':>9} {'preempted/tx':>13}")
    for _, kind in KINDS:
        mine = used.get(kind)
        if mine is not None:
            total = total.plus(mine)
            print(_line(kind, mine, count))
    print(_line("all", total, count))
    print(
        f"{count / outcome.measured_s:.0f} tx/s, {count / max(1, blocks):.1f} transactions a block, latency p50 "
        f"{percentile(latencies, 0.5) * 1000:.1f}, p99 {percentile(latencies, 0.99) * 1000:.1f} ms"
        + (f", refused {outcome.refused}" if outcome.refused else ""),
        flush=True,
    )


def _line(kind: str, used: Used, count: int) -> str:
    return f"{kind:<16} {used.cpu_s * 1e6 / count:7.0f} {used.waits / count:9.1f} {used.preempted / count:13.1f}"


async def run(options: argparse.Namespace) -> int:
    """Start, measure as often as asked, stop."""
    folder = options.out.absolute() / "network"
    async with running_bench(options.topology, folder, port_offset=options.port_offset) as bench:
        targets = bench.vsi_targets() if options.workload == "vsi" else bench.put_targets(PUT_BYTES)
        load = f"{options.concurrency} at a time" if options.concurrency else f"offered {options.rate:g} tx/s"
        print(f"{options.topology}, {options.workload}, {load} for {options.seconds:g} s")
        for _ in range(options.repeat):
            await measure(bench, targets, options)
    return 0


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.core_time", description=__doc__)
    parser.add_argument("--topology", default="three-shards", choices=sorted(TOPOLOGIES))
    parser.add_argument("--workload", default="put", choices=("put", "vsi"))
    parser.add_argument("--rate", type=float, default=200.0, help="transactions per second on offer")
    parser.add_argument("--concurrency", type=int, help="instead of a rate: so many transactions at a time, saturation")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each load")
    parser.add_argument("--warmup", type=float, default=3.0, help="seconds of load before that")
    parser.add_argument("--repeat", type=int, default=1, help="how often")
    parser.add_argument("--port-offset", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
