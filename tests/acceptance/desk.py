"""What the acceptance tests stand on: the published data, the solved states, the real contract."""

from __future__ import annotations

import json
from functools import cache
from pathlib import Path
from typing import Any

from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.grid.frames import FrameMaker
from gridledger.grid.power_flow import Grid, GridState
from gridledger.grid.records import Profile
from tests.support.solved_grid import planner, power_flow

DATA = Path(__file__).parent / "data"
DVS = Path(__file__).parents[2] / "chaincode" / "dvs"
TIME_US = 1_767_225_600_000_000
ALL_GROUPS = ("1", "2", "3", "1_2", "1_3", "2_3", "1_2_3")


@cache
def published() -> dict[str, Any]:
    """published.json."""
    return json.loads((DATA / "published.json").read_text())  # type: ignore[no-any-return]


@cache
def example(name: str) -> dict[str, Any]:
    """One file of the specification's examples."""
    return json.loads((DATA / "examples" / f"{name}.json").read_text())  # type: ignore[no-any-return]


def grid_in(state: str) -> Grid:
    """case30 with the loads of a published state."""
    grid = Grid(power_flow())
    changes = published()["states"][state]["load_changes"]
    grid.set_loads({change["bus"]: (change["Pd"], change["Qd"]) for change in changes})
    return grid


class Desk:
    """The real contract on a state in memory, with records and frames of case30 at hand."""

    def __init__(self, profile: Profile) -> None:
        self.planner = planner(profile)
        self._simulator = Simulator(DVS)
        self._makers: dict[str, FrameMaker] = {}
        self._time = TIME_US

    def ask(self, function: str, argument: dict[str, Any]) -> Invocation:
        """Whatever the contract answers."""
        return self._simulator.invoke(function, argument)

    def call(self, function: str, argument: dict[str, Any]) -> Any:
        """The payload; fails the test where the contract refuses."""
        answer = self.ask(function, argument)
        assert answer.successful, f"{function}: {answer.message}"
        return answer.payload

    def plan(self, state: GridState, *groups: str) -> None:
        """Submit the records of ``groups`` for ``state``."""
        for group in groups:
            assert self.call("InitialGrouping", self.planner.record(group, state)) == {"group": group}

    def measure(self, group: str, state: GridState) -> dict[str, Any]:
        """The next frame of a group."""
        self._time += 1_000_000
        maker = self._makers.setdefault(group, FrameMaker(self.planner.area(group)))
        return maker.frame(state, self._time)

    def vsi(self, group: str, state: GridState) -> dict[str, Any]:
        """ComputeVSI of the next frame of a group."""
        return self.call("ComputeVSI", self.measure(group, state))  # type: ignore[no-any-return]

    def full_resources(self, group: str, **replaced: float) -> dict[str, float]:
        """1.5 p.u. at every load bus of the group, except where ``bus_N`` says otherwise."""
        buses = {str(bus): 1.5 for bus in self.planner.area(group).load_buses}
        return buses | {name.removeprefix("bus_"): amount for name, amount in replaced.items()}
