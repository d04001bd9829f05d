"""The events of a scenario file on a grid: its schedule, its meters' errors. What does not fit the grid is refused."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

import numpy as np

from gridledger.errors import InputError
from gridledger.grid.case import Case, FloatArray
from gridledger.grid.power_flow import GridState, PowerFlow
from gridledger.grid.records import Planner
from services.feeder.meter import GrossError, MeterErrors, Sigmas
from services.feeder.sag import sag, told
from services.feeder.scenario_file.form import Event, Scale
from services.feeder.scenario_file.load_profile import read_load_profile
from services.feeder.scenario_file.reading import ScenarioFile
from services.feeder.schedule import Change, LineChange, LoadChange, Schedule, VvcChange, ramp


def schedule_of(file: ScenarioFile, planner: Planner, power_flow: PowerFlow, base: GridState) -> Schedule:
    """What happens when. Raises InputError, with file and line, for what the grid does not have or cannot do."""
    return Schedule(_Compiler(file, planner, power_flow, base).changes())


class _Compiler:
    """Goes through the events in the order of time and knows the demand, and what is out, at each."""

    def __init__(self, file: ScenarioFile, planner: Planner, power_flow: PowerFlow, base: GridState) -> None:
        self._file = file
        self._planner = planner
        self._power_flow = power_flow
        self._case: Case = planner.case
        self._base = base
        self._demand: FloatArray = np.column_stack((base.pd, base.qd))
        self._busy: dict[int, tuple[float, str]] = {}
        """By bus, until when an event changes its load, and which."""
        self._out: dict[int, tuple[int, int, int]] = {}
        """What is out: branch by its position."""

    def changes(self) -> Iterator[Change]:
        """Every event's changes."""
        events = list(enumerate(self._file.form.events))
        for number, event in sorted(events, key=lambda numbered: numbered[1].at):
            member = f"events.{number}"
            self._check_times(event, member)
            with self._file.blaming(f"{member}.{_kind(event)}"):
                yield from self._of(event, member)

    def _check_times(self, event: Event, member: str) -> None:
        duration = self._file.form.duration
        for name, time_s in (("at", event.at), ("until", event.until)):
            if time_s is not None and time_s > duration:
                raise self._file.fault(f"{member}.{name}", f"{time_s:g} s is beyond the duration of {duration:g} s")

    def _of(self, event: Event, member: str) -> Iterable[Change]:
        if event.loads is not None:
            buses = tuple(event.loads)
            end = np.asarray([event.loads[bus] for bus in buses], dtype=np.float64)
            return self._change_loads(event, member, buses, end, event.title or _told_loads(event.loads))
        if event.scale is not None:
            return self._scale(event, event.scale, member)
        if event.csv is not None:
            return self._profile(event, event.csv, member)
        if event.sag is not None:
            pd, qd = self._demand[:, 0].copy(), self._demand[:, 1].copy()
            found = sag(self._planner, self._power_flow, self._power_flow.solve(pd, qd), event.sag.groups)
            return self._change_loads(
                event, member, tuple(found), np.asarray(list(found.values())), event.title or told(found)
            )
        if event.vvc is not None:
            for bus in event.vvc:
                check_load_bus(self._case, bus)
            text = event.title or ", ".join(f"{q:g} MVAr at bus {bus}" for bus, q in event.vvc.items())
            return [VvcChange(event.at, text, event.vvc)]
        return [self._line(event)]

    def _change_loads(
        self, event: Event, member: str, buses: tuple[int, ...], end: FloatArray, title: str
    ) -> list[LoadChange]:
        positions = [self._case.index(bus) for bus in buses]
        until = event.at if event.until is None else event.until
        self._occupy(buses, event.at, until, member)
        start = self._demand[positions]
        self._demand[positions] = end
        if event.until is None:
            return [LoadChange(event.at, title, buses, end, end)]
        return list(ramp(event.at, event.until, title, buses=buses, start=start, end=end))

    def _scale(self, event: Event, scale: Scale, member: str) -> list[LoadChange]:
        if scale.group is not None and scale.group not in self._planner.grouping:
            raise InputError(f"there is no group {scale.group}")
        buses = scale.buses or (self._planner.grouping[scale.group] if scale.group else self._case.numbers)
        positions = np.asarray([self._case.index(bus) for bus in buses])
        # What has no demand stays out of it: a load that comes later at such a bus is then no second change.
        positions = positions[np.any(self._demand[positions] != 0.0, axis=1)]
        where = "the grid" if scale.group is None and scale.buses is None else f"group {scale.group}"
        where = f"buses {', '.join(map(str, buses))}" if scale.buses else where
        return self._change_loads(
            event,
            member,
            tuple(self._case.numbers[position] for position in positions),
            self._demand[positions] * scale.factor,
            event.title or f"the loads of {where} times {scale.factor:g}",
        )

    def _profile(self, event: Event, name: str, member: str) -> Iterator[LoadChange]:
        rows = read_load_profile(self._file.beside(name))
        last = event.at + rows[-1][0][0]
        if last > self._file.form.duration:
            raise InputError(f"its last row comes at {last:g} s, beyond the duration")
        self._occupy({row[1] for part in rows for row in part}, event.at, last, member)
        for number, part in enumerate(rows):
            buses = tuple(row[1] for row in part)
            values = np.asarray([row[2:] for row in part], dtype=np.float64)
            self._demand[[self._case.index(bus) for bus in buses]] = values
            title = (event.title or f"the loads follow {name}") if number == 0 else ""
            yield LoadChange(event.at + part[0][0], title, buses, values, values)

    def _occupy(self, buses: Iterable[int], at_s: float, until_s: float, member: str) -> None:
        for bus in buses:
            before, by = self._busy.get(bus, (-1.0, ""))
            if at_s < before:
                raise InputError(f"the load of bus {bus} is changed by {by} until {before:g} s: two changes overlap")
            self._busy[bus] = until_s, member

    def _line(self, event: Event) -> LineChange:
        named = event.outage or event.close or []
        branch = (named[0], named[1], named[2] if len(named) > 2 else 1)  # noqa: PLR2004 -- [f, t, n]
        position = self._case.branch(*branch)
        told_branch = branch_told(branch)
        if event.close is not None:
            if position not in self._out:
                raise InputError(f"{told_branch} is not out then")
            del self._out[position]
            return LineChange(event.at, event.title or f"{told_branch} is closed", branch, out=False)
        if position in self._out:
            raise InputError(f"{told_branch} is out already")
        self._out[position] = branch
        self._case.without_branches(self._out)
        return LineChange(event.at, event.title or f"{told_branch} trips", branch, out=True)


def meter_errors(file: ScenarioFile, case: Case) -> MeterErrors | None:
    """The noise and the bad data of a file; None where it has neither."""
    form = file.form
    if form.noise is None and not form.bad_data:
        return None
    sigmas = Sigmas(**form.noise.model_dump()) if form.noise is not None else Sigmas()
    gross = []
    for number, bad in enumerate(form.bad_data):
        member = f"bad_data.{number}"
        if bad.at > form.duration:
            raise file.fault(f"{member}.at", f"{bad.at:g} s is beyond the duration of {form.duration:g} s")
        with file.blaming(f"{member}.{'branch' if bad.branch else 'bus'}"):
            position = case.branch(*bad.branch) if bad.branch else case.index(bad.bus or 0)
        gross.append(GrossError(bad.at, bad.frames, position, bad.quantity, bad.error, bad.probability))
    return MeterErrors(form.seed, sigmas, tuple(gross))


def check_load_bus(case: Case, bus: int) -> None:
    """Raises InputError where a bus is none of the case's load buses: only these can have VVC."""
    if case.kind[case.index(bus)] != 1:
        raise InputError(f"bus {bus} of {case.name} is a generator's: only load buses have VVC")


def branch_told(branch: tuple[int, int, int]) -> str:
    """In words: "branch 4-12", "branch 49-54, number 2"."""
    f, t, n = branch
    return f"branch {f}-{t}" + (f", number {n}" if n > 1 else "")


def _kind(event: Event) -> str:
    return event.given("loads", "scale", "csv", "sag", "outage", "close", "vvc")[0]


def _told_loads(loads: dict[int, list[float]]) -> str:
    return ", ".join(f"bus {bus} at {p:g} + j{q:g} MVA" for bus, (p, q) in loads.items())[:120]
