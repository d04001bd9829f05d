"""The errors of the meters: noise on what they show, and gross errors for some frames. The grid itself has none.

What a meter shows follows from the seed and the frame's number alone, whatever was sent before or meanwhile: each
number has its own draws, one for every quantity of every bus and branch of the case. So two groups that see the same
bus see the same measurement of it.

The draws are numpy's RandomState, whose stream is fixed for good.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from gridledger.grid.case import Case, FloatArray
from gridledger.grid.frames import Frame

BUS_QUANTITIES = ("Pd", "Qd", "Vm", "Va")
BRANCH_QUANTITIES = ("Pf", "Qf", "Pt", "Qt")
_REMEMBERED = 8
_RANGES = {"Vm": (0.01, 10.0), "Va": (-360.0, 360.0)}
_POWERS = (-1e6, 1e6)
"""What the contract takes; a meter that would show more shows this."""


@dataclass(frozen=True, slots=True)
class Sigmas:
    """Standard deviations: p.u., degrees, MW, MVAr."""

    v: float = 0.0
    angle: float = 0.0
    p: float = 0.0
    q: float = 0.0


@dataclass(frozen=True, slots=True)
class GrossError:
    """An error on one quantity of a bus or a branch, for ``frames`` frames from ``at_s`` on.

    ``position`` is that of the bus or the branch in the case, which the quantity tells apart.
    """

    at_s: float
    frames: int
    position: int
    quantity: str
    error: float
    probability: float = 1.0


@dataclass(frozen=True, slots=True)
class MeterErrors:
    """What the meters of a scenario add to what is true."""

    seed: int
    sigmas: Sigmas = Sigmas()
    gross: tuple[GrossError, ...] = ()

    def stretched(self, factor: float) -> MeterErrors:
        """The same with the times of gross errors multiplied."""
        return replace(self, gross=tuple(replace(one, at_s=one.at_s * factor) for one in self.gross))


class Meter:
    """Turns true frames into measured ones, at ``rate`` frames per second."""

    def __init__(self, case: Case, errors: MeterErrors, rate: float) -> None:
        self._case = case
        self._errors = errors
        self._rate = rate
        self._branches = _numbered(case.ends(branch) for branch in range(len(case.branches)))
        self._draws: OrderedDict[int, tuple[FloatArray, FloatArray]] = OrderedDict()

    def measure(self, frame: Frame, number: int) -> Frame:
        """The frame as the meters show it in the ``number``-th sampling; the true one is not changed."""
        at_buses, at_branches = self._drawn(number)
        position = self._case.position
        numbered: dict[tuple[int, int], int] = {}
        branches = []
        for row in frame["branches"]:
            # A branch is known by its ends and by how many of the same ends came before it: an outage may have
            # taken others away, and the frame does not say which of two parallel ones is left.
            ends = row["f"], row["t"]
            numbered[ends] = numbered.get(ends, 0) + 1
            branches.append(_with(row, BRANCH_QUANTITIES, at_branches[self._branches[*ends, numbered[ends]]]))
        buses = [_with(row, BUS_QUANTITIES, at_buses[position[row["bus"]]]) for row in frame["buses"]]
        return {**frame, "buses": buses, "branches": branches}

    def _drawn(self, number: int) -> tuple[FloatArray, FloatArray]:
        """What is added to every bus and every branch of the case in this sampling."""
        drawn = self._draws.get(number)
        if drawn is None:
            drawn = self._draws[number] = self._draw(number)
            if len(self._draws) > _REMEMBERED:
                self._draws.popitem(last=False)
        return drawn

    def _draw(self, number: int) -> tuple[FloatArray, FloatArray]:
        errors = self._errors
        # A list of words, so that no two pairs of seed and number share a stream.
        random = np.random.RandomState([errors.seed, number & 0xFFFFFFFF, number >> 32])
        sigmas = errors.sigmas
        buses = random.standard_normal((len(self._case.numbers), 4)) * (sigmas.p, sigmas.q, sigmas.v, sigmas.angle)
        branches = random.standard_normal((len(self._case.branches), 4)) * (sigmas.p, sigmas.q, sigmas.p, sigmas.q)
        for one, chance in zip(errors.gross, random.random_sample(len(errors.gross)), strict=True):
            first = round(one.at_s * self._rate)
            if first <= number < first + one.frames and chance < one.probability:
                if one.quantity in BUS_QUANTITIES:
                    buses[one.position, BUS_QUANTITIES.index(one.quantity)] += one.error
                else:
                    branches[one.position, BRANCH_QUANTITIES.index(one.quantity)] += one.error
        return buses, branches


def _with(row: Mapping[str, Any], quantities: Sequence[str], added: FloatArray) -> dict[str, Any]:
    shown = dict(row)
    for quantity, error in zip(quantities, added.tolist(), strict=True):
        low, high = _RANGES.get(quantity, _POWERS)
        shown[quantity] = min(high, max(low, row[quantity] + error)) + 0.0
    return shown


def _numbered(ends: Iterable[tuple[int, int]]) -> dict[tuple[int, int, int], int]:
    """Position by (f, t, n): the n-th branch with these ends in this direction."""
    count: dict[tuple[int, int], int] = {}
    found = {}
    for position, (f, t) in enumerate(ends):
        count[f, t] = count.get((f, t), 0) + 1
        found[f, t, count[f, t]] = position
    return found
