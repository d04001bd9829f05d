"""Consistency: whether a frame contradicts itself, by Kirchhoff's law at load buses and by Ohm's law along branches.

What is compared is the frame with itself: demand and flows at a bus, voltages and flows at both ends of a branch.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt
from typing import Any

from .arithmetic import sin_cos
from .frames import Frame
from .grouping import Record, load_buses
from .vsi import Branch, Bus


def contradiction(frame: Frame, head: Record, lines: Record) -> dict[str, int] | None:
    """{bus} or {branch: its position in the record} where the frame contradicts itself, None where it does not.

    ``head``: its ``check`` has the bounds; ``lines``: shunts and branches. Load buses first, in the order of dim.
    """
    bounds = head["check"]
    tolerance: float = bounds["tolerance_mva"]
    residuals = bus_residuals(frame, load_buses(head), lines["shunts"])
    for bus, residual in residuals.items():
        if not residual <= tolerance:
            return {"bus": bus}
    for position, (branch, line) in enumerate(zip(frame.branches, lines["branches"], strict=True)):
        if branch[0] not in frame.buses or branch[1] not in frame.buses:
            continue
        r, x = line[0], line[1]
        bound = tolerance + (bounds["e_v"] / sqrt(r * r + x * x)) * frame.base
        if not branch_residual(branch, line, frame.buses, frame.base) <= bound:
            return {"branch": position}
    return None


def bus_residuals(frame: Frame, loads: Sequence[int], shunts: Sequence[Sequence[Any]]) -> dict[int, float]:
    """By load bus: the power, MVA, that its demand, its shunt and the flows leaving it do not add up to 0 by."""
    P = {bus: frame.buses[bus][0] for bus in loads}
    Q = {bus: frame.buses[bus][1] for bus in loads}
    for f, t, pf, qf, pt, qt in frame.branches:
        if f in P:
            P[f] += pf
            Q[f] += qf
        if t in P:
            P[t] += pt
            Q[t] += qt
    for bus, Gs, Bs in shunts:
        if bus in P:
            vm = frame.buses[bus][2]
            P[bus] += Gs * (vm * vm)
            Q[bus] -= Bs * (vm * vm)
    return {bus: sqrt(P[bus] * P[bus] + Q[bus] * Q[bus]) for bus in loads}


def branch_residual(branch: Branch, line: Sequence[float], buses: Mapping[int, Bus], base: float) -> float:
    """By how much, MVA, a branch's measured flows differ from those of its end voltages, at the worse end.

    ``line``: r, x, b (p.u.), tap, shift (degrees) on the from side.
    """
    f, t, pf, qf, pt, qt = branch
    r, x, charging, tap, shift = line
    _, _, vf, af = buses[f]
    _, _, vt, at = buses[t]
    square = r * r + x * x
    g = r / square
    b = -x / square
    half = b + charging / 2.0
    sine, cosine = sin_cos((af - at) - shift)
    across = (vf * vt) / tap
    own = (vf * vf) / (tap * tap)
    dpf = pf - (g * own - across * (g * cosine + b * sine)) * base
    dqf = qf - (-(half * own) - across * (g * sine - b * cosine)) * base
    dpt = pt - (g * (vt * vt) - across * (g * cosine - b * sine)) * base
    dqt = qt - (-(half * (vt * vt)) + across * (g * sine + b * cosine)) * base
    from_end = sqrt(dpf * dpf + dqf * dqf)
    to_end = sqrt(dpt * dpt + dqt * dqt)
    return max(from_end, to_end)
