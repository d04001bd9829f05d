"""Reactive limits of generators: who is at a limit, and who goes back to holding its voltage.

A limit is one of a bus: the sums of Qmin and of Qmax over its generators. The rule of MATPOWER and pandapower, all at
once, and a way back that they do not have:

1. Every generator bus beyond a limit is held at it, and becomes a load bus, until none is beyond.
2. Then every bus held at Qmax above its set-point, or at Qmin below it, holds its voltage again; step 1 follows.

A bus goes back at most twice for one set of loads, so that the rounds end. The reference bus is never held.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gridledger.grid.case import PV, Case, FloatArray

Limit = Literal["qmin", "qmax"]

_TOLERANCE_MVAR = 1e-6
_TOLERANCE_PU = 1e-6
_MOST_RETURNS = 2


@dataclass(frozen=True, slots=True)
class AtLimit:
    """The generators of a bus that give ``q_mvar`` in all, at or beyond the ``limit`` of ``limit_mvar``."""

    bus: int
    limit: Limit
    limit_mvar: float
    q_mvar: float


@dataclass(frozen=True, slots=True, eq=False)
class GeneratorBuses:
    """The buses with generators, ascending positions in the case; sums over the generators of each bus."""

    positions: tuple[int, ...]
    pg: FloatArray
    vg: FloatArray
    qmin: FloatArray
    qmax: FloatArray

    @classmethod
    def of(cls, case: Case) -> GeneratorBuses:
        """Those of a case. Where generators of a bus differ in their set-point, the last one's counts, as in Newton."""
        generators = case.generators
        buses, row = np.unique(generators.bus, return_inverse=True)
        sums = [np.zeros(len(buses)) for _ in range(3)]
        for total, column in zip(sums, (generators.pg, generators.qmin, generators.qmax), strict=True):
            np.add.at(total, row, column)
        vg = np.ones(len(buses))
        vg[row] = generators.vg
        pg, qmin, qmax = sums
        return cls(tuple(buses.tolist()), pg, vg, qmin, qmax)

    def limit_mvar(self, row: int, limit: Limit) -> float:
        """The limit of a row, MVAr."""
        return float((self.qmax if limit == "qmax" else self.qmin)[row])


class LimitRounds:
    """The rounds for one set of loads. ``held`` maps rows of ``GeneratorBuses`` to the limit at which they are held."""

    def __init__(self, case: Case, generators: GeneratorBuses) -> None:
        self.held: dict[int, Limit] = {}
        self._generators = generators
        self._may_be_held = [int(case.kind[position]) == PV for position in generators.positions]
        self._returned: Counter[int] = Counter()

    def next(self, q_mvar: FloatArray, vm: FloatArray) -> bool:
        """Change ``held`` after a solution, given each row's output and each bus's voltage; whether it changed."""
        beyond = {
            row: limit
            for row, limit in beyond_limits(self._generators, q_mvar).items()
            if self._may_be_held[row] and row not in self.held
        }
        if beyond:
            self.held |= beyond
            return True
        back = [row for row, limit in self.held.items() if self._may_return(row, limit, vm)]
        for row in back:
            del self.held[row]
            self._returned[row] += 1
        return bool(back)

    def _may_return(self, row: int, limit: Limit, vm: FloatArray) -> bool:
        above = float(vm[self._generators.positions[row]]) - float(self._generators.vg[row])
        wants = above > _TOLERANCE_PU if limit == "qmax" else above < -_TOLERANCE_PU
        return wants and self._returned[row] < _MOST_RETURNS


def beyond_limits(generators: GeneratorBuses, q_mvar: FloatArray) -> dict[int, Limit]:
    """The rows whose output is beyond a limit, and which."""
    result: dict[int, Limit] = {}
    for row in np.flatnonzero(q_mvar > generators.qmax + _TOLERANCE_MVAR):
        result[int(row)] = "qmax"
    for row in np.flatnonzero(q_mvar < generators.qmin - _TOLERANCE_MVAR):
        result[int(row)] = "qmin"
    return result


def told(
    case: Case, generators: GeneratorBuses, limits: Mapping[int, Limit], q_mvar: FloatArray
) -> tuple[AtLimit, ...]:
    """The rows of ``limits`` for those who read a state, ascending by bus."""
    found = [
        AtLimit(case.numbers[generators.positions[row]], limit, generators.limit_mvar(row, limit), float(q_mvar[row]))
        for row, limit in limits.items()
    ]
    return tuple(sorted(found, key=lambda item: item.bus))
