"""``python -m benchmarks.forensics batches``: PMUs at 50 frames a second, a batch of each minute on the ledger.

Two stretches, one behind the other: batches that go one a transaction, and five. In each, the batches of so many PMUs
come at their real rate; then a number of batches waits and goes as fast as it can. What a batch takes on the disk is
read off the section's blocks and off the whole folder of its ledger, world state and index with it. Exit code 1 where a
bar is missed.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any, Final

from benchmarks.forensics.measuring import Cpu, grown, outcome, tell
from benchmarks.forensics.network import Section, running_section
from benchmarks.forensics.node import Node, forwarding
from benchmarks.forensics.rows import COLUMNS, NOISES, ROWS, minute
from benchmarks.forensics.tables import MINUTES_A_YEAR, batches_table
from benchmarks.relay.results import Results
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, tell_error
from gridledger.demonstration.running import run_to_end
from gridledger.errors import GridLedgerError
from gridledger.evidence.events import BATCH, batch_body
from gridledger.evidence.rows import synopsis_of
from services.lightnode.recorder.records import Entry

MINUTE_US: Final = 60_000_000
BAR_GB: Final = 2.0
"""A PMU and year on the chain, five batches a transaction."""
GROUPS: Final = (1, 5)
_DRAIN_WITHIN_S: Final = 120.0
_KINDS: Final = 20
"""Different synopses, which are made before the clock runs."""


class Minutes:
    """Batches of PMUs, minute after minute of each."""

    def __init__(self) -> None:
        noise = NOISES["0.1 %"]
        self._synopses = [synopsis_of(COLUMNS, minute(number, noise)) for number in range(_KINDS)]
        self._next: dict[str, int] = {}
        self._begin_us = (time.time_ns() // 1000 // MINUTE_US - 60) * MINUTE_US

    def batch(self, device: str) -> Entry:
        """The next minute of a PMU. Hashes are random, as those of real rows look."""
        number = self._next.get(device, 0)
        self._next[device] = number + 1
        from_us = self._begin_us + number * MINUTE_US
        body = batch_body(
            from_us=from_us,
            to_us=from_us + MINUTE_US,
            rows=ROWS,
            root=os.urandom(32).hex(),
            sha256=os.urandom(32).hex(),
            uri=f"https://rows.kyiv.example/{device}/{from_us}.parquet",
            synopsis=self._synopses[(hash(device) + number) % _KINDS],
        )
        return Entry(device, BATCH, from_us, body)


async def at_real_rate(node: Node, minutes: Minutes, group: int, options: argparse.Namespace) -> tuple[float, float]:
    """PMU after PMU hands in the minutes of a group, so often that all of them have one batch a minute."""
    gap_s = 60.0 * group / options.pmus
    begin = time.monotonic()
    for number in range(int(options.seconds / gap_s)):
        due_at = begin + number * gap_s
        await asyncio.sleep(max(0.0, due_at - time.monotonic()))
        device = node.devices[number % len(node.devices)]
        await asyncio.gather(*(node.tell(minutes.batch(device), due_at) for _ in range(group)))
    await asyncio.sleep(max(0.0, begin + options.seconds - time.monotonic()))
    return begin, time.monotonic()


async def measure_group(section: Section, node: Node, group: int, options: argparse.Namespace) -> dict[str, Any]:
    """One stretch: so many batches in a transaction."""
    minutes = Minutes()
    before, cpu_before = section.sizes(), Cpu.now()
    begin, end = await at_real_rate(node, minutes, group, options)
    numbers = list(node.due_at)
    used = Cpu.now().ms_since(cpu_before, len(node.due_at))
    began, waiting = time.monotonic(), options.waiting // group * group
    devices = [device for device in node.devices for _ in range(group)][:waiting]
    await asyncio.gather(*(node.tell(minutes.batch(device), began) for device in devices))
    done = await node.drained(_DRAIN_WITHIN_S)
    took_s = time.monotonic() - began
    batches = len(node.due_at)
    return {
        "group": group,
        **outcome(node, numbers, begin, end),
        "all_valid": done,
        "most_batches_per_s": round(len(devices) / took_s, 1),
        "needed_batches_per_s": round(options.pmus / 60, 1),
        "all_batches": batches,
        "all_transactions": len(node.recorder.transactions),
        "cpu_ms_per_batch": used,
        "bytes_per_batch": grown(section, before, batches),
    }


async def measure(options: argparse.Namespace) -> dict[str, Any]:
    """Both groups, on one network, by a light node each."""
    runs = []
    async with running_section(options.folder, options.port_offset) as section:
        for group in GROUPS:
            async with section.ledger(f"ln-{group}") as ledger:
                pmus = [f"pmu-{group}-{number:04d}" for number in range(options.pmus)]
                node = Node(section.folder.root / "lightnodes" / str(group), ledger, pmus, at_once=64, gathered=group)
                await section.admit(node.proof_keys())
                tell(f"{len(pmus)} PMUs are admitted")
                async with forwarding(node):
                    await node.asked_all()
                    runs.append(await measure_group(section, node, group, options))
                    tell(f"{runs[-1]}")
    return {"runs": runs}


def missed(runs: Sequence[dict[str, Any]]) -> list[str]:
    """What missed its bar."""
    found = [f"{run['group']} a transaction: not all became VALID" for run in runs if not run["all_valid"]]
    found += [
        f"{run['group']} a transaction: {run['most_batches_per_s']} batches/s at most"
        for run in runs
        if run["most_batches_per_s"] < run["needed_batches_per_s"]
    ]
    year_gb = runs[-1]["bytes_per_batch"]["blocks"] * MINUTES_A_YEAR / 1e9
    if year_gb > BAR_GB:
        found.append(f"{year_gb:.2f} GB a PMU and year in the blocks, the bar is {BAR_GB:g}")
    return found


async def run(options: argparse.Namespace) -> int:
    """Measure, or take what is stored for this commit."""
    results = Results(options.out / "batches.json", anew=options.anew)
    configuration = {name: getattr(options, name) for name in ("pmus", "seconds", "waiting")}
    found = await results.of(configuration, lambda: measure(options))
    results.write_table(batches_table(found["runs"], options.pmus))
    failed = missed(found["runs"])
    for text in failed:
        print(f"MISSED: {text}", file=sys.stderr)
    return EXIT_FAILED if failed else 0


def main(argv: Sequence[str]) -> int:
    """The command; the exit code is 1 where a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.forensics batches", description=__doc__)
    parser.add_argument("--out", type=Path, default=Path("out/forensics-bench"), help="where results go")
    parser.add_argument("--port-offset", type=int, default=20_000, help="add this to every port")
    parser.add_argument("--pmus", type=int, default=500, help="(default: 500)")
    parser.add_argument("--seconds", type=float, default=60.0, help="at the real rate, of each group (default: 60)")
    parser.add_argument("--waiting", type=int, default=1000, help="batches that wait then (default: 1,000)")
    parser.add_argument("--anew", action="store_true", help="measure again what is stored")
    options = parser.parse_args(argv)
    options.folder = options.out.absolute() / "network"
    try:
        return run_to_end(run(options))
    except GridLedgerError as error:
        return tell_error(error)
    except (KeyboardInterrupt, asyncio.CancelledError):
        return EXIT_INTERRUPTED
