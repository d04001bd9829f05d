"""Carrying out changes of the grid while its frames are sent: what a schedule or a person says shall happen."""

from __future__ import annotations

import asyncio

from gridledger.errors import InputError, TimeoutExceeded
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import PowerFlowDiverged
from gridledger.grid.records import Planner
from services.feeder.coordinator import Coordinator
from services.feeder.dvs_client import DvsClient
from services.feeder.frames_in_flight import FramesInFlight
from services.feeder.schedule import Change, LineChange, LoadChange, VvcChange

FRAMES_END_WITHIN_S = 30.0


class GridChanges:
    """Carries out one change after the other. A change that fails has changed nothing."""

    def __init__(
        self, planner: Planner, *, plant: Plant, coordinator: Coordinator, dvs: DvsClient, frames: FramesInFlight
    ) -> None:
        self.vvc_given = 0.0
        """How much was given beside what was injected, p.u.; negative: taken away."""
        self._one_at_a_time = asyncio.Lock()
        self._planner = planner
        self._plant = plant
        self._coordinator = coordinator
        self._dvs = dvs
        self._frames = frames

    async def carry_out(self, change: Change) -> None:
        """Do it. Raises InputError where the grid cannot: it has no such bus, or no power flow would be left."""
        async with self._one_at_a_time:
            await self._carry_out(change)

    async def _carry_out(self, change: Change) -> None:
        if isinstance(change, LoadChange):
            self._set_loads(change)
        elif isinstance(change, LineChange):
            self._plant.set_outage(change.branch, change.out)
        else:
            for group, mvar in self._by_group(change).items():
                await self._give(group, mvar)

    def _set_loads(self, change: LoadChange) -> None:
        before = {bus: self._plant.demand(bus) for bus in change.buses}
        self._plant.set_loads(change.loads)
        try:
            self._plant.state()
        except PowerFlowDiverged:
            self._plant.set_loads(before)
            raise

    def _by_group(self, change: VvcChange) -> dict[str, dict[int, float]]:
        home = {bus: group for group, members in self._planner.grouping.items() for bus in members}
        found: dict[str, dict[int, float]] = {}
        for bus, mvar in change.mvar.items():
            if bus not in home:
                raise InputError(f"there is no bus {bus}")
            found.setdefault(home[bus], {})[bus] = mvar
        return found

    async def _give(self, group: str, mvar: dict[int, float]) -> None:
        """Replace what some buses of a group may inject.

        The group leaves its merge and is not measured meanwhile: an injection between reading the list and writing it
        would be forgotten.
        """
        async with self._coordinator.apart(group):
            if not await self._frames.ended(group, FRAMES_END_WITHIN_S):
                raise TimeoutExceeded(f"frames of group {group} are on their way for {FRAMES_END_WITHIN_S:g} s")
            await self._coordinator.loop(group).catch_up()
            left = (await self._dvs.query(group, "GetResources"))["vvc"]
            base = self._planner.case.base_mva
            wanted = {**left, **{str(bus): q / base for bus, q in mvar.items()}}
            await self._dvs.submit(group, "UpdateResources", vvc=wanted)
            self.vvc_given += sum(wanted.values()) - sum(left.values())
