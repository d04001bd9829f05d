"""A stream of the feeder whose frames come from the grid's PMUs: ``gridledger feeder --pmu``."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from contextlib import asynccontextmanager
from random import SystemRandom

from services.feeder.clock import Clock
from services.feeder.pmu.concentrator import Concentrator
from services.feeder.pmu.measurement import GridPmus, Streams
from services.feeder.scenario_runner import ScenarioRunner


@asynccontextmanager
async def measured_by_pmus(
    runner: ScenarioRunner, streams: Streams | None, *, rate: float, clock: Clock, tell: Callable[[str], None]
) -> AsyncIterator[None]:
    """In the block the runner's frames come from PMUs over C37.118 that sample the grid.

    Where ``streams`` is None, nothing is changed.
    """
    if streams is None:
        yield
        return
    pmus = GridPmus(
        runner.plant,
        runner.planner.area,
        rate=rate,
        now_us=clock.now_us,
        random=SystemRandom(),
        streams=streams,
        tell=tell,
    )
    async with pmus.running():
        assert pmus.concentrator is not None  # noqa: S101 - it is running
        buses = len(runner.planner.case.numbers)
        tell(f"{buses} PMUs send C37.118 in {len(pmus.concentrator.clients)} streams, {rate:g} frames/s")
        sampling = asyncio.create_task(pmus.keep_sampling())
        runner.pmus = pmus
        try:
            yield
        finally:
            runner.pmus = None
            sampling.cancel()
            await asyncio.gather(sampling, return_exceptions=True)
            tell(told(pmus.concentrator))


def told(concentrator: Concentrator) -> str:
    """What the concentrator took and what not, in a line."""
    alignment = concentrator.alignment
    frames = sum(client.counts["frames"] for client in concentrator.clients.values())
    counted = {"late": alignment.late, "missing": alignment.missing, "bad": alignment.bad, "off": alignment.off}
    return f"C37.118: {frames} data frames; readings " + ", ".join(f"{c.total()} {what}" for what, c in counted.items())
