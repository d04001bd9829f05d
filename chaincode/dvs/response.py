"""How voltages answer to reactive power in profile ``corrected``: the Jacobian dQ/dV of a group's load buses.

Angles are held fixed, and so are the voltages of all other buses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import isfinite
from typing import Any, Final

from .arithmetic import Elimination, term
from .grouping import Record, load_buses
from .vsi import Bus

#: A row of gains is an estimate to go by where none is larger, p.u. by p.u.: beyond, the Jacobian is nearly singular.
_LARGEST_GAIN: Final = 100.0


class VoltageResponse:
    """dV by dQ among the load buses of a record, at the voltages of one frame."""

    def __init__(self, head: Record, Y: Sequence[Sequence[Any]], buses: Mapping[int, Bus]) -> None:
        self._loads = load_buses(head)
        self._place = {bus: n for n, bus in enumerate(self._loads)}
        self._solver = Elimination(self._jacobian(head, Y, buses))
        self._solved: dict[int, list[float]] = {}
        self._estimates: dict[int, list[float] | None] = {}

    def to(self, source: int) -> dict[int, float] | None:
        """By load bus, in the order of dim: the voltage gained per reactive power injected at ``source``, p.u. by p.u.

        None where the Jacobian is singular. Entries may be not finite.
        """
        if not self._solver.regular:
            return None
        if source not in self._solved:
            right = [0.0] * len(self._loads)
            right[self._place[source]] = 1.0
            self._solved[source] = self._solver.solve(right)
        return dict(zip(self._loads, self._solved[source], strict=True))

    def surely_below(self, gain: float, source: int, weak: int) -> bool:
        """Whether reactive power at ``source`` lifts bus ``weak`` by less than ``gain``, p.u. by p.u., beyond doubt.

        One solution answers for every source of a weak bus. It is rounded otherwise than ``to``, which stays the value
        to decide by: half of ``gain`` is left for that, and nothing is said next to a singular Jacobian.
        """
        if weak not in self._estimates:
            row = self._solver.row_of_inverse(self._place[weak]) if self._solver.regular else []
            sound = row and all(isfinite(x) and abs(x) <= _LARGEST_GAIN for x in row)
            self._estimates[weak] = row if sound else None
        estimates = self._estimates[weak]
        return estimates is not None and estimates[self._place[source]] < gain / 2.0

    def _jacobian(self, head: Record, Y: Sequence[Sequence[Any]], buses: Mapping[int, Bus]) -> list[list[float]]:
        places = [self._place.get(bus) for bus in head["dim"][: head["nm"]]]
        base: float = head["base"]
        matrix = [[0.0] * len(self._loads) for _ in self._loads]
        for bus, n in self._place.items():
            _, Qd, vm, _ = buses[bus]
            matrix[n][n] = -((Qd / base) / vm) - 0.0 * vm
        for i, k, G, B in Y:
            row, column = places[i], places[k]
            if row is None or column is None:
                continue
            _, Qd, vm, va = buses[self._loads[row]]
            if row == column:
                matrix[row][row] = -((Qd / base) / vm) - B * vm
            else:
                matrix[row][column] = term(G, B, vm, va - buses[self._loads[column]][3])
        return matrix
