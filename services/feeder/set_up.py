"""Setting a stream up: the grid, the planner and the scenario that its scenario file and the command line ask for."""

from __future__ import annotations

from dataclasses import dataclass, replace

from gridledger.errors import InputError
from gridledger.grid.case import Case, load_case
from gridledger.grid.grouping import Grouping
from gridledger.grid.power_flow import Grid, PowerFlow
from gridledger.grid.records import Planner, Profile
from services.feeder.scenario import Scenario
from services.feeder.scenario_file.on_grid import case_of, groups_of, planner_of, scenario_of
from services.feeder.scenario_file.reading import ScenarioFile


@dataclass(frozen=True, slots=True)
class Asked:
    """What the command line says beside the file; what is None is the file's.

    ``case`` is a built-in case, a file, or a case at hand; ``groups`` is the number of automatic ones.
    """

    case: str | Case | None = None
    groups: int | None = None
    profile: Profile | None = None
    rate: float | None = None
    seconds: float | None = None


@dataclass(frozen=True, slots=True)
class SetUp:
    """What a stream runs on."""

    power_flow: PowerFlow
    planner: Planner
    scenario: Scenario

    @property
    def case(self) -> Case:
        """The grid as it is at the start."""
        return self.planner.case

    @property
    def grouping(self) -> Grouping:
        """Its groups."""
        return self.planner.grouping


def set_up(file: ScenarioFile, asked: Asked) -> SetUp:
    """Everything of a stream but the network. Takes seconds. Raises InputError for what does not fit together."""
    if asked.case is None:
        case = case_of(file)
    else:
        case = asked.case if isinstance(asked.case, Case) else load_case(asked.case)
    _check_its_own(file, case, asked)
    grouping = groups_of(file, case, asked.groups)
    profile = asked.profile or file.form.profile[0]
    power_flow = PowerFlow(case, enforce_q_limits=file.form.enforce_q_limits)
    base = Grid(power_flow).state()
    planner = planner_of(file, case, grouping, profile, base)
    scenario = scenario_of(file, planner, power_flow, base)
    scenario = scenario.lasting(asked.seconds or scenario.duration_s, rate=asked.rate or scenario.rate)
    return SetUp(power_flow, planner, replace(scenario, profiles=(profile,)))


def _check_its_own(file: ScenarioFile, case: Case, asked: Asked) -> None:
    """A scenario that names a case is for that and its groups."""
    name = file.form.case
    if name is None:
        return
    if asked.case not in (None, name):
        raise file.fault("case", f"{case.name} has no scenario {file.form.name!r}: its file is for {name}")
    if asked.groups is not None:
        raise InputError(f"the scenario {file.form.name!r} has groups of its own: leave --groups out")
