"""The command ``gridledger feeder check FILE``: whether a scenario could run, found without a network."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from typing import Final

import numpy as np

from gridledger.command_line import one_line
from gridledger.demonstration.console import Console
from gridledger.grid.planning import warnings_of
from gridledger.grid.power_flow import Grid, GridState, PowerFlowDiverged
from services.feeder.scenario_file.form import ScenarioForm
from services.feeder.scenario_file.reading import ScenarioFile
from services.feeder.schedule import Change, LineChange, LoadChange, Schedule
from services.feeder.set_up import Asked, SetUp, set_up

MAX_SOLVED: Final = 200
"""Moments whose power flow is solved; each takes up to half a second on a large grid."""
_MAX_TOLD: Final = 20
"""Groups and changes that are listed."""


def check(file: ScenarioFile, asked: Asked, console: Console) -> int:
    """Set up all of a stream but the network, go through its changes, and print what it is; the exit code, 0.

    Raises InputError for what the form, the case or its groups do not allow. What may go wrong only while the stream
    runs is a warning on standard error.
    """
    made = set_up(file, asked)
    base = Grid(made.power_flow).state()
    for group in made.grouping:
        made.planner.record(group, base)  # refuses buses that no record can have
    for line in _summary(file.form, made):
        console.line(line)
    warnings = [f"release: {warning}" for warning in warnings_of(made.planner, base)]
    lowest, warning = _gone_through(made, base)
    console.line(lowest)
    for text in [*warnings, *warning]:
        sys.stderr.write(f"warning: {one_line(text)}\n")
    console.line(f"{file.path}: the scenario fits its grid")
    return 0


def _summary(form: ScenarioForm, made: SetUp) -> Iterator[str]:
    case, planner, scenario = made.case, made.planner, made.scenario
    yield f"{scenario.name}: {scenario.title}"
    yield (
        f"  {case.name}: {len(case.numbers)} buses, {len(case.branches)} branches, {case.base_mva:g} MVA; "
        f"{case.pd.sum():.6g} MW, {case.qd.sum():.6g} MVAr of demand; profile {planner.profile}"
    )
    groups = [
        f"{group} ({len(members)} buses, below {planner.thresholds[group]:g})"
        for group, members in list(made.grouping.items())[:_MAX_TOLD]
    ]
    yield f"  {len(made.grouping)} groups: {', '.join(groups)}" + _more(len(made.grouping))
    vvc = [mvar for mvar in scenario.vvc_mvar.values() if mvar > 0.0]
    yield f"  VVC: {sum(vvc):.6g} MVAr at {len(vvc)} of {len(scenario.vvc_mvar)} load buses"
    if form.noise is not None or form.bad_data:
        noise = "no noise" if form.noise is None else "noise " + str(form.noise).replace("=", " ")
        yield f"  meters: {noise}, {len(form.bad_data)} gross errors, seed {form.seed}"
    yield (
        f"  {scenario.duration_s:g} s at {scenario.rate:g} frames/s of each group: "
        f"{round(scenario.duration_s * scenario.rate) * len(made.grouping)} frames, {len(form.events)} events"
    )
    titled = [change for change in scenario.schedule.changes if change.title]
    yield from (f"  {change.at_s:8.1f} s  {change.title}" for change in titled[:_MAX_TOLD])
    if len(titled) > _MAX_TOLD:
        yield f"    {_more(len(titled)).strip(', ')}"


def _more(count: int) -> str:
    return f", and {count - _MAX_TOLD} more" if count > _MAX_TOLD else ""


def _gone_through(made: SetUp, base: GridState) -> tuple[str, list[str]]:
    """The lowest voltage while nothing is injected, in words; and warnings where not every power flow was solved."""
    grid = Grid(made.power_flow)
    warnings: list[str] = []
    lowest = (*_lowest(made, base), 0.0)
    for solved, (at_s, changes) in enumerate(_ends(made.scenario.schedule)):
        if solved == MAX_SOLVED:
            warnings.append(f"the power flow was solved for the first {MAX_SOLVED} moments, not from {at_s:g} s on")
            break
        try:
            _carry_out(grid, changes)
            lowest = min(lowest, (*_lowest(made, grid.state()), at_s))
        except PowerFlowDiverged as error:
            warnings.append(f"at {at_s:g} s, unless enough is injected by then: {error.message}")
            break
    v, bus, at_s = lowest
    return f"  lowest voltage while nothing is injected: {v:.4f} p.u. at bus {bus}, at {at_s:g} s", warnings


def _ends(schedule: Schedule) -> Iterator[tuple[float, list[Change]]]:
    """The moments at which loads or lines change, of ramps only the ends."""
    for at_s, changes in schedule.moments():
        ends: list[Change] = [
            change
            for change in changes
            if isinstance(change, LineChange) or (isinstance(change, LoadChange) and change.share >= 1.0)
        ]
        if ends:
            yield at_s, ends


def _carry_out(grid: Grid, changes: list[Change]) -> None:
    for change in changes:
        if isinstance(change, LoadChange):
            grid.set_loads(change.loads)
        elif isinstance(change, LineChange):
            grid.set_outage(change.branch, change.out)


def _lowest(made: SetUp, state: GridState) -> tuple[float, int]:
    at = int(np.argmin(state.vm))
    return float(state.vm[at]), made.case.numbers[at]
