"""``python -m benchmarks.core_time --topology three-shards --workload put``: what one transaction costs in core time.

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
from collections import defaultdict
from pathlib import Path
from typing import NamedTuple

from benchmarks.bench import Bench, run_load, running_bench
from benchmarks.plan import Outcome, Target
from benchmarks.quick import PUT_BYTES, TOPOLOGIES, percentile
from gridledger.client import Gateway, SigningIdentity

_TICKS = os.sysconf("SC_CLK_TCK")
_STARTUP_S = 2.5
_KINDS = (
    ("services.peer.committer", "committers"),
    ("services.peer", "peers' edges"),
    ("services.orderer", "orderers"),
    ("gridledger.contract.host", "chaincode hosts"),
    ("benchmarks.generator", "generator"),
    ("services.ca", "CA"),
)


class Used(NamedTuple):
    """Processor time in seconds and context switches (waits, preemptions) of a group of processes."""

    cpu_s: float
    waits: int
    preempted: int

    def plus(self, other: Used, sign: int = 1) -> Used:
        """Both together; with the sign -1 the difference."""
        return Used(
            self.cpu_s + sign * other.cpu_s, self.waits + sign * other.waits, self.preempted + sign * other.preempted
        )


def descendants(root: int) -> list[int]:
    """All processes below one, by /proc."""
    children: dict[int, list[int]] = defaultdict(list)
    for entry in Path("/proc").iterdir():
        if entry.name.isdecimal() and (stat := _stat(int(entry.name))):
            children[int(stat[1])].append(int(entry.name))
    found, waiting = [], [root]
    while waiting:
        below = children[waiting.pop()]
        found += below
        waiting += below
    return found


def used_by_kind(root: int) -> dict[str, Used]:
    """What each kind of process below one has used so far."""
    sums: dict[str, Used] = defaultdict(lambda: Used(0.0, 0, 0))
    for pid in descendants(root):
        kind, stat = _kind(pid), _stat(pid)
        if kind is not None and stat is not None:
            # Fields 14 and 15 of proc(5), counted from the state, which is field 3.
            cpu_s = (int(stat[11]) + int(stat[12])) / _TICKS
            sums[kind] = sums[kind].plus(Used(cpu_s, *_switches(pid)))
    return sums


def _stat(pid: int) -> list[str] | None:
    try:
        text = Path(f"/proc/{pid}/stat").read_text(encoding="utf-8", errors="replace")
    except OSError:
        return None
    return text[text.rindex(")") + 2 :].split()


def _kind(pid: int) -> str | None:
    try:
        words = Path(f"/proc/{pid}/cmdline").read_text(encoding="utf-8", errors="replace").split("\0")
    except OSError:
        return None
    return next((kind for module, kind in _KINDS if module in words), None)


def _switches(pid: int) -> tuple[int, int]:
    waits = preempted = 0
    for status in Path(f"/proc/{pid}/task").glob("*/status"):
        try:
            lines = status.read_text(encoding="utf-8").splitlines()
        except OSError:
            continue
        numbers = {name: value.strip() for name, _, value in (line.partition(":") for line in lines)}
        waits += int(numbers["voluntary_ctxt_switches"])
        preempted += int(numbers["nonvoluntary_ctxt_switches"])
    return waits, preempted


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
    for _, kind in _KINDS:
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
    parser = argparse.ArgumentParser(prog="python -m benchmarks.core_time", description=__doc__)
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
