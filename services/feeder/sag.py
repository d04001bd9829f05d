"""The sag: loads that are raised until their groups need help, found for any grid."""

from __future__ import annotations

from gridledger.errors import InputError
from gridledger.grid.case import FloatArray
from gridledger.grid.power_flow import GridState, PowerFlow, PowerFlowDiverged
from gridledger.grid.records import Planner
from gridledger.grid.stability import vsi_of

_STEPS = 60
_GROWTH = 1.15
_BELOW_REQUIRED = 0.005

Loads = dict[int, tuple[float, float]]


def sag(planner: Planner, power_flow: PowerFlow, base: GridState, groups: int = 1) -> Loads:
    """In each of ``groups`` groups the load bus nearest to its alarm, raised until the alarm sounds and V is low.

    MW, MVAr by bus, on top of the loads of ``base``. A bus that does not get that far before the power flow ends is
    left as it is, and the next one is tried. Raises InputError where too few groups have one that does.
    """
    found: Loads = {}
    done: set[str] = set()
    pd, qd = base.pd.copy(), base.qd.copy()
    for bus, group in _by_margin(planner, base):
        if group not in done and (loads := _raised(planner, power_flow, (pd, qd), bus, group)) is not None:
            done.add(group)
            found[bus] = loads
            index = planner.case.position[bus]
            pd[index], qd[index] = loads
        if len(done) == groups:
            return found
    name = planner.case.name
    if groups == 1:
        raise InputError(f"no single load of {name} can be raised until group and voltage are in need")
    raise InputError(f"only {len(done)} groups of {name} have a load that can be raised until they are in need")


def told(loads: Loads) -> str:
    """In words."""
    if len(loads) == 1:
        ((bus, (p, q)),) = loads.items()
        return f"bus {bus} raised to {p:.1f} + j{q:.1f} MVA"
    return f"buses {', '.join(map(str, sorted(loads)))} raised until their groups are in need"


def _by_margin(planner: Planner, base: GridState) -> list[tuple[int, str]]:
    margins = []
    for group in planner.grouping:
        for bus, vsi in vsi_of(planner, group, base).items():
            index = planner.case.position[bus]
            if base.pd[index] > 0 and base.qd[index] > 0:
                margins.append((vsi - planner.thresholds[group], bus, group))
    return [(bus, group) for _, bus, group in sorted(margins)]


def _raised(
    planner: Planner, power_flow: PowerFlow, demand: tuple[FloatArray, FloatArray], bus: int, group: str
) -> tuple[float, float] | None:
    index = planner.case.position[bus]
    pd, qd = demand[0].copy(), demand[1].copy()
    p, q = float(pd[index]), float(qd[index])
    for _ in range(_STEPS):
        p, q = round(p * _GROWTH, 2), round(q * _GROWTH, 2)
        pd[index], qd[index] = p, q
        try:
            state = power_flow.solve(pd, qd)
        except PowerFlowDiverged:
            return None
        indices = vsi_of(planner, group, state)
        weak = min(indices, key=lambda b: (indices[b], b))
        if weak == bus and indices[bus] < planner.thresholds[group]:
            # Low enough for an injection, and not so far gone that one bus's VVC cannot bring it back.
            return (p, q) if float(state.vm[index]) < planner.v_required - _BELOW_REQUIRED else None
    return None
