"""How voltages answer to reactive power in profile ``corrected``: the Jacobian dQ/dV of a group's load buses.

Angles are held fixed, and so are the voltages of all other buses.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from .arithmetic import Elimination, term
from .grouping import Record, load_buses
from .vsi import Bus


class VoltageResponse:
    """dV by dQ among the load buses of a record, at the voltages of one frame."""

    def __init__(self, head: Record, Y: Sequence[Sequence[Any]], buses: Mapping[int, Bus]) -> None:
        self._loads = load_buses(head)
        self._place = {bus: n for n, bus in enumerate(self._loads)}
        self._solver = Elimination(self._jacobian(head, Y, buses))
        self._solved: dict[int, list[float]] = {}

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
