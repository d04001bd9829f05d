"""The plant: the grid with its actuators and meters, which outlives the aggregators that control it.

An actuator carries out every action of a group once, in the order of the actions' numbers; a meter says in each frame
how many actions the measurement shows (``applied``). So another aggregator can take over, and the contract does not
answer one sag twice.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from gridledger.errors import ConflictError
from gridledger.grid.area import Area, area_of
from gridledger.grid.case import Case
from gridledger.grid.frames import Frame, FrameMaker
from gridledger.grid.power_flow import Grid, GridState
from gridledger.grid.vvc_source import VvcSource


class ActionOutOfOrder(ConflictError):
    """An action came before the one that precedes it; fetch the missing ones from the ledger first."""

    code = "ACTION_OUT_OF_ORDER"


class Plant:
    """The grid, its actuators and its meters.

    ``area_of`` tells a group's members; frames show them on the grid as it now is. ``sources`` tells how the devices at
    some buses give what is ordered of them, ``reference_rows`` that frames have a row of the reference bus, too.
    ``load_changes`` counts what changes from outside: demand, lines, resets.
    """

    def __init__(
        self,
        grid: Grid,
        area_of: Callable[[str], Area],
        *,
        sources: Mapping[int, VvcSource] | None = None,
        reference_rows: bool = False,
    ) -> None:
        self.grid = grid
        self.load_changes = 0
        if sources is not None:
            grid.sources = dict(sources)
        self._area_of = area_of
        self._reference_rows = reference_rows
        self._makers: dict[str, FrameMaker] = {}
        self._applied: dict[str, int] = {}
        self._last_time: dict[str, int] = {}

    @property
    def case(self) -> Case:
        """The case as it now is: without the lines that are out, generators at a limit as load buses.

        The same object while nothing of that changes. Raises PowerFlowDiverged where the loads have no solution.
        """
        return self.grid.case

    @property
    def topology(self) -> int:
        """How often ``case`` changed."""
        self.grid.state()
        return self.grid.topology

    def reset(self) -> None:
        """The case's own loads, nothing injected, no line out, no action known; times go on."""
        self.grid.reset()
        self._applied.clear()
        self.load_changes += 1

    def set_loads(self, loads: Mapping[int, tuple[float, float]]) -> None:
        """Change the demand (MW, MVAr) of some buses; what is injected there stays."""
        self.grid.set_loads(loads)
        self.load_changes += 1

    def demand(self, bus: int) -> tuple[float, float]:
        """The demand (MW, MVAr) of a bus, without what is injected there; raises InputError for no bus of the case."""
        return self.grid.demand(bus)

    def set_outage(self, branch: tuple[int, int, int], out: bool) -> None:
        """Take a line out or bring it back: (f, t, n), the n-th of the parallel ones between two buses.

        Raises InputError, and changes nothing, where there is no such line, where buses would be cut off, and where
        Newton finds no state (PowerFlowDiverged).
        """
        if self.grid.set_outage(branch, out):
            self.load_changes += 1

    @property
    def standing(self) -> Mapping[int, float]:
        """What the actions carried out so far have left injected, MVAr by bus number, ascending."""
        return self.grid.standing

    def state(self) -> GridState:
        """The solved state now."""
        return self.grid.state()

    def knows(self, group: str) -> bool:
        """Whether it was said where the count of this group's actions stands."""
        return group in self._applied

    def applied(self, group: str) -> int:
        """How many actions of the group the grid shows."""
        return self._applied.get(group, 0)

    def start_counting(self, group: str, actions: int) -> None:
        """Take the grid as it is for one that shows the first ``actions`` actions of the group."""
        self._applied[group] = actions

    def apply(self, group: str, control: Mapping[str, Any]) -> bool:
        """Carry out one action; False when it was carried out before. Raises ActionOutOfOrder.

        A negative ``q_mvar`` is a release: it takes back what stands at the bus, at most all of it.
        """
        number, done = control["action"], self.applied(group)
        if number <= done:
            return False
        if number != done + 1:
            raise ActionOutOfOrder(f"action {number} of group {group} cannot come before action {done + 1}")
        self.grid.inject(control["source_bus"], control["q_mvar"])
        self._applied[group] = number
        return True

    def frame(self, group: str, now_us: int) -> Frame:
        """What the meters of a group show, at ``now_us`` or just after the group's last frame."""
        time_us = max(now_us, self._last_time.get(group, -1) + 1)
        self._last_time[group] = time_us
        state = self.state()
        return self._maker(group).frame(state, time_us, applied=self.applied(group))

    def _maker(self, group: str) -> FrameMaker:
        """What measures a group on the grid as it now is."""
        case, maker = self.grid.case, self._makers.get(group)
        if maker is None or maker.area.case is not case:
            area = self._area_of(group)
            if area.case is not case:
                area = area_of(case, group, area.members)
            maker = self._makers[group] = FrameMaker(area, with_reference=self._reference_rows)
        return maker
