"""A stream while it runs, for whoever changes it meanwhile."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import dataclass

from gridledger.grid.plant import Plant
from gridledger.grid.records import Planner
from services.feeder.coordinator import Coordinator
from services.feeder.scenario_run import ScenarioRun
from services.feeder.schedule import Change
from services.feeder.stream_clock import StreamClock


@dataclass(frozen=True, slots=True)
class LiveStream:
    """``carry_out`` does a change of the grid; ``note`` records something else that was done, by kind and text."""

    run: ScenarioRun
    planner: Planner
    plant: Plant
    coordinator: Coordinator
    clock: StreamClock
    carry_out: Callable[[Change], Awaitable[None]]
    note: Callable[[str, str], None]
    counts: Callable[[], tuple[int, int]]
    """How many frames were sent, and how many committed."""


Operator = Callable[[LiveStream], Awaitable[None]]
"""Works on a stream until it is cancelled."""
