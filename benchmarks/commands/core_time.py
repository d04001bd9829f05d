"""Core time of one transaction: ``python -m benchmarks.commands.core_time --topology three-shards --workload put``.

On a shared machine throughput says more about its other users than about the ledger. This command starts a topology
anew, offers a load that the machine sustains, and divides the processor time of each kind of process by the
transactions that became VALID. Context switches show how often processes were woken, transactions per block how many
transactions shared a block's costs.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from pathlib import Path

from benchmarks.load.bench_network import BenchNetwork, running_bench_network
from benchmarks.load.plan import CLOSED_LOOP, ControllerSpec, LoadSpec, LoadStream
from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.engine_run import EngineRun, run_load
from benchmarks.measure.processes import KINDS, Usage, usage_by_kind

_STARTUP_S = 2.5
_WORKLOADS = {"put": "put", "vsi": "ComputeVSI"}


def spec_of(options: argparse.Namespace) -> LoadSpec:
    """The load that the options ask for."""
    rate = {"tps": options.rate} if options.concurrency is None else {"users": options.concurrency}
    kind = "fixed-rate" if options.concurrency is None else CLOSED_LOOP
    return LoadSpec(
        workload=_WORKLOADS[options.workload],
        controller=ControllerSpec(type=kind, opts=rate),
        duration_s=options.seconds,
        warmup_s=options.warmup,
    )


async def measure(network: BenchNetwork, streams: list[LoadStream], spec: LoadSpec) -> None:
    """Offer the load once, and print what it took."""
    start_at = time.time() + _STARTUP_S
    load = asyncio.create_task(run_load(network, streams, spec, start_at=start_at))
    begin_at = start_at + spec.warmup_s
    await asyncio.sleep(begin_at - time.time())
    blocks, begun = await _height(network, streams), usage_by_kind()
    await asyncio.sleep(begin_at + (spec.duration_s or 0.0) - time.time())
    ended, blocks = usage_by_kind(), await _height(network, streams) - blocks
    print_usage(await load, {kind: ended[kind].plus(used, -1) for kind, used in begun.items()}, blocks)


async def _height(network: BenchNetwork, streams: list[LoadStream]) -> int:
    """The number of blocks of all channels under load."""
    return sum([await network.height(stream) for stream in {stream.channel: stream for stream in streams}.values()])


def print_usage(run: EngineRun, used: dict[str, Usage], blocks: int) -> None:
    """Print microseconds and context switches for each VALID transaction, by kind of process."""
    count = max(1, run.outcome.valid)
    total = Usage()
    print(f"{'process':<16} {'us/tx':>7} {'waits/tx':>9} {'preempted/tx':>13}")
    for kind in KINDS.values():
        if kind in used:
            total = total.plus(used[kind])
            print(_line(kind, used[kind], count))
    print(_line("all", total, count))
    latency, failed = run.outcome.latency, run.outcome.failed
    print(
        f"{run.tx_s:.0f} tx/s, {count / max(1, blocks):.1f} transactions a block"
        + (f", latency p50 {latency.p50_ms:.1f}, p99 {latency.p99_ms:.1f} ms" if latency else "")
        + (f", refused {failed}" if failed else ""),
        flush=True,
    )


def _line(kind: str, used: Usage, count: int) -> str:
    return f"{kind:<16} {used.cpu_s * 1e6 / count:7.0f} {used.waits / count:9.1f} {used.preempted / count:13.1f}"


async def run(options: argparse.Namespace) -> int:
    """Start the network, measure as often as asked."""
    folder, spec = options.out.absolute() / "network", spec_of(options)
    async with running_bench_network(options.topology, folder, port_offset=options.port_offset) as network:
        streams = await network.streams(spec.workload)
        load = f"{options.concurrency} at a time" if spec.closed else f"offered {options.rate:g} tx/s"
        print(f"{options.topology}, {options.workload}, {load} for {options.seconds:g} s")
        for _ in range(options.repeat):
            await measure(network, streams, spec)
    return 0


def main() -> int:
    """Read the options and run."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.core_time", description=__doc__)
    parser.add_argument("--topology", default="three-shards", choices=TOPOLOGIES)
    parser.add_argument("--workload", default="put", choices=_WORKLOADS)
    parser.add_argument("--rate", type=float, default=200.0, help="transactions per second on offer")
    parser.add_argument("--concurrency", type=int, help="instead of a rate: so many transactions at a time, saturation")
    parser.add_argument("--seconds", type=float, default=10.0, help="measured time of each load")
    parser.add_argument("--warmup", type=float, default=3.0, help="seconds of load before the measured time")
    parser.add_argument("--repeat", type=int, default=1, help="how often to measure")
    parser.add_argument("--port-offset", type=int, default=10_000)
    parser.add_argument("--out", type=Path, default=Path("out/bench"))
    return asyncio.run(run(parser.parse_args()))


if __name__ == "__main__":
    sys.exit(main())
