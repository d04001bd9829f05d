"""A scenario file on its grid: the case, the planner, the scenario. What the grid does not have is refused."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gridledger import jsontext
from gridledger.errors import GridLedgerError, InputError
from gridledger.grid.case import CASE_NAMES, PQ, Case, load_case
from gridledger.grid.grouping import Grouping, automatic_grouping, grouping_of
from gridledger.grid.planning import default_thresholds, thresholds_below
from gridledger.grid.power_flow import GridState, PowerFlow
from gridledger.grid.records import Planner, Profile
from gridledger.grid.rules import Check, Release
from gridledger.grid.vvc_source import EXACT, VvcSource
from gridledger.yaml_file import read_text
from services.feeder.scenario import Scenario
from services.feeder.scenario_file.events import check_load_bus, meter_errors, schedule_of
from services.feeder.scenario_file.form import Vvc
from services.feeder.scenario_file.reading import ScenarioFile

_MAX_THRESHOLDS_BYTES = 1024 * 1024


def case_of(file: ScenarioFile) -> Case:
    """The grid that the file names: a built-in case, or a file beside it. Raises InputError."""
    name = file.form.case
    if name is None:
        raise InputError(f"{file.path}: case: is missing (or name one with --case)")
    with file.blaming("case"):
        return load_case(name if name in CASE_NAMES else str(file.beside(name)))


def groups_of(file: ScenarioFile, case: Case, count: int | None = None) -> Grouping:
    """The file's groups of a case, or ``count`` automatic ones where that is given. Raises InputError."""
    groups = file.form.groups
    if groups is None or count is not None:
        return grouping_of(case, count)
    with file.blaming("groups"):
        if groups.members is None:
            return automatic_grouping(case, groups.count, groups.max_buses)
    with file.blaming("groups.members"):
        return _listed(case, groups.members)


def _listed(case: Case, members: Mapping[str, list[int]]) -> Grouping:
    home: dict[int, str] = {}
    for group in sorted(members, key=int):
        for bus in members[group]:
            case.index(bus)
            if bus in home:
                raise InputError(f"bus {bus} is in group {home[bus]} and in group {group}")
            home[bus] = group
    if missing := [bus for bus in case.numbers if bus not in home]:
        raise InputError(f"{len(missing)} buses are in no group, the first is bus {missing[0]}")
    for group, buses in members.items():
        if apart := _not_reached(case, buses):
            raise InputError(f"group {group} hangs not together: no branch inside leads from {buses[0]} to {apart[0]}")
    return {group: tuple(sorted(members[group])) for group in sorted(members, key=int)}


def _not_reached(case: Case, buses: Iterable[int]) -> list[int]:
    """Those of ``buses`` that no branch between them joins to the first one."""
    left = set(buses)
    near: dict[int, set[int]] = {bus: set() for bus in left}
    for branch in range(len(case.branches)):
        f, t = case.ends(branch)
        if f in left and t in left:
            near[f].add(t)
            near[t].add(f)
    waiting = [next(iter(buses))]
    while waiting:
        bus = waiting.pop()
        if bus in left:
            left.discard(bus)
            waiting += near[bus] & left
    return sorted(left)


def planner_of(file: ScenarioFile, case: Case, grouping: Grouping, profile: Profile, base: GridState) -> Planner:
    """The planner of the file's groups, with its thresholds and what its records say. Raises InputError."""
    form = file.form
    _check_profile(file, profile)
    thresholds = _thresholds(file, case, grouping, profile, base)
    return Planner(
        case,
        grouping,
        profile,
        thresholds,
        v_required=form.v_required,
        release=None if form.release is None else Release(**form.release.model_dump()),
        check=None if form.check is None else Check(**form.check.model_dump()),
        deadband_mw=form.deadband_mw,
    )


def _thresholds(
    file: ScenarioFile, case: Case, grouping: Grouping, profile: Profile, base: GridState
) -> Mapping[str, float]:
    given = file.form.thresholds
    if given is None:
        return default_thresholds(case, grouping, profile, base)
    if given.margin is not None:
        with file.blaming("thresholds.margin"):
            return thresholds_below(case, grouping, profile, base, given.margin)
    if given.by_group is not None:
        with file.blaming("thresholds.by_group"):
            return _by_group(given.by_group, grouping)
    with file.blaming("thresholds.file"):
        return _by_group(_from_file(file, given.file or ""), grouping)


def _by_group(values: Mapping[str, float], grouping: Grouping) -> Mapping[str, float]:
    for group in values:
        _check_group(grouping, group)
    if missing := [group for group in grouping if group not in values]:
        raise InputError(f"there is none for group {missing[0]}")
    return dict(values)


def _from_file(file: ScenarioFile, name: str) -> Mapping[str, float]:
    """What ``feeder thresholds`` wrote."""
    path = file.beside(name)
    text = read_text(path, what="a file of thresholds", most=_MAX_THRESHOLDS_BYTES)
    try:
        found = jsontext.loads(text)["thresholds"]
        values = {str(group): float(value) for group, value in found.items()}
    except (GridLedgerError, KeyError, TypeError, ValueError, AttributeError):
        raise InputError(f"{path} is no file of thresholds; write one with 'gridledger feeder thresholds'") from None
    if bad := [group for group, value in values.items() if not 0.0 <= value <= 1.0]:
        raise InputError(f"{path}: the threshold of group {bad[0]} is not between 0 and 1")
    return values


def scenario_of(file: ScenarioFile, planner: Planner, power_flow: PowerFlow, base: GridState) -> Scenario:
    """The file's scenario on the planner's grid and groups, whose loads are those of ``base``. Raises InputError."""
    form = file.form
    _check_profile(file, planner.profile)
    source = VvcSource(form.vvc.step_mvar, form.vvc.as_shunt)
    return Scenario(
        name=form.name,
        title=form.title,
        vvc_mvar=(vvc := _vvc(file, form.vvc, planner)),
        schedule=schedule_of(file, planner, power_flow, base),
        profiles=tuple(form.profile),
        rate=form.rate,
        duration_s=form.duration,
        errors=meter_errors(file, planner.case),
        sources=dict.fromkeys(vvc, source) if source != EXACT else {},
    )


def _vvc(file: ScenarioFile, vvc: Vvc, planner: Planner) -> dict[int, float]:
    """What each load bus may inject, MVAr."""
    case = planner.case
    with file.blaming("vvc.by_bus"):
        for bus in vvc.by_bus:
            check_load_bus(case, bus)
    with file.blaming("vvc.none_at"):
        for bus in vvc.none_at:
            check_load_bus(case, bus)
    with file.blaming("vvc.none_in"):
        for group in vvc.none_in:
            _check_group(planner.grouping, group)
    none_at = {*vvc.none_at, *(bus for group in vvc.none_in for bus in planner.grouping[group])}
    load_buses = (bus for bus, kind in zip(case.numbers, case.kind.tolist(), strict=True) if kind == PQ)
    return {bus: 0.0 if bus in none_at else vvc.by_bus.get(bus, vvc.mvar) for bus in load_buses}


def _check_profile(file: ScenarioFile, profile: Profile) -> None:
    if profile not in file.form.profile:
        names = " or ".join(file.form.profile)
        raise file.fault("profile", f"the scenario {file.form.name} runs in profile {names} only, not {profile}")


def _check_group(grouping: Grouping, group: str) -> None:
    if group not in grouping:
        raise InputError(f"there is no group {group}; there are {', '.join(grouping)}"[:200])
