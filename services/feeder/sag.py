"""The sag: loads that are raised until their groups need help, found for any grid."""

from __future__ import annotations

from gridledger.errors import InputError
from gridledger.grid.case import FloatArray
from gridledger.grid.power_flow import GridState, PowerFlow, PowerFlowDiverged
from gridledger.grid.records import Planner
from gridledger.grid.stability import vsi_of

_STEPS = 60
_GROWTH, _LEAST_GROWTH = 1.15, 1.02
_BELOW_REQUIRED = 0.005

Loads = dict[int, tuple[float, float]]


def sag(planner: Planner, power_flow: PowerFlow, base: GridState, groups: int = 1) -> Loads:
    """In each of ``groups`` groups the load bus nearest to its alarm, raised until the alarm sounds and V is low.

    MW, MVAr by bus, on top of the loads of ``base``. First a bus is sought whose voltage is low when its alarm first
    sounds; in groups that have none, one that can be raised further until it is, to where the power flow ends. Raises
    InputError where too few groups have one.
    """
    if groups > len(planner.grouping):
        raise InputError(f"{groups} groups are asked for, and {planner.case.name} has {len(planner.grouping)}")
    found: Loads = {}
    done: set[str] = set()
    pd, qd = base.pd.copy(), base.qd.copy()
    candidates = _by_margin(planner, base)
    for past_alarm in (False, True):
        for bus, group in candidates:
            if group in done or len(done) == groups:
                continue
            loads = _raised(planner, power_flow, (pd, qd), bus, group, past_alarm=past_alarm)
            if loads is not None:
                done.add(group)
                found[bus] = loads
                index = planner.case.position[bus]
                pd[index], qd[index] = loads
    if len(done) < groups:
        raise _not_found(planner, len(done), groups, len(candidates))
    return found


def _not_found(planner: Planner, found: int, groups: int, candidates: int) -> InputError:
    name, low = planner.case.name, planner.v_required - _BELOW_REQUIRED
    what = f"only {found} of the {groups} groups of {name} that were asked for have a" if found else f"{name} has no"
    return InputError(
        f"{what} load that can be raised alone until its group alarms and its voltage is below {low:g} p.u.: "
        f"{candidates} were tried, as far as the power flow has a solution. In a scenario file ask for fewer groups, "
        "state a higher v_required or higher thresholds, or name loads that rise together instead of sag: "
        "{at: 15, loads: {BUS: [MW, MVAr], ...}} or {at: 15, scale: {factor: F}}"
    )


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
    planner: Planner,
    power_flow: PowerFlow,
    demand: tuple[FloatArray, FloatArray],
    bus: int,
    group: str,
    *,
    past_alarm: bool,
) -> tuple[float, float] | None:
    """The demand of a bus at which its group alarms of it and its voltage is low; None where there is none.

    Where the alarm sounds at a voltage that is not low, the demand is raised on only if ``past_alarm``. A step after
    which the power flow has no solution is taken again by a smaller factor, down to 2 %.
    """
    index = planner.case.position[bus]
    pd, qd = demand[0].copy(), demand[1].copy()
    p, q, growth = float(pd[index]), float(qd[index]), _GROWTH
    for _ in range(_STEPS):
        pd[index], qd[index] = round(p * growth, 2), round(q * growth, 2)
        try:
            state = power_flow.solve(pd, qd)
        except PowerFlowDiverged:
            growth = growth**0.5
            if not past_alarm or growth < _LEAST_GROWTH:
                return None
            continue
        p, q = float(pd[index]), float(qd[index])
        indices = vsi_of(planner, group, state)
        weak = min(indices, key=lambda b: (indices[b], b))
        if weak == bus and indices[bus] < planner.thresholds[group]:
            if float(state.vm[index]) < planner.v_required - _BELOW_REQUIRED:
                return p, q
            if not past_alarm:
                return None
    return None
