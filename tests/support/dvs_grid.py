"""A small grid of four groups for tests of the contract ``dvs``: records and frames without a power flow.

Bus 1 is the reference. Groups 1, 2, 3, 10 (10 to tell numeric order from alphabetic): 1 touches all others, 2 touches
1 and 3, 10 touches 1 and 3. Branch 3-4 is doubled. States and Thevenin impedances are made up, not solved: the contract
judges what it is told.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from functools import cache
from typing import Any

import numpy as np

from gridledger.grid.case import PQ, PV, REFERENCE, Case, read_case
from gridledger.grid.frames import Frame, FrameMaker
from gridledger.grid.impedance import Thevenin
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner, Profile, Record
from tests.support.dvs_channel import DvsChannel, full_list

GROUPS = {"1": (1, 2, 3, 4), "2": (5, 6, 7), "3": (8, 9), "10": (10, 11, 12)}
GENERATORS = (2, 7, 12)
BRANCHES = [
    *[(1, 2), (1, 3), (2, 4), (3, 4), (3, 4), (4, 5), (5, 6), (6, 7), (6, 8)],
    *[(8, 9), (9, 3), (9, 10), (10, 11), (11, 12), (2, 7), (12, 1)],
]
THRESHOLDS = {"published": 0.9, "corrected": 0.8}


def case_of(generators: Iterable[int]) -> Case:
    """The grid where these buses and the reference hold their voltage."""
    holding = sorted(generators)
    return read_case(
        "four groups",
        {
            "base_mva": 100.0,
            "reference_angle": 0.0,
            "buses": [
                [bus, REFERENCE if bus == 1 else PV if bus in holding else PQ, *(0, 0, 0, 0, 0, 0)]
                for members in GROUPS.values()
                for bus in members
            ],
            "branches": [[f, t, 0.01 + 0.002 * n, 0.1 + 0.01 * n, 0, 0, 0] for n, (f, t) in enumerate(BRANCHES)],
            "generators": [[bus, 0, 1] for bus in (1, *holding)],
        },
    )


CASE = case_of(GENERATORS)


class FourGroupPlanner(Planner):
    """Makes up the Thevenin impedances."""

    def thevenin(self, group: str, _state: GridState) -> list[Thevenin]:
        """R = 0.02, X a little larger at each bus."""
        return [Thevenin(bus, 0.02, 0.15 + bus / 1000) for bus in self.area(group).load_buses]


@cache
def planner(profile: Profile, generators: frozenset[int] = frozenset(GENERATORS)) -> Planner:
    """The planner of the four groups."""
    case = CASE if generators == {*GENERATORS} else case_of(generators)
    return FourGroupPlanner(case, GROUPS, profile, dict.fromkeys(GROUPS, THRESHOLDS[profile]))


def loads(group: str) -> list[int]:
    """Load buses of a group, in the order of dim."""
    return list(planner("corrected").area(group).load_buses)


def state(sags: Mapping[int, float] | None = None) -> GridState:
    """Power flows from f to t everywhere. ``sags``: voltages of buses under heavy load, p.u."""
    low = sags or {}
    heavy = [bus in low for bus in CASE.numbers]
    return GridState(
        pd=np.where(CASE.kind != PQ, 0.0, np.where(heavy, 80.0, 5.0)),
        qd=np.where(CASE.kind != PQ, 0.0, np.where(heavy, 60.0, 2.0)),
        vm=np.asarray([low.get(bus, 1.0) for bus in CASE.numbers]),
        va=-0.25 * np.asarray(CASE.numbers),
        flows=np.tile((1.0, 0.3, -0.95, -0.25), (len(BRANCHES), 1)),
        iterations=0,
    )


def record(group: str, profile: Profile = "corrected", **changes: Any) -> Record:
    """The record of a group; ``changes`` replace fields, a value of None removes one."""
    made = planner(profile).record(group, state()) | changes
    return {name: value for name, value in made.items() if value is not None or name not in changes}


def record_where(generators: Iterable[int], group: str, **changes: Any) -> Record:
    """The record of a group where these buses hold their voltage, and all others but the reference are load buses."""
    return planner("corrected", frozenset(generators)).record(group, state()) | changes


def frame(group: str, time: int, sags: Mapping[int, float] | None = None, **changes: Any) -> Frame:
    """The frame of a group in a :func:`state`."""
    return FrameMaker(planner("corrected").area(group)).frame(state(sags), time) | changes


class Channel(DvsChannel):
    """A channel with records and lists of the four groups."""

    def plan(self, *groups: str, profile: Profile = "corrected", **changes: Any) -> Channel:
        """Submits records."""
        for group in groups:
            self.call("InitialGrouping", record(group, profile, **changes))
        return self

    def provide(self, group: str, amount: float = 1.5, **others: float) -> None:
        """UpdateResources: ``amount`` p.u. at every load bus, except where ``bus_N`` says otherwise."""
        self.call("UpdateResources", {"group": group, "vvc": full_list(loads(group), amount, **others)})
