"""Loads that make groups alarm: one in each of some groups, found on the grid itself."""

from __future__ import annotations

from collections.abc import Mapping

from chaincode.dvs.control import local_controller
from chaincode.dvs.grouping import check_record
from gridledger.grid.frames import FrameMaker
from gridledger.grid.grouping import merged_id, neighbours
from gridledger.grid.power_flow import GridState, PowerFlow, PowerFlowDiverged
from gridledger.grid.records import Planner
from gridledger.grid.stability import vsi_of

VVC_MVAR = 150.0
"""What every load bus may inject."""
_GROWTH = 1.3
_STEPS = 20
_TRIED_PER_GROUP = 4
_LEAST_MW = 10.0
_LOW_PU = 0.01
"""By how much the alarming bus's voltage lies below what is required, so that its group injects."""

Loads = dict[int, tuple[float, float]]


def alarming_loads(planner: Planner, power_flow: PowerFlow, base: GridState, groups: int) -> dict[str, Loads]:
    """Group -> the load (MW, MVAr) of one of its buses under which it alarms and its weak bus's voltage is low.

    At most ``groups`` of them. The loads of all together were solved as well, and all alarm then.
    """
    found: dict[str, Loads] = {}
    for group in _by_lowest_voltage(planner, base):
        loads = _alarming_load(planner, power_flow, base, group)
        if loads is not None and _all_alarm(planner, power_flow, base, {**found, group: loads}):
            found[group] = loads
        if len(found) == groups:
            break
    return found


def merging_group(planner: Planner, power_flow: PowerFlow, base: GridState, loads: Mapping[str, Loads]) -> str:
    """Of the groups with alarming loads the one that shall have no VVC, so that it merges.

    One that a source of the neighbour helps with which it is merged, the first in ascending order; of several the one
    whose merge is smallest, as a contract solves equations of its size. Where no neighbour's source reaches far enough
    the smallest merge.
    """

    def buses(group: str) -> int:
        near = neighbours(planner.case, planner.grouping, group)
        return len(planner.grouping[group]) + min((len(planner.grouping[other]) for other in near[:1]), default=10**9)

    by_size = sorted(loads, key=lambda group: (buses(group), int(group)))
    helped = (group for group in by_size if _neighbour_helps(planner, power_flow, base, group, loads[group]))
    return next(helped, by_size[0])


def _neighbour_helps(planner: Planner, power_flow: PowerFlow, base: GridState, group: str, loads: Loads) -> bool:
    """Whether the contract finds a source for the group's weak bus among the load buses of its first neighbour."""
    near = neighbours(planner.case, planner.grouping, group)
    if not near:
        return False
    state = _under(planner, power_flow, base, loads)
    indices = vsi_of(planner, group, state)
    weak = min(indices, key=lambda bus: (indices[bus], bus))
    merged = merged_id([group, near[0]])
    head, matrices, _ = check_record(planner.record(merged, state))
    frame = FrameMaker(planner.area(merged)).frame(state, 0)
    buses = {row["bus"]: (row["Pd"], row["Qd"], row["Vm"], row["Va"]) for row in frame["buses"]}
    available = dict.fromkeys(planner.area(near[0]).load_buses, VVC_MVAR / planner.case.base_mva)
    return local_controller(head, matrices, buses, weak, available) is not None


def _by_lowest_voltage(planner: Planner, base: GridState) -> list[str]:
    def lowest(group: str) -> float:
        area = planner.area(group)
        return min((float(base.vm[area.positions[row]]) for row in area.load_positions), default=9.0)

    return sorted(planner.grouping, key=lambda group: (lowest(group), int(group)))


def _alarming_load(planner: Planner, power_flow: PowerFlow, base: GridState, group: str) -> Loads | None:
    case, area = planner.case, planner.area(group)
    usable = {z.bus for z in planner.thevenin(group, base) if z.x > 0.0}
    candidates = sorted(
        (float(base.vm[case.position[bus]]), bus)
        for bus in area.load_buses
        if bus in usable and base.pd[case.position[bus]] > 0 and base.qd[case.position[bus]] >= 0
    )
    for _, bus in candidates[:_TRIED_PER_GROUP]:
        index = case.position[bus]
        p = max(float(base.pd[index]), _LEAST_MW)
        share = max(0.3, float(base.qd[index]) / float(base.pd[index]))
        for _ in range(_STEPS):
            p *= _GROWTH
            loads = {bus: (round(p, 2), round(p * share, 2))}
            verdict = _verdict(planner, power_flow, base, group, loads)
            if verdict is None:
                break
            if verdict:
                if _voltage(planner, power_flow, base, {bus: (p, p * share - VVC_MVAR)}, bus) < planner.v_required:
                    break  # too far gone for what the bus has; nothing but a merge would be left
                return loads
    return None


def _voltage(planner: Planner, power_flow: PowerFlow, base: GridState, loads: Loads, bus: int) -> float:
    try:
        return float(_under(planner, power_flow, base, loads).vm[planner.case.position[bus]])
    except PowerFlowDiverged:
        return 0.0


def _under(planner: Planner, power_flow: PowerFlow, base: GridState, loads: Loads) -> GridState:
    """The state under these loads."""
    pd, qd = base.pd.copy(), base.qd.copy()
    for bus, (p, q) in loads.items():
        pd[planner.case.position[bus]], qd[planner.case.position[bus]] = p, q
    return power_flow.solve(pd, qd)


def _verdict(planner: Planner, power_flow: PowerFlow, base: GridState, group: str, loads: Loads) -> bool | None:
    """Whether the group alarms at a low voltage under these loads; None where there is no solution."""
    try:
        state = _under(planner, power_flow, base, loads)
    except PowerFlowDiverged:
        return None
    indices = vsi_of(planner, group, state)
    weak = min(indices, key=lambda bus: (indices[bus], bus))
    low = float(state.vm[planner.case.position[weak]]) < planner.v_required - _LOW_PU
    return indices[weak] < planner.thresholds[group] and low


def _all_alarm(planner: Planner, power_flow: PowerFlow, base: GridState, found: Mapping[str, Loads]) -> bool:
    together = {bus: load for loads in found.values() for bus, load in loads.items()}
    return all(_verdict(planner, power_flow, base, group, together) for group in found)
