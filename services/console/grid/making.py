"""Making a diagram, in a process of its own (``python -m services.console.grid.making``), as it takes numpy and more.

It reads one JSON object, ``{"case": FILE or name}`` or ``{"records": [...]}``, both with ``groups`` (members by group)
where they are known, and writes the diagram, or ``{"error": text}``.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping
from typing import Any, Final

import numpy as np

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError
from gridledger.grid.bus_positions import drawn_positions, laid_out
from gridledger.grid.case import PQ, REFERENCE, Case, FloatArray, load_case
from gridledger.grid.islands import islands
from services.console.grid.diagram import RADIUS, Bus, Diagram, Kind, Plan, plan_of_records

MAX_BUSES: Final = 3000
_APART: Final = 3.4 * RADIUS
"""How far two buses are apart at least: the value stands below a bus."""
_MARGIN: Final = 2.5 * RADIUS
_LONGEST: Final = 6000.0
_STEPS: Final = 120


def diagram_of_case(case: Case, groups: Mapping[str, list[int]] | None = None) -> Diagram:
    """The diagram of a case, at its own positions where it has some. ``groups``: members by single group."""
    kinds: dict[int, Kind] = {
        bus: "load" if kind == PQ else "reference" if kind == REFERENCE else "generator"
        for bus, kind in zip(case.numbers, case.kind.tolist(), strict=True)
    }
    home = {bus: group for group, members in (groups or {}).items() for bus in members if bus in kinds}
    ends = tuple(case.ends(branch) for branch in range(len(case.branches)))
    _refuse_many(len(kinds))
    return _drawn(Plan(case.name, kinds, home, ends), drawn_positions(case) * (1.0, -1.0))


def diagram_of_plan(plan: Plan) -> Diagram:
    """The diagram of a plan, by a layout: each part that hangs together beside the one before."""
    size = len(plan.kinds)
    _refuse_many(size)
    if not size:
        raise InputError("there is no record of a group on the ledger yet; the feeder submits them when it starts")
    place = {bus: index for index, bus in enumerate(plan.kinds)}
    f, t = (np.asarray([place[ends[k]] for ends in plan.branches], dtype=np.int64) for k in (0, 1))
    positions = np.zeros((size, 2))
    beside = 0.0
    for part in islands(size, f, t):
        inside = np.zeros(size, dtype=np.bool_)
        inside[part] = True
        number = np.cumsum(inside) - 1
        rows = inside[f] & inside[t]
        found = laid_out(len(part), number[f[rows]], number[t[rows]]) if len(part) > 1 else np.zeros((1, 2))
        scaled = _scaled(_upright(found))
        positions[part] = scaled - scaled.min(axis=0) + (beside, 0.0)
        beside = float(positions[part, 0].max()) + 2 * _APART
    return _drawn(plan, positions)


def _refuse_many(size: int) -> None:
    if size > MAX_BUSES:
        raise InputError(f"the grid has {size} buses; a diagram has {MAX_BUSES} at most, look at its groups one by one")


def _drawn(plan: Plan, positions: FloatArray) -> Diagram:
    placed = _pushed_apart(_scaled(positions))
    placed = placed - placed.min(axis=0) + _MARGIN
    width, height = (placed.max(axis=0) + _MARGIN).tolist()
    buses = tuple(
        Bus(number, round(x, 1), round(y, 1), kind, plan.groups.get(number, ""))
        for (number, kind), (x, y) in zip(plan.kinds.items(), placed.tolist(), strict=True)
    )
    return Diagram(plan.source, round(width, 1), round(height, 1), buses, plan.lines())


def _upright(positions: FloatArray) -> FloatArray:
    """Turned so that it is wider than high; of its mirror images the one that the first bus chooses."""
    centred = positions - positions.mean(axis=0)
    _, _, axes = np.linalg.svd(centred, full_matrices=False)
    turned: FloatArray = centred @ axes.T
    signs = np.where(turned[0] > 0, -1.0, 1.0)
    return turned * signs


def _scaled(positions: FloatArray) -> FloatArray:
    """So large that most buses are far enough from their nearest, and no larger than can be looked at."""
    if len(positions) == 1:
        return positions * 0.0
    nearest = np.sort(_distances(positions).min(axis=1))
    typical = float(nearest[len(nearest) // 2]) or 1.0
    extent = float(np.ptp(positions, axis=0).max()) or 1.0
    return positions * min(1.25 * _APART / typical, _LONGEST / extent)


def _pushed_apart(positions: FloatArray) -> FloatArray:
    """Buses that lie on one another or touch are moved away from each other, a little at each step."""
    placed = positions.copy()
    for _ in range(_STEPS):
        distances = _distances(placed)
        close = np.argwhere(distances < _APART * 0.999)
        if not len(close):
            break
        moves = np.zeros_like(placed)
        for one, two in close.tolist():
            if one < two:
                away, distance = placed[one] - placed[two], distances[one, two]
                # Two on one spot go apart by their order, so that it is the same each time.
                unit = away / distance if distance > 1e-9 else np.asarray([np.cos(one), np.sin(one)])  # noqa: PLR2004
                moves[one] += unit * (_APART - distance) * 0.5
                moves[two] -= unit * (_APART - distance) * 0.5
        placed += np.clip(moves, -_APART, _APART)
    return placed


def _distances(positions: FloatArray) -> FloatArray:
    apart: FloatArray = np.hypot(*(positions[:, None, :] - positions[None, :, :]).transpose(2, 0, 1))
    np.fill_diagonal(apart, np.inf)
    return apart


def make(asked: Mapping[str, Any]) -> Diagram:
    """The diagram that is asked for. Raises InputError and what reading a case raises."""
    if "case" in asked:
        return diagram_of_case(load_case(asked["case"]), asked.get("groups"))
    return diagram_of_plan(plan_of_records(asked["records"]))


def main() -> int:
    """Read what is asked for, write the diagram."""
    try:
        answer = make(jsontext.loads(sys.stdin.buffer.read())).to_dict()
    except GridLedgerError as error:
        answer = {"error": str(error)}
    sys.stdout.buffer.write(jsontext.dumps(answer))
    return 0


if __name__ == "__main__":
    sys.exit(main())
