"""Measures a curve's points without a network: ``figures_child.py FOLDER [X]``, where at X it waits to be killed.

A line on standard output names each x when its load begins.
"""

from __future__ import annotations

import asyncio
import sys
from contextlib import asynccontextmanager
from pathlib import Path

from benchmarks.figures.point_runner import PointRunner
from benchmarks.figures.point_store import PointStore
from tests.support.loads import BASIS, made_load, points_of


@asynccontextmanager
async def start(_topology):
    yield


def main(folder: str, stuck_at: str = "") -> None:
    """Run to the end, or to that x."""
    points = points_of("no-shard")

    async def measure(_bench, spec):
        rate = spec.controller.opts["tps"]
        if spec.transactions:
            print(f"{rate:g}", flush=True)
        if f"{rate:g}" == stuck_at:
            await asyncio.Event().wait()
        return made_load(tps=rate)

    def quiet(_line):
        return None

    failed = asyncio.run(
        PointRunner(points, PointStore(Path(folder)), BASIS, start=start, measure=measure, tell=quiet).run()
    )
    sys.exit(failed)


if __name__ == "__main__":
    main(*sys.argv[1:])
