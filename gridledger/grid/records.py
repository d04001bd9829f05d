"""The planner's records (spec section 11.2): all that the contract needs to know of a group, for both profiles.

A record holds for a topology; a corrected one also for the directions of power flow at the group's border, which is why
it takes a solved state. A contract compares them with every frame and answers ``stale`` where they turned.
"""

from __future__ import annotations

from collections.abc import Mapping
from copy import copy
from typing import Any, Literal

import numpy as np

from gridledger.errors import InputError
from gridledger.grid.area import Area, area_of
from gridledger.grid.case import Case
from gridledger.grid.grouping import Grouping, components, members_of, neighbours
from gridledger.grid.impedance import (
    Thevenin,
    corrected_matrix,
    corrected_thevenin,
    published_matrix,
    published_thevenin,
)
from gridledger.grid.power_flow import GridState
from gridledger.grid.rules import Check, Release
from gridledger.grid.ybus import ComplexArray, branch_admittances, bus_admittance

Profile = Literal["published", "corrected"]
PROFILES: tuple[Profile, ...] = ("published", "corrected")
Record = dict[str, Any]


class Planner:
    """Makes the records of one grid, grouping and profile.

    ``thresholds`` maps single group ids to VSI thresholds; a merged published record takes the smallest of them.
    ``release``, ``check`` and ``deadband_mw`` go into corrected records, the last one into those of single groups.
    """

    def __init__(
        self,
        case: Case,
        grouping: Grouping,
        profile: Profile,
        thresholds: Mapping[str, float],
        *,
        v_required: float = 0.98,
        retention_s: int | None = None,
        release: Release | None = None,
        check: Check | None = None,
        deadband_mw: float | None = None,
    ) -> None:
        missing = grouping.keys() - thresholds.keys()
        if missing:
            raise InputError(f"no threshold for group {min(missing, key=int)}")
        self.grouping = grouping
        self.profile: Profile = profile
        self.thresholds = thresholds
        self.v_required = v_required
        self.retention_s = retention_s
        self.release = release if profile == "corrected" else None
        self.check = check if profile == "corrected" else None
        self.deadband_mw = deadband_mw if profile == "corrected" else None
        self._take(case)

    def _take(self, case: Case) -> None:
        self.case = case
        self._ybus = bus_admittance(case)
        self._own = branch_admittances(case)
        self._areas: dict[str, Area] = {}

    def on(self, case: Case) -> Planner:
        """The same groups and thresholds on the grid as it now is: with lines out, or generators at a limit."""
        other = copy(self)
        other._take(case)  # noqa: SLF001 -- of its own class
        return other

    def area(self, group: str) -> Area:
        """The area of a single or merged group."""
        area = self._areas.get(group)
        if area is None:
            unknown = [part for part in components(group) if part not in self.grouping]
            if unknown:
                raise InputError(f"{self.case.name} has no group {unknown[0]}", group=group)
            area = self._areas[group] = area_of(self.case, group, members_of(self.grouping, group))
        return area

    def thevenin(self, group: str, state: GridState) -> list[Thevenin]:
        """Thevenin impedances of the group's load buses, order of dim."""
        area = self.area(group)
        if self.profile == "published":
            return published_thevenin(area, published_matrix(area, self._ybus))
        return corrected_thevenin(area, corrected_matrix(area, self._ybus), self._own, area.inflow(state))

    def record(self, group: str, state: GridState) -> Record:
        """The record of a single or merged group; corrected: for the flow directions of ``state``."""
        area = self.area(group)
        merged = "_" in group
        record: Record = {
            "id": group,
            "profile": self.profile,
            "members": list(area.members),
            "dim": list(area.dim),
            "kind": list(area.kind),
            "nm": area.nm,
            "base": self.case.base_mva,
            "branches": [list(self.case.ends(branch)) for branch in area.branches],
            "v_required": self.v_required,
            "adjacent": list(neighbours(self.case, self.grouping, group)),
        }
        if self.profile == "published" or not merged:
            record["threshold"] = min(self.thresholds[part] for part in components(group))
            impedances = self.thevenin(group, state)
            self._refuse_demand_without_impedance(group, impedances, state)
            record["Zth"] = [{"bus": z.bus, "R": z.r, "X": z.x} for z in impedances]
        if self.profile == "published":
            record["A"] = _sparse(published_matrix(area, self._ybus))
        else:
            if not merged:
                record["inflow"] = area.inflow(state)
            record["Y"] = _sparse(corrected_matrix(area, self._ybus))
        record["PI"] = self._adjacency(area)
        if self.retention_s is not None:
            record["retention_s"] = self.retention_s
        return record | self._rules(area, merged=merged)

    def _rules(self, area: Area, *, merged: bool) -> Record:
        """The optional rules of a record."""
        rules: Record = {}
        if self.release is not None:
            rules["release"] = self.release.record()
        if self.check is not None:
            rules["check"] = self.check.record(area)
        if self.deadband_mw is not None and not merged:
            rules["deadband_mw"] = self.deadband_mw
        return rules

    def _refuse_demand_without_impedance(self, group: str, impedances: list[Thevenin], state: GridState) -> None:
        """A contract would refuse every frame of the group (spec section 4, edge case 4): better no record at all."""
        for z in impedances:
            position = self.case.position[z.bus]
            if z.x == 0.0 and (state.pd[position] != 0.0 or state.qd[position] != 0.0):
                raise InputError(
                    f"{self.case.name}: bus {z.bus} has demand, and in group {group} no Thevenin impedance with a "
                    "positive reactance (a series capacitor is near): choose other groups, or move the demand to a bus "
                    "beside it",
                    group=group,
                    bus=z.bus,
                )

    def _adjacency(self, area: Area) -> list[list[Any]]:
        """PI: |Ybus_ik| between members of M, plain (undoubled), positions i < k."""
        plain = corrected_matrix(area, self._ybus)
        weight = np.abs(plain)
        rows, columns = np.nonzero(plain)
        return [[i, k, float(weight[i, k])] for i, k in zip(rows.tolist(), columns.tolist(), strict=True) if i < k]


def _sparse(matrix: ComplexArray) -> list[list[Any]]:
    """Every non-zero entry as [i, k, re, im], ascending; -0 is written as 0."""
    rows, columns = np.nonzero(matrix)
    entries = matrix[rows, columns]
    return [
        [i, k, re, im]
        for i, k, re, im in zip(
            rows.tolist(), columns.tolist(), (entries.real + 0.0).tolist(), (entries.imag + 0.0).tolist(), strict=True
        )
    ]
