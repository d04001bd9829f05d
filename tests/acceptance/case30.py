"""case30 for the acceptance tests: the published data, the solved states, the real contract."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from gridledger.grid.frames import FrameMaker
from gridledger.grid.power_flow import Grid, GridState
from gridledger.grid.records import Profile
from tests.support.dvs_channel import TIME_US, DvsChannel, full_list
from tests.support.solved_grid import planner, power_flow


@cache
def published() -> dict[str, Any]:
    """published.json."""
    return json.loads((Path(__file__).parent / "data" / "published.json").read_text())  # type: ignore[no-any-return]


def grid_in(state: str) -> Grid:
    """case30 with the loads of a published state."""
    grid = Grid(power_flow())
    changes = published()["states"][state]["load_changes"]
    grid.set_loads({change["bus"]: (change["Pd"], change["Qd"]) for change in changes})
    return grid


class Case30Channel(DvsChannel):
    """The real contract, with records and frames of case30 at hand."""

    def __init__(self, profile: Profile) -> None:
        super().__init__()
        self.planner = planner(profile)
        self._makers: dict[str, FrameMaker] = {}
        self._time = TIME_US

    def plan(self, state: GridState, *groups: str) -> None:
        """Submit the records of ``groups`` for ``state``."""
        for group in groups:
            assert self.call("InitialGrouping", self.planner.record(group, state)) == {"group": group}

    def full_resources(self, group: str, amount: float = 1.5, **others: float) -> dict[str, float]:
        """``amount`` p.u. at every load bus of the group, except where ``bus_N`` says otherwise."""
        return full_list(self.planner.area(group).load_buses, amount, **others)

    def vsi(self, group: str, state: GridState) -> dict[str, Any]:
        """ComputeVSI of the next frame of a group."""
        self._time += 1_000_000
        maker = self._makers.setdefault(group, FrameMaker(self.planner.area(group)))
        return self.call("ComputeVSI", maker.frame(state, self._time))  # type: ignore[no-any-return]
