"""Optional rules in the planner's records (spec sections 12 and 13): release, check of consistency, deadband.

Profile ``corrected`` only. What an operator chooses is told in docs/release.md.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from gridledger.grid.area import Area
from gridledger.grid.power_flow import GridState


@dataclass(frozen=True, slots=True)
class Release:
    """When a group takes back what stands.

    ``v_max``: a voltage, p.u., above which the first release need not wait. ``margin``: how far every VSI stays above
    its threshold. ``hold_s``: how long an injection stands at least, and how far releases are apart. ``dv_max``: by how
    much one release lowers any voltage, p.u.
    """

    v_max: float
    margin: float = 0.02
    hold_s: float = 1.0
    dv_max: float = 0.02

    def record(self) -> dict[str, float]:
        """The member ``release`` of a record."""
        return asdict(self)


@dataclass(frozen=True, slots=True)
class Check:
    """By how much a frame may contradict itself: ``tolerance_mva``, and voltages that are off by ``e_v`` p.u."""

    tolerance_mva: float = 0.1
    e_v: float = 0.0

    def record(self, area: Area) -> dict[str, Any]:
        """The member ``check`` of an area's record: the bounds, the shunts of its members and its branches."""
        case, lines = area.case, area.case.branches
        shunts = []
        for bus in sorted(area.members):
            at = case.position[bus]
            if case.gs[at] != 0.0 or case.bs[at] != 0.0:
                shunts.append([bus, float(case.gs[at]), float(case.bs[at])])
        columns = (lines.r, lines.x, lines.b, lines.tap, lines.shift)
        return {
            "tolerance_mva": self.tolerance_mva,
            "e_v": self.e_v,
            "shunts": shunts,
            "branches": [[float(column[branch]) for column in columns] for branch in area.branches],
        }


def release_warnings(release: Release, area: Area, state: GridState, distance: float) -> Sequence[str]:
    """What is unwise about a group's ``release`` in the base state. ``distance``: its least VSI above the threshold."""
    found = []
    load_buses = {bus: float(state.vm[area.case.position[bus]]) for bus in area.load_buses}
    high = max(load_buses, key=lambda bus: (load_buses[bus], -bus), default=None)
    if high is not None and load_buses[high] > release.v_max:
        found.append(
            f"group {area.group}: bus {high} is at {load_buses[high]:.4f} p.u. in the base case, above v_max "
            f"{release.v_max:g}: every release there comes without waiting"
        )
    if release.margin >= distance and load_buses:
        found.append(
            f"group {area.group}: margin {release.margin:g} is not below its distance from the threshold in the base "
            f"case, {distance:.4f}: nothing is ever released"
        )
    return found
