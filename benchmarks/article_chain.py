"""The relay article's algorithm on this machine: ``python -m benchmarks.article_chain --nodes 1 4 8 --lengths 0 100``.

For each number of nodes and each length of the chain it measures the time from the completion of a capture at the
relay to its block on every node. Then it shows what the algorithm does when one node is dead, and when two nodes mine
at once. Nobody waits between minutes: a server is told at once that a capture is complete, which favours the algorithm.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import statistics
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from benchmarks.article.network import chain_of, running_article_network
from benchmarks.measure.machine import this_machine
from benchmarks.measure.results import Latency
from gridledger import jsontext
from gridledger.command_line import EXIT_INTERRUPTED
from gridledger.demonstration.running import run_to_end
from gridledger.files import write_atomically
from services.relay.article import next_proof

_STORED_EVERY = 250
_PREFILLED_BY = "Red_BKC_NODO_5004"


def prefilled(folder: Path, length: int) -> Path:
    """A file with a chain of ``length`` captures. Proofs are kept in ``folder`` as they are found."""
    path, store = folder / f"chain-{length}.json", folder / "proofs.json"
    if not path.exists():
        folder.mkdir(parents=True, exist_ok=True)
        proofs: list[int] = json.loads(store.read_bytes()) if store.exists() else [1]
        while len(proofs) <= length:
            proofs.append(next_proof(proofs[-1]))
            if len(proofs) % _STORED_EVERY == 0 or len(proofs) > length:
                write_atomically(store, jsontext.dumps(proofs))
                print(f"{len(proofs):,} of {length + 1:,} proofs", file=sys.stderr, flush=True)
        chain = chain_of(length, proofs, _PREFILLED_BY)
        write_atomically(path, json.dumps({"1_length": len(chain), "2_chain": chain}).encode())
    return path


async def measure(folder: Path, nodes: int, length: int, minutes: int) -> dict[str, Any]:
    """Update times of so many minutes, the nodes in turn. One minute before is not counted."""
    chain = prefilled(folder, length) if length else None
    times: list[float] = []
    phases: list[dict[str, float]] = []
    async with running_article_network(nodes, chain=chain) as network:
        await network.update_s(0)
        for minute in range(minutes):
            seconds, told = await network.update_s(minute % nodes)
            if "stopped" in told or len(set(await network.lengths())) != 1:
                raise SystemExit(f"minute {minute} did not reach every node: {told}")
            times.append(seconds)
            phases.append(told["phases"])
    latency = Latency.of(times)
    return {
        "nodes": nodes,
        "length": length,
        "minutes": minutes,
        "update": latency.model_dump() if latency else None,
        "phases_ms": {name: 1000 * statistics.median(found[name] for found in phases) for name in phases[0]},
    }


async def with_a_dead_node(nodes: int, minutes: int) -> dict[str, Any]:
    """Kill one node behind the first minute: what the next minutes come to."""
    async with running_article_network(nodes) as network:
        await network.update_s(0)
        await network.kill(nodes - 1)
        told = [(await network.update_s(minute % (nodes - 1)))[1] for minute in range(minutes)]
        captures = max(map(len, await network.captures()))
    stopped = [item["stopped"] for item in told if "stopped" in item]
    return {"nodes": nodes, "minutes": minutes, "on the chain": captures - 1, "stopped": stopped}


async def with_two_at_once() -> dict[str, Any]:
    """One node reads a minute, another the next one before the first has published: which minute is lost."""
    async with running_article_network(3) as network:
        await network.update_s(2)
        delivered = []
        for node in (0, 1):
            delivered.append(network.next_minute())
            await network.advance(node, "collect")
        await asyncio.gather(network.advance(0, "mine"), network.advance(1, "mine"))
        delivered.append(network.next_minute())
        await network.advance(1)
        chains = await network.captures()
    return {"delivered": delivered, "lost": [time for time in delivered if any(time not in chain for chain in chains)]}


async def run(options: argparse.Namespace) -> dict[str, Any]:
    """Measure all; the report."""
    rows = []
    for length in options.lengths:
        for nodes in options.nodes:
            rows.append(await measure(options.out.absolute(), nodes, length, options.minutes))
            print(line_of(rows[-1]), flush=True)
    return {
        "machine": this_machine().to_dict(),
        "rows": rows,
        "dead node": await with_a_dead_node(4, 3),
        "two at once": await with_two_at_once(),
    }


def line_of(row: dict[str, Any]) -> str:
    """A row of the table."""
    update = row["update"]
    phases = ", ".join(f"{name} {value:.1f}" for name, value in row["phases_ms"].items())
    return (
        f"| {row['nodes']} | {row['length']:,} | {row['minutes']} | {update['p50_ms']:.1f} | {update['p99_ms']:.1f} "
        f"| {update['max_ms']:.1f} | {phases} |"
    )


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print, and write article.json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.article_chain", description=__doc__)
    parser.add_argument("--nodes", type=int, nargs="+", default=[1, 4, 8, 15])
    parser.add_argument("--lengths", type=int, nargs="+", default=[0, 100, 1000], help="captures on the chain before")
    parser.add_argument("--minutes", type=int, default=20, help="captures measured of each")
    parser.add_argument("--out", type=Path, default=Path("out/relay-bench/article"))
    options = parser.parse_args(argv)
    try:
        return run_to_end(_report(options))
    except (KeyboardInterrupt, asyncio.CancelledError):
        return EXIT_INTERRUPTED


async def _report(options: argparse.Namespace) -> int:
    print("| nodes | captures before | minutes | p50 ms | p99 ms | max ms | median ms of each phase |")
    print("|---|---|---|---|---|---|---|")
    report = await run(options)
    dead, race = report["dead node"], report["two at once"]
    reason = dead["stopped"][0] if dead["stopped"] else "nothing stopped"
    of, chained = dead["minutes"], dead["on the chain"]
    print(f"\nWith one of {dead['nodes']} nodes dead: {chained} of {of} minutes reach the chain ({reason}).")
    lost = race["lost"]
    print(f"Two nodes at once: of {len(race['delivered'])} minutes {len(lost)} lost ({', '.join(lost)}).")
    options.out.mkdir(parents=True, exist_ok=True)
    write_atomically(options.out / "article.json", jsontext.dumps(report))
    return 0


if __name__ == "__main__":
    sys.exit(main())
