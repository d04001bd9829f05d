"""The voltage stability index on the planner's desk (spec section 4): to choose thresholds before a ledger exists.

The ledger's own index is the contract's; this one serves the thresholds of cases that come without any. Values of the
two agree to rounding. Units p.u. except the frame's.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from gridledger.grid.case import Case
from gridledger.grid.frames import Frame, FrameMaker
from gridledger.grid.grouping import CASE30_GROUPS, Grouping
from gridledger.grid.impedance import Thevenin
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner, Profile

CASE30_THRESHOLDS: Mapping[Profile, Mapping[str, float]] = {
    "published": {"1": 0.9015, "2": 0.76, "3": 0.80},
    "corrected": {"1": 0.88, "2": 0.85, "3": 0.90},
}
THRESHOLD_MARGIN = 0.05


def planner_for(
    case: Case,
    grouping: Grouping,
    profile: Profile,
    base: GridState,
    *,
    retention_s: int | None = None,
) -> Planner:
    """A planner with the thesis's thresholds for the groups of case30, or with ones chosen from the base state.

    Chosen: THRESHOLD_MARGIN below the weakest bus of the group in `base`, rounded down to 0.001, at least 0. A group
    without load buses has nothing to alarm about and gets 0.
    """
    if grouping == CASE30_GROUPS:
        return Planner(case, grouping, profile, CASE30_THRESHOLDS[profile], retention_s=retention_s)
    draft = Planner(case, grouping, profile, dict.fromkeys(grouping, 0.0))
    thresholds = {}
    for group in grouping:
        weakest = min(vsi_of(draft, group, base).values(), default=THRESHOLD_MARGIN)
        thresholds[group] = max(0.0, math.floor((weakest - THRESHOLD_MARGIN) * 1000.0) / 1000.0)
    return Planner(case, grouping, profile, thresholds, retention_s=retention_s)


def vsi_of(planner: Planner, group: str, state: GridState) -> dict[int, float]:
    """Bus -> VSI of the group's load buses in `state`."""
    frame = FrameMaker(planner.area(group)).frame(state, 0)
    buses = {row["bus"]: row for row in frame["buses"]}
    base = frame["base"]
    result = {}
    for z in planner.thevenin(group, state):
        row = buses[z.bus]
        p, q = row["Pd"] / base, row["Qd"] / base
        outflow = (p, q) if planner.profile == "corrected" else _published_outflow(frame, z.bus)
        result[z.bus] = 1.0 if (p == 0.0 and q == 0.0) or z.x == 0.0 else _index(p, q, outflow, row["Vm"], z)
    return result


def _published_outflow(frame: Frame, bus: int) -> tuple[float, float]:
    """What the thesis takes for the power flowing out of a bus (MW, MVAr; its wrong columns included)."""
    p = q = 0.0
    for branch in frame["branches"]:
        if branch["f"] == bus:
            p += branch["Pf"] if branch["Pf"] > 0 else 0.0
            q += branch["Qf"] if branch["Qf"] > 0 else 0.0
        elif branch["t"] == bus and branch["Qt"] > 0:
            p += branch["Pf"]
    return p, q


def _index(p: float, q: float, outflow: tuple[float, float], vm: float, z: Thevenin) -> float:
    """min of VSI_P, VSI_Q, VSI_S, clamped to 0..1."""
    r, x = z.r, z.x
    a = vm + (outflow[0] * r + outflow[1] * x) / vm
    b = (outflow[0] * x - outflow[1] * r) / vm
    e = a * a + b * b
    if e <= 0.0:
        return 0.0
    h = e / (4.0 * x)
    radicand = e * (h - q) / x
    q_max = h - p * p * x / e
    by_p = 1.0 - p / math.sqrt(radicand) if radicand > 0.0 else 0.0
    by_q = 1.0 - q / q_max if q_max > 0.0 else 0.0
    by_s = 1.0 - 2.0 * x * (math.sqrt(p * p + q * q) + q) / e
    return min(1.0, max(0.0, min(by_p, by_q, by_s)))
