"""The planner at work: records go to every channel that uses them, and anew when power has turned at a border."""

from __future__ import annotations

import asyncio
from collections.abc import Iterable

from gridledger.grid.grouping import adjacent_pairs, components, merged_id, neighbours
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner, Record
from services.feeder.ledger import Callers, Clock, Layout
from services.feeder.retry import persistently

_AT_ONCE = 8


class RecordOffice:
    """Submits the records of one planner, and remembers which directions of power they hold for."""

    def __init__(self, planner: Planner, layout: Layout, callers: Callers, clock: Clock) -> None:
        self.planner = planner
        self._layout = layout
        self._callers = callers
        self._clock = clock
        self._inflow: dict[str, list[bool]] = {}
        self._merged: set[str] = set()
        self._renewed_us: dict[str, int] = {}
        self._renewing = asyncio.Lock()
        self._sending = asyncio.Semaphore(_AT_ONCE)

    async def submit_all(self, state: GridState) -> int:
        """Records of all groups, of all pairs that touch, and, with three groups, of all together; their number."""
        groups = sorted(self.planner.grouping, key=int)
        pairs = adjacent_pairs(self.planner.case, self.planner.grouping)
        triple = [merged_id(groups)] if len(groups) == 3 else []  # noqa: PLR2004 - what a pair of three can grow into
        wanted = [*groups, *pairs, *triple]
        await self._submit(wanted, state)
        return sum(len(self._layout.channels_using(group)) for group in wanted)

    async def renew(self, group: str, state: GridState, measured_us: int) -> tuple[str, ...]:
        """New records for those components of `group` at whose border power has turned; their ids.

        None for a frame that was measured before the last renewal ended: the next frame tells whether that was enough.
        """
        async with self._renewing:
            parts = [part for part in components(group) if measured_us > self._renewed_us.get(part, -1)]
            turned = [part for part in parts if self._inflow.get(part) != self.planner.area(part).inflow(state)]
            # None has, by what we know: then others' records stand there.
            renewed = tuple(turned or parts)
            await self._submit(renewed, state)
            self._renewed_us |= dict.fromkeys(renewed, self._clock.now_us())
            return renewed

    async def match(self, state: GridState) -> None:
        """New records for the groups whose last ones, as far as we know, do not hold for `state`."""
        grouping = self.planner.grouping
        turned = [g for g in grouping if g in self._inflow and self._inflow[g] != self.planner.area(g).inflow(state)]
        await self._submit(turned, state)

    async def provide_merges(self, group: str, state: GridState) -> None:
        """Records for `group` merged with each neighbour: one of them is what GlobalController makes next."""
        near = neighbours(self.planner.case, self.planner.grouping, group)
        await self._submit({merged_id((group, other)) for other in near} - self._merged, state)

    async def _submit(self, groups: Iterable[str], state: GridState) -> None:
        async with asyncio.TaskGroup() as tasks:
            for group in sorted(groups):
                record = self.planner.record(group, state)
                for channel in self._layout.channels_using(group):
                    tasks.create_task(self._send(channel, record))
                if "inflow" in record:
                    self._inflow[group] = record["inflow"]
                if "_" in group:
                    self._merged.add(group)

    async def _send(self, channel: str, record: Record) -> None:
        planner = self._callers.planner(channel)
        async with self._sending:
            await persistently(self._clock, lambda: planner.submit(channel, "InitialGrouping", record))
