"""Planning: the thresholds of groups, which records a ledger needs, and when a record is out of date."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterable, Mapping

import numpy as np

from gridledger.grid.case import Case
from gridledger.grid.grouping import CASE30_GROUPS, Grouping, adjacent_pairs, components, merged_id, neighbours
from gridledger.grid.power_flow import GridState
from gridledger.grid.records import Planner, Profile, Record
from gridledger.grid.rules import release_warnings
from gridledger.grid.stability import vsi_of

CASE30_THRESHOLDS: Mapping[Profile, Mapping[str, float]] = {
    "published": {"1": 0.9015, "2": 0.76, "3": 0.80},
    "corrected": {"1": 0.88, "2": 0.85, "3": 0.90},
}
THRESHOLD_MARGIN = 0.05
MAX_GROUPS_IN_PAIRS = 20


def planner_for(case: Case, grouping: Grouping, profile: Profile, base: GridState) -> Planner:
    """A planner with :func:`default_thresholds`."""
    return Planner(case, grouping, profile, default_thresholds(case, grouping, profile, base))


def default_thresholds(case: Case, grouping: Grouping, profile: Profile, base: GridState) -> Mapping[str, float]:
    """The thesis's thresholds for the groups of case30, otherwise :func:`thresholds_below` by THRESHOLD_MARGIN."""
    if case.name == "case30" and grouping == CASE30_GROUPS:
        return CASE30_THRESHOLDS[profile]
    return thresholds_below(case, grouping, profile, base, THRESHOLD_MARGIN)


def thresholds_below(
    case: Case, grouping: Grouping, profile: Profile, base: GridState, margin: float
) -> Mapping[str, float]:
    """Thresholds ``margin`` below the weakest bus of each group in ``base``, rounded down to 0.001, at least 0.

    A group without load buses cannot alarm and gets 0.
    """
    draft = Planner(case, grouping, profile, dict.fromkeys(grouping, 0.0))
    thresholds = {}
    for group in grouping:
        weakest = min(vsi_of(draft, group, base).values(), default=margin)
        thresholds[group] = max(0.0, math.floor((weakest - margin) * 1000.0) / 1000.0)
    return thresholds


def concerned_by(old: Planner, new: Planner) -> tuple[str, ...]:
    """The single groups whose records differ between two topologies of one grid, whatever its state.

    A branch is part of the records of both its ends' groups; a published record also has those between two of its ties.
    """
    before, after = _branch_rows(old.case), _branch_rows(new.case)
    changed = [(old.case, row) for row in before - after] + [(new.case, row) for row in after - before]
    ends = [(case.numbers[int(row[0])], case.numbers[int(row[1])]) for case, row in changed]
    kinds = np.flatnonzero(old.case.kind != new.case.kind)
    turned = {old.case.numbers[position] for position in kinds.tolist()}
    found = []
    for group, members in old.grouping.items():
        inside, seen = set(members), set(old.area(group).dim)
        if inside & turned or any(inside & {f, t} or {f, t} <= seen for f, t in ends):
            found.append(group)
    return tuple(found)


def _branch_rows(case: Case) -> Counter[tuple[float, ...]]:
    lines = case.branches
    columns = (lines.f, lines.t, lines.r, lines.x, lines.b, lines.tap, lines.shift)
    return Counter(zip(*(column.tolist() for column in columns), strict=True))


def warnings_of(planner: Planner, base: GridState) -> list[str]:
    """What is unwise about the planner's ``release`` on the groups of its case; nothing where it has none."""
    if planner.release is None:
        return []
    found: list[str] = []
    for group in planner.grouping:
        least = min(vsi_of(planner, group, base).values(), default=1.0)
        found += release_warnings(planner.release, planner.area(group), base, least - planner.thresholds[group])
    return found


class RecordPlan:
    """Which records of a planner a ledger needs, which were submitted, and when those no longer hold."""

    def __init__(self, planner: Planner) -> None:
        self._planner = planner
        self._merged: set[str] = set()
        self._inflow: dict[str, list[bool]] = {}

    def initial(self) -> tuple[str, ...]:
        """The ids whose records a ledger needs from the start: all groups and all pairs that share a branch.

        With three groups also the id of all together, into which a merged pair can grow. With more than
        MAX_GROUPS_IN_PAIRS the groups only: a merge's record is submitted before the merge.
        """
        groups = sorted(self._planner.grouping, key=int)
        if len(groups) > MAX_GROUPS_IN_PAIRS:
            return tuple(groups)
        pairs = adjacent_pairs(self._planner.case, self._planner.grouping)
        return (*groups, *pairs, *((merged_id(groups),) if len(groups) == 3 else ()))  # noqa: PLR2004 -- see above

    def missing_merges(self, group: str) -> tuple[str, ...]:
        """The ids of ``group`` merged with each neighbour whose records were not submitted yet."""
        near = neighbours(self._planner.case, self._planner.grouping, group)
        merged = (merged_id((group, other)) for other in near)
        return tuple(name for name in merged if name not in self._merged)

    def out_of_date(self, groups: Iterable[str], state: GridState) -> tuple[str, ...]:
        """Those single groups whose submitted record does not hold for ``state``: power has turned at their border.

        A group of which no record is known here counts as out of date. Published records hold for every direction.
        """
        if self._planner.profile == "published":
            return ()
        return tuple(group for group in groups if self._has_turned(group, state))

    def _has_turned(self, group: str, state: GridState) -> bool:
        recorded, area = self._inflow.get(group), self._planner.area(group)
        if recorded is None:
            return True
        deadband = self._planner.deadband_mw or 0.0
        return any(
            flows_in != before and abs(flow) >= deadband
            for flow, flows_in, before in zip(area.border_flows(state), area.inflow(state), recorded, strict=True)
        )

    def merges_with(self, groups: Iterable[str]) -> tuple[str, ...]:
        """The merged ids that have one of these single groups, and whose record was submitted."""
        return tuple(name for name in sorted(self._merged) if set(groups) & set(components(name)))

    def take(self, planner: Planner, concerned: Iterable[str]) -> None:
        """Plan for a changed topology: the records of these groups, and of their merges, do not hold any more."""
        self._planner = planner
        changed = set(concerned)
        self._inflow = {group: inflow for group, inflow in self._inflow.items() if group not in changed}
        self._merged = {name for name in self._merged if not changed & set(components(name))}

    def submitted(self, record: Record) -> None:
        """Take note of a record that was submitted."""
        group = record["id"]
        if "_" in group:
            self._merged.add(group)
        if "inflow" in record:
            self._inflow[group] = record["inflow"]
