"""Release: a calm frame takes back what stands, in bounded steps, where the prediction keeps a margin.

Only under an id whose record has ``release``, and whose load buses contain both the source and the bus it was for.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from math import isfinite

from gridledger.contract import Stub

from . import keys
from .arguments import components_of
from .control import Injection
from .frames import Frame
from .grouping import Record, load_buses
from .resources import Resources
from .response import VoltageResponse
from .standing import Entry, Standing
from .vsi import Impedance, NotFinite, load_bus_index


@dataclass(frozen=True, slots=True)
class Homes:
    """What judges each load bus of an id: its Thevenin impedance (order of dim), threshold, and VSI as measured."""

    impedances: Mapping[int, Impedance]
    thresholds: Mapping[int, float]
    ranked: Sequence[tuple[float, int]]

    def margin_holds(self, margin: float) -> bool:
        """Whether every index, as measured, keeps ``margin`` above its threshold."""
        return all(self.keeps(bus, vsi, margin) for vsi, bus in self.ranked)

    def keeps(self, bus: int, vsi: float, margin: float) -> bool:
        """Whether an index of ``bus`` keeps ``margin`` above its threshold."""
        return vsi >= self.thresholds[bus] + margin


@dataclass(frozen=True, slots=True)
class Release:
    """``injection`` takes back a part of ``entry``; its amounts are negative."""

    entry: Entry
    injection: Injection


def choose_release(
    stub: Stub, frame: Frame, head: Record, homes: Homes, *, resources: Resources, standing: Standing
) -> Release | None:
    """The newest entry that may go, and how much of it; None where none may."""
    rule = head["release"]
    due = [entry for entry in reversed(standing.entries) if _is_due(frame, head, entry, resources, standing)]
    if not due or not homes.margin_holds(rule["margin"]):
        return None
    matrices: Record | None = stub.get_state(keys.matrix(frame.group))
    if matrices is None:
        return None
    response = VoltageResponse(head, matrices["Y"], frame.buses)
    for entry in due:
        x = response.to(entry["bus"])
        if x is None:
            return None
        largest = max(x.values())
        if not all(map(isfinite, x.values())) or largest <= 0.0 or not isfinite(1.0 / largest):
            continue
        q = min(entry["q_pu"], rule["dv_max"] / largest)
        if _keeps_margin(frame, homes, entry["bus"], q, x, rule["margin"]):
            return Release(entry, Injection(entry["weak"], entry["bus"], 1.0 / largest, -entry["q_pu"], -q, []))
    return None


def is_held(group: str, head: Record, standing: Standing) -> bool:
    """Whether a merged id has borrowed what still stands, and can take it back only while it is merged."""
    own = components_of(group)
    inside = set(load_buses(head))
    return len(own) > 1 and any(
        "_" in entry["by"] and set(components_of(entry["by"])) <= set(own) and {entry["bus"], entry["weak"]} <= inside
        for entry in standing.entries
    )


def _is_due(frame: Frame, head: Record, entry: Entry, resources: Resources, standing: Standing) -> bool:
    """Whether the id may release an entry at the time of the frame."""
    inside = load_buses(head)
    if entry["bus"] not in inside or entry["weak"] not in inside:
        return False
    rule = head["release"]
    wait_us = standing.wait(rule["hold_s"]) * 1e6
    since = entry["time"] if resources.last is None else max(entry["time"], resources.last)
    if float(frame.time - since) >= wait_us:
        return True
    if not any(frame.buses[bus][2] > rule["v_max"] for bus in inside):
        return False
    # Too high a voltage: the first release after an injection need not wait, but releases keep their distance.
    released = standing.released
    if released is None:
        return True
    return resources.last is not None and resources.last > released and float(frame.time - released) >= wait_us


def _keeps_margin(  # noqa: PLR0917 -- a release and what it is measured by
    frame: Frame, homes: Homes, source: int, q: float, x: Mapping[int, float], margin: float
) -> bool:
    """Whether every load bus is predicted to keep its margin when ``q`` p.u. less is injected at ``source``."""
    for bus, (R, X) in homes.impedances.items():
        Pd, Qd, vm, _ = frame.buses[bus]
        if bus == source:
            Qd = Qd + q * frame.base
        v = vm - q * x[bus]
        p = Pd / frame.base
        reactive = Qd / frame.base
        if v <= 0.0 or (X == 0.0 and (p != 0.0 or reactive != 0.0)):
            return False
        try:
            vsi = load_bus_index(p, reactive, p, reactive, v, R, X)
        except NotFinite:
            return False
        if not homes.keeps(bus, vsi, margin):
            return False
    return True
