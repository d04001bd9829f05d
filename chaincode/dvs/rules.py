"""The optional rules in a record of profile ``corrected``: ``release``, ``check`` and ``deadband_mw``."""

from __future__ import annotations

from typing import Any, Final

from gridledger.contract.arguments import members, refuse, shown

from .arguments import integer, items, number_within

#: Longest time that an id waits before it releases, seconds.
LONGEST_WAIT_S: Final = 3600.0
#: A border flow below so many MW turns nothing, at most.
DEADBAND_LIMIT: Final = 1e6
#: Bounds of what ``check`` tolerates: MVA, and p.u. of voltage.
LEAST_TOLERANCE: Final = 0.001
TOLERANCE_LIMIT: Final = 1e6
VOLTAGE_ERROR_LIMIT: Final = 1.0
#: r, x and b of a branch lie within this, p.u., Gs and Bs of a shunt, MW and MVAr; |r + jx| is at least the other.
LINE_LIMIT: Final = 1e6
LEAST_IMPEDANCE: Final = 1e-9
#: Taps lie within these.
TAP_LOW: Final = 0.01
TAP_HIGH: Final = 100.0


def check_release(value: Any) -> dict[str, float]:
    """The member ``release``: when a group takes back what stands."""
    members(value, "release", ("v_max", "margin", "hold_s", "dv_max"))
    rule = {
        "v_max": number_within(value["v_max"], "release.v_max", 0.5, 2.0),
        "margin": number_within(value["margin"], "release.margin", 0.0, 1.0),
        "hold_s": number_within(value["hold_s"], "release.hold_s", 0.001, LONGEST_WAIT_S),
        "dv_max": number_within(value["dv_max"], "release.dv_max", 1e-4, 0.5),
    }
    if rule["margin"] < rule["dv_max"] / 2.0:
        refuse("release.margin", f"must be at least half of dv_max, {rule['dv_max'] / 2.0!r}, not {rule['margin']!r}")
    return rule


def check_deadband(value: Any) -> float:
    """The member ``deadband_mw``: border flows of a smaller magnitude turn nothing."""
    return number_within(value, "deadband_mw", 0.0, DEADBAND_LIMIT)


def check_consistency(value: Any, inside: list[int], branches: int) -> tuple[dict[str, float], dict[str, Any]]:
    """The member ``check``: its bounds, and the shunts and branches that frames are compared with."""
    members(value, "check", ("tolerance_mva", "shunts", "branches"), ("e_v",))
    bounds = {
        "tolerance_mva": number_within(value["tolerance_mva"], "check.tolerance_mva", LEAST_TOLERANCE, TOLERANCE_LIMIT),
        "e_v": number_within(value.get("e_v", 0.0), "check.e_v", 0.0, VOLTAGE_ERROR_LIMIT),
    }
    lines = [_line(entry, f"check.branches[{i}]") for i, entry in enumerate(items(value["branches"], "check.branches"))]
    if len(lines) != branches:
        refuse("check.branches", f"must have one entry for each of the {branches} branches, not {len(lines)}")
    return bounds, {"shunts": _shunts(value["shunts"], inside), "branches": lines}


def _shunts(value: Any, inside: list[int]) -> list[list[Any]]:
    found: list[list[Any]] = []
    for i, entry in enumerate(items(value, "check.shunts")):
        where = f"check.shunts[{i}]"
        if len(items(entry, where)) != 3:
            refuse(where, f"must be [bus, Gs, Bs], not {shown(entry)}")
        bus = integer(entry[0], f"{where}[0]")
        if bus not in inside:
            refuse(where, f"bus {bus} is no member")
        if found and bus <= found[-1][0]:
            refuse(where, "must ascend by bus, and name no bus twice")
        Gs, Bs = (number_within(entry[k], f"{where}[{k}]", -LINE_LIMIT, LINE_LIMIT) for k in (1, 2))
        found.append([bus, Gs, Bs])
    return found


def _line(value: Any, where: str) -> list[float]:
    if len(items(value, where)) != 5:
        refuse(where, f"must be [r, x, b, tap, shift], not {shown(value)}")
    r, x, b = (number_within(value[k], f"{where}[{k}]", -LINE_LIMIT, LINE_LIMIT) for k in (0, 1, 2))
    if r * r + x * x < LEAST_IMPEDANCE * LEAST_IMPEDANCE:
        refuse(where, f"must have an impedance of at least {LEAST_IMPEDANCE:g}")
    tap = number_within(value[3], f"{where}[3]", TAP_LOW, TAP_HIGH)
    shift = number_within(value[4], f"{where}[4]", -360.0, 360.0)
    return [r, x, b, tap, shift]
