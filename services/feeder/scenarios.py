"""The scenarios: what happens to the grid, and which reactive power is there to answer it (spec sections 2 and 7)."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from gridledger.errors import InputError
from gridledger.grid.case import Case
from gridledger.grid.grouping import Grouping
from gridledger.grid.power_flow import GridState, PowerFlow, PowerFlowDiverged
from gridledger.grid.records import PROFILES, Planner, Profile
from gridledger.grid.stability import vsi_of

VVC_PU = 1.5
"""Reactive power at each load bus that has any, p.u."""

SAG = "sag"
_SAG_STEPS = 60
_SAG_GROWTH = 1.15


@dataclass(frozen=True, slots=True)
class Scenario:
    """Loads (MW, MVAr by bus) that replace those of the base case, and where VVC is missing."""

    name: str
    title: str
    loads: Mapping[int, tuple[float, float]] = field(default_factory=dict)
    without_buses: frozenset[int] = frozenset()
    without_groups: frozenset[str] = frozenset()
    profiles: tuple[Profile, ...] = PROFILES

    def resources(self, planner: Planner) -> dict[str, dict[str, float]]:
        """Every group's VVC list, p.u. by load bus."""
        return {
            group: {
                str(bus): 0.0 if bus in self.without_buses or group in self.without_groups else VVC_PU
                for bus in planner.area(group).load_buses
            }
            for group in planner.grouping
        }


BASE = Scenario("base", "the grid as it is")
CASE30_SCENARIOS: tuple[Scenario, ...] = (
    BASE,
    Scenario("1a", "bus 3 at 22 times its load", {3: (52.8, 26.4)}),
    Scenario("1b", "bus 3 at 22 times its load, no VVC there", {3: (52.8, 26.4)}, without_buses=frozenset({3})),
    Scenario("2", "bus 14 at 4 times its load, no VVC there", {14: (24.8, 6.4)}, without_buses=frozenset({14})),
    Scenario("3", "bus 30 at twice the load of bus 24", {30: (17.4, 13.4)}),
    Scenario(
        "starved",
        "bus 3 at 21.5 times its load, group 1 has no VVC",
        {3: (51.6, 25.8)},
        without_groups=frozenset({"1"}),
        profiles=("corrected",),
    ),
)
NAMES = (*(scenario.name for scenario in CASE30_SCENARIOS), SAG)


def scenario_for(name: str, planner: Planner, power_flow: PowerFlow, base: GridState) -> Scenario:
    """The scenario ``name`` on the planner's case: the thesis's on case30, ``base`` and ``sag`` on every case.

    Raises InputError for one that the case or the profile does not have.
    """
    case = planner.case
    if name == SAG:
        return sag(planner, power_flow, base)
    if name == BASE.name:
        return BASE
    found = next((scenario for scenario in CASE30_SCENARIOS if scenario.name == name), None)
    if found is None or case.name != "case30" or not _is_thesis(planner.grouping):
        raise InputError(f"{case.name} has no scenario {name!r}: base and sag are for every case, others for case30")
    if planner.profile not in found.profiles:
        raise InputError(f"the scenario {name} runs in profile {' or '.join(found.profiles)} only")
    return found


def sag(planner: Planner, power_flow: PowerFlow, base: GridState) -> Scenario:
    """The load bus nearest to its group's alarm, its demand raised until the alarm sounds and its voltage is low.

    Raises InputError where no bus gets that far before the power flow ends.
    """
    case = planner.case
    for bus, group in _by_margin(planner, base):
        loads = _raised(planner, power_flow, case, bus, group)
        if loads is not None:
            p, q = loads
            return Scenario(SAG, f"bus {bus} raised to {p:.1f} + j{q:.1f} MVA", {bus: loads})
    raise InputError(f"no single load of {case.name} can be raised until group and voltage are in need")


def _by_margin(planner: Planner, base: GridState) -> list[tuple[int, str]]:
    margins = []
    for group in planner.grouping:
        for bus, vsi in vsi_of(planner, group, base).items():
            index = planner.case.position[bus]
            if base.pd[index] > 0 and base.qd[index] > 0:
                margins.append((vsi - planner.thresholds[group], bus, group))
    return [(bus, group) for _, bus, group in sorted(margins)]


def _raised(planner: Planner, power_flow: PowerFlow, case: Case, bus: int, group: str) -> tuple[float, float] | None:
    index = case.position[bus]
    p, q = float(case.pd[index]), float(case.qd[index])
    for _ in range(_SAG_STEPS):
        p, q = round(p * _SAG_GROWTH, 2), round(q * _SAG_GROWTH, 2)
        pd, qd = case.pd.copy(), case.qd.copy()
        pd[index], qd[index] = p, q
        try:
            state = power_flow.solve(pd, qd)
        except PowerFlowDiverged:
            return None
        indices = vsi_of(planner, group, state)
        weak = min(indices, key=lambda b: (indices[b], b))
        if weak == bus and indices[bus] < planner.thresholds[group]:
            # Low enough for an injection, and not so far gone that one bus's VVC cannot bring it back.
            return (p, q) if float(state.vm[index]) < planner.v_required - 0.005 else None
    return None


def _is_thesis(grouping: Grouping) -> bool:
    return set(grouping) == {"1", "2", "3"}
