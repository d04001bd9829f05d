"""MATPOWER's rows of a case and a solved state, as a MATLAB program holds them after runpf."""

from __future__ import annotations

from gridledger.grid.case import Case
from gridledger.grid.power_flow import GridState


def bus_rows(case: Case, state: GridState) -> list[list[float]]:
    """13 columns: number, type, Pd, Qd, Gs, Bs, area, Vm, Va, base kV, zone, Vmax, Vmin."""
    columns = (case.numbers, case.kind, state.pd, state.qd, case.gs, case.bs, state.vm, state.va)
    return [
        [float(n), float(kind), pd, qd, gs, bs, 1.0, vm, va, 135.0, 1.0, 1.05, 0.95]
        for n, kind, pd, qd, gs, bs, vm, va in zip(*(list(map(float, column)) for column in columns), strict=True)
    ]


def branch_rows(case: Case, state: GridState) -> list[list[float]]:
    """17 columns: from, to, r, x, b, three ratings, tap, shift, status, two angles, Pf, Qf, Pt, Qt."""
    lines = case.branches
    rows = []
    for number in range(len(lines)):
        f, t = case.ends(number)
        r, x, b, tap, shift = (float(column[number]) for column in (lines.r, lines.x, lines.b, lines.tap, lines.shift))
        ratio = 0.0 if tap == 1.0 else tap
        flows = [float(value) for value in state.flows[number]]
        rows.append([f, t, r, x, b, 130.0, 130.0, 130.0, ratio, shift, 1.0, -360.0, 360.0, *flows])
    return rows
