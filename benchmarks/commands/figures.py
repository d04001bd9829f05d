"""``make figures``: the thesis's four sweeps on this machine, drawn with the thesis's curves.

Measured points are kept in OUT/points and not measured again; --fresh starts over.
"""

from __future__ import annotations

import argparse
import asyncio
import sys
import time
from collections.abc import Sequence
from contextlib import AbstractAsyncContextManager
from pathlib import Path
from typing import Any

from benchmarks.figures.files import write_figures
from benchmarks.figures.point_runner import PointRunner
from benchmarks.figures.point_store import Basis, PointStore
from benchmarks.figures.sweeps import (
    NETWORK_WARMUP_S,
    QUICK_SECONDS,
    SECONDS_PER_POINT,
    WARMUP_S,
    Point,
    Sweep,
    load_sweeps,
)
from benchmarks.load.bench_network import BenchNetwork, running_bench_network
from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.locust_run import measure_load
from benchmarks.measure.machine import this_machine
from gridledger.command_line import EXIT_FAILED, EXIT_INTERRUPTED, tell_error
from gridledger.errors import GridLedgerError

_EXIT_WRONG = 2
"""The exit code where the command line or the points kept are wrong."""


def arguments() -> argparse.ArgumentParser:
    """The options of the command."""
    names = [sweep.name for sweep in load_sweeps()]
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.figures", description=__doc__)
    parser.add_argument("--sweep", action="append", choices=names, help="only this one (may be repeated)")
    parser.add_argument("--topology", action="append", choices=TOPOLOGIES, help="only this one (may be repeated)")
    parser.add_argument("--out", type=Path, help="folder to write (default: out/figures, out/figures-quick)")
    parser.add_argument("--quick", action="store_true", help="three points of a curve, 3 s each: a trial")
    parser.add_argument(
        "--max-seconds-per-point",
        type=float,
        metavar="S",
        help="send fewer transactions than the thesis where they would take longer "
        f"(default: {SECONDS_PER_POINT:g}, with --quick {QUICK_SECONDS:g})",
    )
    parser.add_argument("--port-offset", type=int, default=10_000)
    group = parser.add_mutually_exclusive_group()
    group.add_argument("--fresh", action="store_true", help="remove what was measured before")
    group.add_argument(
        "--keep", action="store_true", help="use points measured at other commits or settings as they are"
    )
    group.add_argument("--draw", action="store_true", help="measure nothing, draw the points that there are")
    return parser


def selected(options: argparse.Namespace) -> tuple[list[Sweep], list[Point]]:
    """The sweeps that were asked for and their points, in the order of measurement."""
    sweeps = [sweep for sweep in load_sweeps() if not options.sweep or sweep.name in options.sweep]
    topologies = [name for name in TOPOLOGIES if not options.topology or name in options.topology]
    return sweeps, [
        point
        for sweep in sweeps
        for topology in topologies
        for point in sweep.points(topology, most_seconds=options.max_seconds_per_point, quick=options.quick)
    ]


async def run(options: argparse.Namespace) -> int:
    """Measure the missing points and draw all; the exit code."""
    folder = (options.out or Path("out/figures-quick" if options.quick else "out/figures")).absolute()
    store = PointStore(folder / "points")
    _, points = selected(options)
    basis = Basis.of(this_machine(), seconds_per_point=options.max_seconds_per_point, quick=options.quick)
    if options.fresh:
        store.clear()
    if options.draw:
        # The points need not fit this run, only one another.
        basis = next((measured.basis for measured in store.done(points).values()), basis)
    remarks = store.check(points, basis, keep=options.keep or options.draw)
    for remark in remarks:
        _tell(f"warning: some points were measured under other conditions: {remark}")

    def start(topology: str) -> AbstractAsyncContextManager[BenchNetwork]:
        _tell(f"starting {topology}")
        return running_bench_network(topology, folder / "network", port_offset=options.port_offset)

    failed = 0
    try:
        if not options.draw:
            failed = await PointRunner(points, store, basis, start=start, measure=measure_load, tell=_tell).run()
    finally:
        # A run that was stopped draws what it has.
        _draw(options, store, folder, remarks)
    _tell(f"{folder / 'figures.html'}")
    if failed:
        print(f"error: {failed} points failed; run again to try them once more", file=sys.stderr)
    return EXIT_FAILED if failed else 0


def _draw(options: argparse.Namespace, store: PointStore, folder: Path, differences: Sequence[str]) -> None:
    sweeps, points = selected(options)
    machine = this_machine()
    results = {point: measured for point in points if (measured := store.read(point))}
    remarks = [f"Some points were measured under other conditions: {difference}." for difference in differences]
    commits = list(dict.fromkeys(measured.basis.commit for measured in results.values())) or [machine.commit]
    if any(commit.endswith("-dirty") for commit in commits):
        remarks.append("The checkout had uncommitted changes.")
    if options.quick:
        remarks.append("A trial (--quick) with few points and few transactions, not for comparison.")
    configuration: dict[str, Any] = {
        "load": "open loop at a fixed rate, from Locust's workers",
        "warm-up": f"{NETWORK_WARMUP_S:g} s at 100 tx/s for each network, {WARMUP_S:g} s before each point",
        "network": "started anew for each sweep and topology, kept for its points; three orderers, mutual TLS",
        "seconds per point": f"{options.max_seconds_per_point:g} s",
        "points": f"{sum(measured.load is not None for measured in results.values())} of {len(points)} measured",
    }
    measured_on = machine.to_dict() | {"commit": ", ".join(commits)}
    write_figures(sweeps, results, folder, machine=measured_on, configuration=configuration, remarks=remarks)


def _tell(text: str) -> None:
    print(f"{time.strftime('%H:%M:%S')} {text}", flush=True)


def parse(words: Sequence[str] | None = None) -> argparse.Namespace:
    """Read a command line and fill in the defaults."""
    options = arguments().parse_args(words)
    if options.max_seconds_per_point is None:
        options.max_seconds_per_point = QUICK_SECONDS if options.quick else SECONDS_PER_POINT
    return options


def main() -> int:
    """Read the options and run."""
    options = parse()
    if not options.max_seconds_per_point > 0:
        print("error: --max-seconds-per-point must be above 0", file=sys.stderr)
        return _EXIT_WRONG
    try:
        return asyncio.run(run(options))
    except GridLedgerError as error:
        tell_error(error)
        return _EXIT_WRONG
    except KeyboardInterrupt:
        print("stopped: run again to continue", file=sys.stderr)
        return EXIT_INTERRUPTED


if __name__ == "__main__":
    sys.exit(main())
