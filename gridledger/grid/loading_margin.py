"""How far loads may grow: the index of every load bus up to the nose of the curve, and the thresholds that follow.

The thesis's Appendix A as a rule: a group's threshold is the smallest index of its load buses where the load factor is
the largest one less a margin, so that an alarm comes while that much of the load can still be added.
"""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Literal

import numpy as np

from gridledger.errors import InputError
from gridledger.grid.case import Case, FloatArray
from gridledger.grid.continuation import Continuation, Curve, CurvePoint
from gridledger.grid.grouping import Grouping
from gridledger.grid.power_equations import Direction
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner, Profile
from gridledger.grid.stability import vsi_of

Generation = Literal["slack", "scaled"]
GENERATIONS: tuple[Generation, ...] = ("slack", "scaled")

_SILENT = 0.005
"""A threshold lies at least so far below the group's smallest index at the case's own loads, which cause no alarm."""
_MOST_PLANNERS = 8


def direction_of(case: Case, buses: Collection[int] | None, generation: Generation) -> Direction:
    """Demand of ``buses`` (None: all) in proportion to the case's own; a loading of 1 doubles it.

    ``slack``: the reference bus gives what is added, as in the simulated grid; ``scaled``: all generators do, each in
    proportion to its output. Raises InputError for a bus that is not in the case or has no load.
    """
    swept = np.ones(len(case.numbers), dtype=np.bool_)
    if buses is not None:
        swept[:] = False
        for bus in buses:
            index = case.index(bus)
            if not (case.pd[index] or case.qd[index]):
                raise InputError(f"bus {bus} of {case.name} has no load that could grow", bus=bus)
            swept[index] = True
    pd, qd = np.where(swept, case.pd, 0.0), np.where(swept, case.qd, 0.0)
    pg = np.zeros(len(case.numbers))
    if generation == "scaled":
        np.add.at(pg, case.generators.bus, case.generators.pg * (pd.sum() / case.pd.sum()))
    return Direction(pd, qd, pg)


@dataclass(frozen=True, slots=True)
class GroupIndices:
    """A group's smallest index at the case's own loads, at the margin and at the nose, its weakest bus there."""

    weak_bus: int
    base: float
    at_margin: float
    nose: float
    threshold: float


class LoadingMargin:
    """The indices along one curve. ``margin`` is a share of the largest load factor, which is 1 + the loading."""

    def __init__(
        self, continuation: Continuation, curve: Curve, grouping: Grouping, profile: Profile, margin: float
    ) -> None:
        self.case, self.grouping, self.profile = continuation.case, grouping, profile
        self.continuation, self.curve, self.margin = continuation, curve, margin
        self._planners: dict[frozenset[int], Planner] = {}
        self.largest_factor = 1.0 + curve.largest_loading
        self.margin_factor = (1.0 - margin) * self.largest_factor
        if not 0.0 < margin < 1.0 or self.margin_factor <= 1.0:
            most = 1.0 - 1.0 / self.largest_factor
            raise InputError(
                f"{self.case.name}: loads may grow to {self.largest_factor:.4f} times at most; "
                f"choose a margin above 0 and below {most:.3f}"
            )
        self.base, self.nose = curve.points[0], curve.points[curve.nose]
        self.at_margin = continuation.at(curve, self.margin_factor - 1.0)

    def state(self, point: CurvePoint) -> GridState:
        """The solved state of a point."""
        return self.continuation.state(point)

    def voltages(self, point: CurvePoint) -> FloatArray:
        """Voltages (p.u.) of all buses, case order."""
        return self.state(point).vm

    def indices(self, point: CurvePoint) -> dict[str, dict[int, float]]:
        """Group -> bus -> index of the load buses; generators at a limit are load buses."""
        state, planner = self.state(point), self._planner(point)
        return {group: vsi_of(planner, group, state) for group in self.grouping}

    def thresholds(self) -> dict[str, GroupIndices]:
        """Every group with load buses, and the threshold that is recommended for it: rounded down to 0.001.

        A group whose index the growing load does not lower gets one just below its index at the case's own loads.
        """
        base, at_margin, nose = (self.indices(point) for point in (self.base, self.at_margin, self.nose))
        result = {}
        for group in self.grouping:
            if not base[group]:
                continue
            _, weak_bus = min((index, bus) for bus, index in nose[group].items())
            first, then, last = (min(found[group].values()) for found in (base, at_margin, nose))
            threshold = max(0.0, math.floor(min(then, first - _SILENT) * 1000.0) / 1000.0)
            result[group] = GroupIndices(weak_bus, first, then, last, threshold)
        return result

    def recommended(self) -> Mapping[str, float]:
        """The thresholds of all groups; one without load buses cannot alarm and gets 0."""
        found = self.thresholds()
        return {group: found[group].threshold if group in found else 0.0 for group in self.grouping}

    def _planner(self, point: CurvePoint) -> Planner:
        key = frozenset(point.held)
        planner = self._planners.get(key)
        if planner is None:
            case, none = self.continuation.case_of(point), dict.fromkeys(self.grouping, 0.0)
            planner = Planner(case, self.grouping, self.profile, none)
            if len(self._planners) >= _MOST_PLANNERS:
                self._planners.clear()
            self._planners[key] = planner
        return planner
