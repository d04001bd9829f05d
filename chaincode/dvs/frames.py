"""Frames: one measurement of a group's buses and branches, checked, and fitted to the group's record.

Frames come many times a second, so each row is checked in one expression; only a row that fails it is looked at field
by field, for the message or for integers that stand for measurements.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Final, NoReturn

from gridledger.contract.arguments import members, refuse, shown

from .arguments import group_id, integer, items, number, number_within
from .grouping import Record, border_branches
from .vsi import Branch, Bus

POWER_LIMIT: Final = 1e6
VM_LOW: Final = 0.01
VM_HIGH: Final = 10.0
ANGLE_LIMIT: Final = 360.0

_FIELDS: Final = ("group", "time", "base", "buses", "branches")


@dataclass(frozen=True, slots=True)
class Frame:
    """A frame whose shape and ranges are right. ``time``: microseconds; ``applied``: None where the frame has none."""

    group: str
    time: int
    base: float
    buses: dict[int, Bus]
    branches: list[Branch]
    applied: int | None


def check_frame(argument: Any) -> Frame:
    """The frame in ``argument``, its numbers converted."""
    if type(argument) is not dict:
        refuse("frame", f"must be a JSON object, not {shown(argument)}")
    members(argument, "", _FIELDS, ("applied",))
    return Frame(
        group=group_id(argument["group"]),
        time=integer(argument["time"], "time"),
        base=number(argument["base"], "base"),
        buses=_buses(argument["buses"]),
        branches=_branches(argument["branches"]),
        applied=integer(argument["applied"], "applied") if "applied" in argument else None,
    )


def check_fit(frame: Frame, head: Record) -> None:
    """Refuse a frame that does not measure what the record describes: its base, its buses, its branches in order."""
    if frame.base != head["base"]:
        refuse("base", f"must be that of the record, {head['base']!r}, not {frame.base!r}")
    measured = frame.buses
    dim: list[int] = head["dim"]
    for bus in dim:
        if bus not in measured:
            refuse("buses", f"bus {bus} of the record is missing")
    if len(measured) != len(dim):
        known = {*dim, *head["members"]}
        for bus in measured:
            if bus not in known:
                refuse("buses", f"bus {bus} is neither in the record's dim nor a member")
    pairs = [[branch[0], branch[1]] for branch in frame.branches]
    if pairs != head["branches"]:
        _refuse_branches(pairs, head["branches"])


def inflow(branches: Sequence[Branch], head: Record) -> list[bool]:
    """For each border branch of ``head``: whether real power flows in at the member's end. ``branches``: its own."""
    return [flow < 0.0 for flow in _border_flows(branches, head)]


def is_stale(frame: Frame, homes: Sequence[Record]) -> bool:
    """Whether power crosses a border otherwise than one of the records says. ``homes``: the group's or its components'.

    The branches of a component are found among those of a merged frame by their ends; parallel ones go by their order.
    """
    for home in homes:
        if len(homes) == 1:
            own: Sequence[Branch] = frame.branches
        else:
            own = _branches_of(home, frame.branches)
        if _has_turned(own, home):
            return True
    return False


def _has_turned(branches: Sequence[Branch], home: Record) -> bool:
    if "deadband_mw" not in home:
        return inflow(branches, home) != list(home["inflow"])
    deadband: float = home["deadband_mw"]
    return any(
        abs(flow) >= deadband and (flow < 0.0) != flows_in
        for flow, flows_in in zip(_border_flows(branches, home), home["inflow"], strict=True)
    )


def _border_flows(branches: Sequence[Branch], head: Record) -> list[float]:
    """Real power at the member's end of each border branch, outwards, MW."""
    return [branches[i][2] if from_end else branches[i][4] for i, from_end in border_branches(head)]


def _branches_of(home: Record, branches: Sequence[Branch]) -> list[Branch]:
    waiting: dict[tuple[int, int], list[Branch]] = {}
    for branch in reversed(branches):
        waiting.setdefault((branch[0], branch[1]), []).append(branch)
    own = []
    for f, t in home["branches"]:
        parallel = waiting.get((f, t))
        if not parallel:
            refuse("branches", f"[{f}, {t}] of the record of group {home['id']} is not in that of the merged group")
        own.append(parallel.pop())
    return own


def _buses(value: Any) -> dict[int, Bus]:
    buses: dict[int, Bus] = {}
    for i, row in enumerate(items(value, "buses")):
        try:
            bus, Pd, Qd, Vm, Va = row["bus"], row["Pd"], row["Qd"], row["Vm"], row["Va"]
        except (TypeError, KeyError, IndexError):
            _refuse_row(row, f"buses[{i}]", ("bus", "Pd", "Qd", "Vm", "Va"))
        if not (
            len(row) == 5
            and type(bus) is int
            and float is type(Pd) is type(Qd) is type(Vm) is type(Va)
            and -POWER_LIMIT <= Pd <= POWER_LIMIT
            and -POWER_LIMIT <= Qd <= POWER_LIMIT
            and VM_LOW <= Vm <= VM_HIGH
            and -ANGLE_LIMIT <= Va <= ANGLE_LIMIT
        ):
            bus, Pd, Qd, Vm, Va = _slow_bus(row, f"buses[{i}]")
        if bus in buses:
            refuse(f"buses[{i}].bus", f"bus {bus} is there twice")
        buses[bus] = (Pd, Qd, Vm, Va)
    return buses


def _branches(value: Any) -> list[Branch]:
    branches: list[Branch] = []
    low, high = -POWER_LIMIT, POWER_LIMIT
    for i, row in enumerate(items(value, "branches")):
        try:
            f, t, Pf, Qf, Pt, Qt = row["f"], row["t"], row["Pf"], row["Qf"], row["Pt"], row["Qt"]
        except (TypeError, KeyError, IndexError):
            _refuse_row(row, f"branches[{i}]", ("f", "t", "Pf", "Qf", "Pt", "Qt"))
        if not (
            len(row) == 6
            and int is type(f) is type(t)
            and float is type(Pf) is type(Qf) is type(Pt) is type(Qt)
            and low <= Pf <= high
            and low <= Qf <= high
            and low <= Pt <= high
            and low <= Qt <= high
        ):
            f, t, Pf, Qf, Pt, Qt = _slow_branch(row, f"branches[{i}]")
        branches.append((f, t, Pf, Qf, Pt, Qt))
    return branches


def _slow_bus(row: Mapping[str, Any], where: str) -> tuple[int, float, float, float, float]:
    members(row, where, ("bus", "Pd", "Qd", "Vm", "Va"))
    return (
        integer(row["bus"], f"{where}.bus"),
        number_within(row["Pd"], f"{where}.Pd", -POWER_LIMIT, POWER_LIMIT),
        number_within(row["Qd"], f"{where}.Qd", -POWER_LIMIT, POWER_LIMIT),
        number_within(row["Vm"], f"{where}.Vm", VM_LOW, VM_HIGH),
        number_within(row["Va"], f"{where}.Va", -ANGLE_LIMIT, ANGLE_LIMIT),
    )


def _slow_branch(row: Mapping[str, Any], where: str) -> Branch:
    members(row, where, ("f", "t", "Pf", "Qf", "Pt", "Qt"))
    return (
        integer(row["f"], f"{where}.f"),
        integer(row["t"], f"{where}.t"),
        number_within(row["Pf"], f"{where}.Pf", -POWER_LIMIT, POWER_LIMIT),
        number_within(row["Qf"], f"{where}.Qf", -POWER_LIMIT, POWER_LIMIT),
        number_within(row["Pt"], f"{where}.Pt", -POWER_LIMIT, POWER_LIMIT),
        number_within(row["Qt"], f"{where}.Qt", -POWER_LIMIT, POWER_LIMIT),
    )


def _refuse_row(row: Any, where: str, names: tuple[str, ...]) -> NoReturn:
    members(row, where, names)
    refuse(where, f"must be an object with {', '.join(names)}")


def _refuse_branches(pairs: list[list[int]], expected: list[list[int]]) -> NoReturn:
    for i, (got, want) in enumerate(zip(pairs, expected, strict=False)):
        if got != want:
            refuse(f"branches[{i}]", f"must be the record's {want}, not {got}")
    refuse("branches", f"must be the record's {len(expected)} branches in their order, not {len(pairs)}")
