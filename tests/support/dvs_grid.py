"""A small grid of four groups for tests of the contract ``dvs``: records and frames without a power flow.

Bus 1 is the reference. Groups 1, 2, 3, 10 (10 to tell numeric order from alphabetic): 1 touches all others, 2 touches
1 and 3, 10 touches 1 and 3. Branch 3-4 is doubled. Frames are made up, not solved: the contract judges what it is told.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from gridledger.contract import ClientIdentity
from gridledger.contract.context import EVERY_ATTRIBUTE
from gridledger.contract.loader import Chaincode, load
from gridledger.contract.simulator.simulator import Invocation, Simulator
from gridledger.contract.simulator.state import MemoryState

DVS = Path(__file__).parents[2] / "chaincode" / "dvs"
TIME_US = 1_767_225_600_000_000
BASE = 100.0

GROUPS = {"1": [1, 2, 3, 4], "2": [5, 6, 7], "3": [8, 9], "10": [10, 11, 12]}
REFERENCE = 1
GENERATORS = {2, 7, 12}
BRANCHES = [
    *[(1, 2), (1, 3), (2, 4), (3, 4), (3, 4), (4, 5), (5, 6), (6, 7), (6, 8)],
    *[(8, 9), (9, 3), (9, 10), (10, 11), (11, 12), (2, 7), (12, 1)],
]
THRESHOLDS = {"published": 0.9, "corrected": 0.8}

Record = dict[str, Any]
FrameText = dict[str, Any]


@cache
def chaincode() -> Chaincode:
    """The contract, imported once."""
    return load(DVS)


def components(group: str) -> list[str]:
    """Single groups of an id."""
    return group.split("_")


def members(group: str) -> list[int]:
    """Buses of a single or merged group."""
    return [bus for name in components(group) for bus in GROUPS[name]]


def branches(group: str) -> list[tuple[int, int]]:
    """Branches with an end in the group."""
    inside = set(members(group))
    return [(f, t) for f, t in BRANCHES if f in inside or t in inside]


def dim(group: str) -> tuple[list[int], list[int]]:
    """Matrix buses and ties."""
    inside = members(group)
    return [b for b in inside if b != REFERENCE], sorted({e for pair in branches(group) for e in pair} - set(inside))


def loads(group: str) -> list[int]:
    """Load buses of a group, in the order of dim."""
    return [bus for bus in dim(group)[0] if bus not in GENERATORS]


def adjacent(group: str) -> list[str]:
    """Single groups that share a branch with the group."""
    ties = set(dim(group)[1])
    return [name for name in GROUPS if ties & set(GROUPS[name])]


def _series(n: int) -> complex:
    return 1 / complex(0.01 + 0.002 * n, 0.1 + 0.01 * n)


@cache
def ybus() -> dict[tuple[int, int], complex]:
    """Bus admittances by bus numbers, non-zero entries only."""
    matrix: dict[tuple[int, int], complex] = {}
    for n, (f, t) in enumerate(BRANCHES):
        for i, k, y in ((f, f, 1), (t, t, 1), (f, t, -1), (t, f, -1)):
            matrix[i, k] = matrix.get((i, k), 0j) + y * _series(n)
    return matrix


def _sparse(matrix: Mapping[tuple[int, int], complex], order: list[int]) -> list[list[Any]]:
    place = {bus: n for n, bus in enumerate(order)}
    inside = [(place[i], place[k], y) for (i, k), y in matrix.items() if i in place and k in place and y != 0]
    return [[i, k, y.real, y.imag] for i, k, y in sorted(inside, key=lambda entry: entry[:2])]


def doubled(group: str) -> dict[tuple[int, int], complex]:
    """The admittances of profile ``published``: ties doubled, as its tie rule says."""
    matrix_buses, ties = dim(group)
    order = [*matrix_buses, *ties]
    y = ybus()
    a = {
        (i, k): y[i, k] * (1 + (i in ties)) * (1 + (k in ties)) for i in order for k in order if i != k and (i, k) in y
    }
    for m in matrix_buses:
        a[m, m] = y[m, m] - sum(y.get((t, m), 0j) for t in ties)
    for t in ties:
        a[t, t] = -sum(value for (i, k), value in a.items() if i == t and k != t)
    return a


def record(group: str, profile: str = "corrected", **changes: Any) -> Record:
    """The record of a group; ``changes`` replace fields, a value of None removes one."""
    matrix_buses, ties = dim(group)
    inside = members(group)
    made: Record = {
        "id": group,
        "profile": profile,
        "members": inside,
        "dim": [*matrix_buses, *ties],
        "kind": [2 if bus in GENERATORS else 1 for bus in matrix_buses] + [4] * len(ties),
        "nm": len(matrix_buses),
        "base": BASE,
        "branches": [[f, t] for f, t in branches(group)],
        "v_required": 0.98,
        "adjacent": adjacent(group),
    }
    if profile == "published" or "_" not in group:
        made["threshold"] = THRESHOLDS[profile]
        made["Zth"] = [{"bus": bus, "R": 0.02, "X": 0.15 + bus / 1000} for bus in loads(group)]
    if profile == "corrected" and "_" not in group:
        made["inflow"] = [t in inside for f, t in branches(group) if (f in inside) != (t in inside)]
    y = ybus()
    if profile == "corrected":
        made["Y"] = _sparse(y, matrix_buses)
    else:
        made["A"] = _sparse(doubled(group), [*matrix_buses, *ties])
    place = {bus: n for n, bus in enumerate(matrix_buses)}
    made["PI"] = sorted([place[i], place[k], abs(w)] for (i, k), w in y.items() if i in place and k in place and i < k)
    for name, value in changes.items():
        made[name] = value
        if value is None:
            del made[name]
    return made


def frame(group: str, time: int, sags: Mapping[int, float] | None = None, **changes: Any) -> FrameText:
    """A frame in which power flows from f to t everywhere. ``sags``: voltages of buses under heavy load, p.u."""
    low = sags or {}
    matrix_buses, ties = dim(group)
    made: FrameText = {
        "group": group,
        "time": time,
        "base": BASE,
        "buses": [
            {
                "bus": bus,
                "Pd": 0.0 if bus in GENERATORS else 80.0 if bus in low else 5.0,
                "Qd": 0.0 if bus in GENERATORS else 60.0 if bus in low else 2.0,
                "Vm": low.get(bus, 1.0),
                "Va": -0.25 * bus,
            }
            for bus in [*matrix_buses, *ties]
        ],
        "branches": [{"f": f, "t": t, "Pf": 1.0, "Qf": 0.3, "Pt": -0.95, "Qt": -0.25} for f, t in branches(group)],
    }
    return made | changes


class Channel:
    """The contract on one channel's state in memory."""

    def __init__(self, state: MemoryState | None = None) -> None:
        self.state = MemoryState() if state is None else state
        self._simulator = Simulator(chaincode(), self.state)
        self.last: Invocation | None = None

    def ask(self, function: str, argument: Any, caller: ClientIdentity = EVERY_ATTRIBUTE) -> Invocation:
        """Whatever the contract answers."""
        self.last = self._simulator.invoke(function, argument, caller=caller, time_us=TIME_US)
        return self.last

    def call(self, function: str, argument: Any, caller: ClientIdentity = EVERY_ATTRIBUTE) -> Any:
        """The payload; fails the test where the contract refuses."""
        answer = self.ask(function, argument, caller)
        assert answer.successful, f"{function}: {answer.message}"
        return answer.payload

    def refused(self, function: str, argument: Any, *names: str, caller: ClientIdentity = EVERY_ATTRIBUTE) -> str:
        """The message of a refusal, which must contain ``names``; fails the test unless nothing was written."""
        before = self.state.to_bytes()
        answer = self.ask(function, argument, caller)
        assert answer.status == 400, f"{function} answered {answer.status}: {answer.message or answer.payload}"
        assert (answer.writes, answer.event, answer.payload) == ({}, None, None)
        assert self.state.to_bytes() == before
        for name in names:
            assert name in answer.message, answer.message
        return answer.message

    def unchanged(self, function: str, argument: Any) -> Any:
        """The payload of a repeated operation; fails the test unless nothing was written and no event sent."""
        payload = self.call(function, argument)
        assert self.last is not None
        assert (self.last.writes, self.last.event) == ({}, None)
        return payload

    def plan(self, *groups: str, profile: str = "corrected", **changes: Any) -> Channel:
        """Submits records."""
        for group in groups:
            self.call("InitialGrouping", record(group, profile, **changes))
        return self

    def provide(self, group: str, amount: float = 1.5, **others: float) -> None:
        """UpdateResources: ``amount`` p.u. at every load bus, except where ``bus_N`` says otherwise."""
        vvc = {str(bus): amount for bus in loads(group)}
        vvc |= {name.removeprefix("bus_"): value for name, value in others.items()}
        self.call("UpdateResources", {"group": group, "vvc": vvc})

    def vvc(self, group: str) -> dict[str, float]:
        """The list as GetResources answers it."""
        vvc: dict[str, float] = self.call("GetResources", {"group": group})["vvc"]
        return vvc
