"""Measures a curve's points without a network: ``figures_child.py FOLDER [X]``, where at X it waits to be killed.

A line on standard output names each x when its load begins.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.figures.run import Run
from benchmarks.figures.store import Basis, Store
from benchmarks.figures.sweeps import load_sweeps
from tests.support.loads import made_load

BASIS = Basis(commit="0123", processor="p", cores=4, python="3.11", seconds_per_point=20.0, quick=False)


@asynccontextmanager
async def start(_topology):
    yield


def main(folder: str, stuck_at: str = "") -> None:
    """Run to the end, or to that x."""
    points = load_sweeps()[0].points("no-shard", most_seconds=20.0, quick=True)

    async def measure(_bench, spec):
        rate = spec.controller.opts["tps"]
        if spec.transactions:
            print(f"{rate:g}", flush=True)
        if f"{rate:g}" == stuck_at:
            await asyncio.Event().wait()
        return made_load(tps=rate)

    def quiet(_line):
        return None

    failed = asyncio.run(Run(points, Store(Path(folder)), BASIS, start=start, measure=measure, say=quiet).run())
    sys.exit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])
