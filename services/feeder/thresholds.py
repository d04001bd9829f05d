"""The command ``gridledger feeder thresholds``: loads swept to the nose, and thresholds for the groups of a grid."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.demonstration.console import Console
from gridledger.grid.case import Case, load_case
from gridledger.grid.continuation import Continuation
from gridledger.grid.grouping import Grouping, grouping_of
from gridledger.grid.loading_margin import Generation, GroupIndices, LoadingMargin, direction_of
from gridledger.grid.power_flow import PowerFlow
from gridledger.grid.records import Profile
from services.feeder.scenario_file.on_grid import case_of, groups_of
from services.feeder.scenario_file.reading import read_scenario
from services.feeder.thresholds_figures import draw

_COLUMNS = "  {:>6} {:>9} {:>9} {:>9} {:>9} {:>10}"
_SHOWN = 25
_LOWER_TO = 0.6
"""How far beyond the nose the lower branch is followed, for the figure."""


@dataclass(frozen=True, slots=True)
class ThresholdOptions:
    """What the command line says. ``groups``: how many automatic groups; ``buses``: whose load grows, None for all."""

    case: str | None
    scenario: Path | None
    out: Path
    groups: int | None = None
    profile: Profile = "corrected"
    margin: float = 0.1
    q_limits: bool = False
    generation: Generation = "slack"
    buses: tuple[int, ...] | None = None


def thresholds(options: ThresholdOptions, console: Console) -> int:
    """Sweep, print the table, write thresholds.json and the figures; the exit code. Raises InputError."""
    case, grouping, q_limits = _grid(options)
    console.say(f"{case.name}: {len(case.numbers)} buses in {len(grouping)} groups; profile {options.profile}")
    base = PowerFlow(case, enforce_q_limits=q_limits).solve(case.pd, case.qd)
    direction = direction_of(case, options.buses, options.generation)
    continuation = Continuation(case, direction, base, enforce_q_limits=q_limits)
    curve = continuation.trace(lower_to=_LOWER_TO)
    margin = LoadingMargin(continuation, curve, grouping, options.profile, options.margin)
    found = margin.thresholds()
    _show(margin, found, console)
    options.out.mkdir(parents=True, exist_ok=True)
    path = options.out / "thresholds.json"
    report = _report(options, margin, found) | {"q_limits": q_limits}
    path.write_bytes(jsontext.dumps(report) + b"\n")
    files = [path, *draw(margin, found, options.out)]
    console.say(f"written: {', '.join(file.name for file in files)} in {options.out}")
    return 0


def _grid(options: ThresholdOptions) -> tuple[Case, Grouping, bool]:
    """The case, its groups, and whether generators have limits: the scenario file's, where one is named."""
    if options.scenario is None:
        case = load_case(options.case or "case30")
        return case, grouping_of(case, options.groups), options.q_limits
    file = read_scenario(options.scenario)
    case = load_case(options.case) if options.case else case_of(file)
    return case, groups_of(file, case, options.groups), options.q_limits or file.form.enforce_q_limits


def _show(margin: LoadingMargin, found: Mapping[str, GroupIndices], console: Console) -> None:
    curve = margin.curve
    where = f"the limit of bus {curve.limiting_bus}" if curve.limiting_bus is not None else "the nose of the curve"
    console.say(
        f"loads may grow to {margin.largest_factor:.4f} times, {where}; "
        f"thresholds for {margin.margin_factor:.4f} times, {100.0 * margin.margin:g} % before"
    )
    console.title("The smallest index of each group")
    console.line(_COLUMNS.format("group", "weak bus", "base", "margin", "nose", "threshold"))
    for group, row in list(found.items())[:_SHOWN]:
        numbers = [f"{value:.4f}" for value in (row.base, row.at_margin, row.nose)]
        console.line(_COLUMNS.format(group, row.weak_bus, *numbers, f"{row.threshold:.3f}"))
    if len(found) > _SHOWN:
        console.line(f"  and {len(found) - _SHOWN} groups more")


def _report(options: ThresholdOptions, margin: LoadingMargin, found: Mapping[str, GroupIndices]) -> dict[str, Any]:
    """What thresholds.json holds; a scenario file reads its member ``thresholds``."""
    top = margin.state(margin.nose)
    return {
        "case": margin.case.name,
        "case_digest": margin.case.digest,
        "profile": margin.profile,
        "rule": f"the smallest index of a group's load buses at {1.0 - margin.margin:g} of the largest load factor, "
        "rounded down to 0.001, and at least 0.005 below the smallest at the case's own loads",
        "margin": margin.margin,
        "generation": options.generation,
        "buses": "all" if options.buses is None else list(options.buses),
        "load_factor": {"margin": margin.margin_factor, "nose": margin.largest_factor},
        "nose": {
            "limiting_bus": margin.curve.limiting_bus,
            "at_limit": [_told(item) for item in top.at_limit],
            "beyond_limit": [_told(item) for item in top.beyond_limit],
        },
        "thresholds": dict(margin.recommended()),
        "groups": {
            group: {"weak_bus": row.weak_bus, "base": row.base, "at_margin": row.at_margin, "nose": row.nose}
            for group, row in found.items()
        },
        "load_buses": _load_buses(margin),
    }


def _told(item: Any) -> dict[str, Any]:
    return {"bus": item.bus, "limit": item.limit, "limit_mvar": item.limit_mvar, "q_mvar": item.q_mvar}


def _load_buses(margin: LoadingMargin) -> list[dict[str, Any]]:
    """Voltage and index of each load bus at the case's own loads, at the margin and at the nose."""
    points = {"base": margin.base, "at_margin": margin.at_margin, "nose": margin.nose}
    indices = {name: margin.indices(point) for name, point in points.items()}
    voltages = {name: margin.voltages(point) for name, point in points.items()}
    rows = []
    for group in margin.grouping:
        for bus in sorted(indices["nose"][group]):
            row: dict[str, Any] = {"bus": bus, "group": group}
            for name in points:
                row[name] = {
                    "vm": float(voltages[name][margin.case.position[bus]]),
                    "vsi": indices[name][group].get(bus),  # None where it still was a generator that held its voltage
                }
            rows.append(row)
    return rows
