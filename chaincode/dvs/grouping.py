"""Group records: what the planner submits for a group or a merged group, and how the record is kept.

A record is kept under two keys: the head, which every frame needs, and the matrices, which only an action needs. Where
it has ``check``, shunts and branches are kept under a third.
Checked are shapes, ranges and kinds. That the numbers fit the grid is the planner's responsibility.
"""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract.arguments import members, refuse, shown

from .arguments import group_id, integer, items, number, number_within, single_group_id, text
from .rules import check_consistency, check_deadband, check_release

PUBLISHED: Final = "published"
CORRECTED: Final = "corrected"

LOAD: Final = 1
GENERATOR: Final = 2
TIE: Final = 4

#: |R| and X of a Thevenin impedance lie below this, p.u.
IMPEDANCE_LIMIT: Final = 1e6

_SHAPE: Final = ("id", "profile", "members", "dim", "kind", "nm", "base", "branches", "v_required", "adjacent")
_JUDGING: Final = ("threshold", "Zth")

Record = dict[str, Any]


def check_record(argument: Any) -> tuple[Record, Record, Record | None]:
    """Head, matrices and, with ``check``, lines of a record, every number converted; refused where it is not one."""
    if type(argument) is not dict:
        refuse("record", f"must be a JSON object, not {shown(argument)}")
    for name in ("id", "profile"):
        if name not in argument:
            refuse(name, "is missing")
    group = group_id(argument["id"], "id")
    profile = argument["profile"]
    if type(profile) is not str or profile not in (PUBLISHED, CORRECTED):
        refuse("profile", f'must be "{PUBLISHED}" or "{CORRECTED}", not {shown(profile)}')
    corrected = profile == CORRECTED
    judging: tuple[str, ...] = _JUDGING
    if corrected:
        judging = () if "_" in group else (*_JUDGING, "inflow")
    matrix = "Y" if corrected else "A"
    members(argument, "", (*_SHAPE, *judging, matrix, "PI"), _optional(group, corrected=corrected))
    head: Record = {"id": group, "profile": profile}
    head |= _topology(argument)
    head["v_required"] = number_within(argument["v_required"], "v_required", 0.5, 2.0)
    head["adjacent"] = _adjacent(argument["adjacent"], group)
    if judging:
        head["threshold"] = number_within(argument["threshold"], "threshold", 0.0, 1.0)
        head["Zth"] = _impedances(argument["Zth"], load_buses(head))
    if "inflow" in judging:
        head["inflow"] = _inflow(argument["inflow"], len(border_branches(head)))
    optional, lines = _optional_members(argument, head)
    nm: int = head["nm"]
    size = nm if corrected else len(head["dim"])
    matrices = {matrix: _matrix(argument[matrix], matrix, size), "PI": _weights(argument["PI"], nm)}
    return head | optional, matrices, lines


def _optional(group: str, *, corrected: bool) -> tuple[str, ...]:
    """The members that a record may have."""
    names: tuple[str, ...] = ("retention_s",)
    if corrected:
        names += ("release", "check")
    if "_" not in group:
        names += ("planner_msp", "aggregator_msps")
    if corrected and "_" not in group:
        names += ("deadband_mw",)
    return names


def _optional_members(argument: Record, head: Record) -> tuple[Record, Record | None]:
    """The optional members, and with ``check`` the lines to keep beside the record."""
    found: Record = {}
    lines: Record | None = None
    if "retention_s" in argument:
        found["retention_s"] = integer(argument["retention_s"], "retention_s", 1)
    if "planner_msp" in argument:
        found["planner_msp"] = text(argument["planner_msp"], "planner_msp")
    if "aggregator_msps" in argument:
        found["aggregator_msps"] = _msps(argument["aggregator_msps"])
    if "release" in argument:
        found["release"] = check_release(argument["release"])
    if "deadband_mw" in argument:
        found["deadband_mw"] = check_deadband(argument["deadband_mw"])
    if "check" in argument:
        found["check"], lines = check_consistency(argument["check"], head["members"], len(head["branches"]))
    return found, lines


def load_buses(head: Record) -> list[int]:
    """Load buses of the group, in the order of ``dim``."""
    return [bus for bus, kind in zip(head["dim"], head["kind"], strict=True) if kind == LOAD]


def impedances(head: Record) -> dict[int, tuple[float, float]]:
    """(R, X) of each load bus, p.u., in the order of ``dim``."""
    return {entry["bus"]: (entry["R"], entry["X"]) for entry in head["Zth"]}


def border_branches(head: Record) -> list[tuple[int, bool]]:
    """The branches with one end outside the group: (position in ``branches``, whether the member is the from end)."""
    inside = set(head["members"])
    return [
        (position, f in inside) for position, (f, t) in enumerate(head["branches"]) if (f in inside) != (t in inside)
    ]


def _topology(argument: Record) -> Record:
    """Members, dim (M, then T, as sections 3 and 11.2 define them), kind, nm, base and branches."""
    inside = _buses(argument["members"], "members")
    dim = _buses(argument["dim"], "dim")
    nm = integer(argument["nm"], "nm", 0, len(dim))
    kind = [integer(value, f"kind[{i}]") for i, value in enumerate(items(argument["kind"], "kind"))]
    branches = _branches(argument["branches"], set(inside))
    if not inside:
        refuse("members", "must name at least one bus")
    if "_" not in argument["id"] and inside != sorted(inside):
        refuse("members", "must ascend in a single group")
    matrix_buses = dim[:nm]
    if len(inside) - nm not in (0, 1) or matrix_buses != [bus for bus in inside if bus in set(matrix_buses)]:
        refuse("dim", f"its first nm = {nm} buses must be the members, in their order, without at most one of them")
    ends = {end for branch in branches for end in branch} - set(inside)
    if dim[nm:] != sorted(ends):
        refuse("dim", f"behind the members must come the outside ends of the branches, ascending: {sorted(ends)}")
    if len(kind) != len(dim):
        refuse("kind", f"must have one entry for each of the {len(dim)} buses of dim, not {len(kind)}")
    for i, value in enumerate(kind):
        allowed = (LOAD, GENERATOR) if i < nm else (TIE,)
        if value not in allowed:
            refuse(f"kind[{i}]", f"must be {' or '.join(map(str, allowed))} for bus {dim[i]}, not {value}")
    base = _positive(argument["base"], "base")
    return {"members": inside, "dim": dim, "kind": kind, "nm": nm, "base": base, "branches": branches}


def _buses(value: Any, where: str) -> list[int]:
    buses = [integer(bus, f"{where}[{i}]") for i, bus in enumerate(items(value, where))]
    if len(set(buses)) != len(buses):
        twice = next(bus for i, bus in enumerate(buses) if bus in buses[:i])
        refuse(where, f"names bus {twice} twice")
    return buses


def _branches(value: Any, inside: set[int]) -> list[list[int]]:
    branches = []
    for i, entry in enumerate(items(value, "branches")):
        where = f"branches[{i}]"
        if len(items(entry, where)) != 2:
            refuse(where, f"must be [f, t], not {shown(entry)}")
        f, t = (integer(end, f"{where}[{k}]") for k, end in enumerate(entry))
        if f == t:
            refuse(where, f"joins bus {f} to itself")
        if f not in inside and t not in inside:
            refuse(where, f"has no end in members: {shown(entry)}")
        branches.append([f, t])
    return branches


def _positive(value: Any, where: str) -> float:
    converted = number(value, where)
    if converted <= 0.0:
        refuse(where, f"must be above 0, not {shown(value)}")
    return converted


def _adjacent(value: Any, group: str) -> list[str]:
    own = group.split("_")
    groups: list[str] = []
    for i, entry in enumerate(items(value, "adjacent")):
        where = f"adjacent[{i}]"
        name = single_group_id(entry, where)
        if name in own:
            refuse(where, f"names the group itself or a component of it: {shown(name)}")
        if name in groups:
            refuse(where, f"names group {name} twice")
        groups.append(name)
    return groups


def _msps(value: Any) -> list[str]:
    msps = [text(entry, f"aggregator_msps[{i}]") for i, entry in enumerate(items(value, "aggregator_msps"))]
    if not msps or len(set(msps)) != len(msps):
        refuse("aggregator_msps", "must name at least one MSP, and none twice")
    return msps


def _impedances(value: Any, loads: list[int]) -> list[dict[str, Any]]:
    found = []
    for i, entry in enumerate(items(value, "Zth")):
        where = f"Zth[{i}]"
        members(entry, where, ("bus", "R", "X"))
        R = number(entry["R"], f"{where}.R")
        X = number(entry["X"], f"{where}.X")
        if not abs(R) < IMPEDANCE_LIMIT:
            refuse(f"{where}.R", f"must be below {IMPEDANCE_LIMIT:g}, not {shown(entry['R'])}")
        if not (0.0 < X < IMPEDANCE_LIMIT or R == X == 0.0):
            refuse(f"{where}.X", f"must be above 0 and below {IMPEDANCE_LIMIT:g}, or 0 together with R")
        found.append({"bus": integer(entry["bus"], f"{where}.bus"), "R": R, "X": X})
    if [entry["bus"] for entry in found] != loads:
        refuse("Zth", f"must have one entry for each load bus, in the order of dim: {shown(loads)}")
    return found


def _inflow(value: Any, count: int) -> list[bool]:
    for i, entry in enumerate(items(value, "inflow")):
        if type(entry) is not bool:
            refuse(f"inflow[{i}]", f"must be true or false, not {shown(entry)}")
    if len(value) != count:
        refuse("inflow", f"must have one entry for each of the {count} border branches, not {len(value)}")
    return list(value)


def _matrix(value: Any, where: str, size: int) -> list[list[Any]]:
    """A sparse complex matrix: [i, k, re, im] of every non-zero entry, structurally symmetric, ascending."""
    entries: list[list[Any]] = []
    for n, entry in enumerate(items(value, where)):
        at = f"{where}[{n}]"
        if len(items(entry, at)) != 4:
            refuse(at, f"must be [i, k, re, im], not {shown(entry)}")
        i, k = (integer(entry[j], f"{at}[{j}]", 0, size - 1) for j in (0, 1))
        re, im = (number(entry[j], f"{at}[{j}]") for j in (2, 3))
        if re == 0.0 and im == 0.0:
            refuse(at, "is 0; a sparse matrix lists the entries that are not")
        entries.append([i, k, re, im])
    _check_ascending(entries, where)
    places = {(i, k) for i, k, _, _ in entries}
    for i, k in sorted(places):
        if (k, i) not in places:
            refuse(where, f"has an entry at ({i}, {k}) and none at ({k}, {i})")
    return entries


def _weights(value: Any, size: int) -> list[list[Any]]:
    """PI: [i, k, weight] with i < k, weight > 0, ascending."""
    entries: list[list[Any]] = []
    for n, entry in enumerate(items(value, "PI")):
        at = f"PI[{n}]"
        if len(items(entry, at)) != 3:
            refuse(at, f"must be [i, k, weight], not {shown(entry)}")
        i, k = (integer(entry[j], f"{at}[{j}]", 0, size - 1) for j in (0, 1))
        if i >= k:
            refuse(at, f"must have i < k, not {i} and {k}")
        entries.append([i, k, _positive(entry[2], f"{at}[2]")])
    _check_ascending(entries, "PI")
    return entries


def _check_ascending(entries: list[list[Any]], where: str) -> None:
    for n in range(1, len(entries)):
        if entries[n - 1][:2] >= entries[n][:2]:
            refuse(f"{where}[{n}]", "must ascend by (i, k), and name no place twice")
