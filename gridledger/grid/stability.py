"""The voltage stability index (VSI, spec section 4) of a solved state, for planning.

The ledger's index is the contract's. This one serves to choose thresholds and scenarios before a ledger exists; the two
agree to rounding. Units p.u. except the frame's.
"""

from __future__ import annotations

import math

from gridledger.grid.frames import Frame, FrameMaker
from gridledger.grid.impedance import Thevenin
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner


def vsi_of(planner: Planner, group: str, state: GridState) -> dict[int, float]:
    """Bus -> VSI of the group's load buses in ``state``."""
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
