"""The scenarios that come with the feeder, by name."""

from __future__ import annotations

from pathlib import Path

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.power_flow import GridState, PowerFlow
from gridledger.grid.records import Planner
from services.feeder.scenario import Scenario
from services.feeder.scenario_file.on_grid import groups_of, scenario_of
from services.feeder.scenario_file.reading import ScenarioFile, read_scenario

FOLDER = Path(__file__).parent
NAMES = tuple(sorted(path.stem for path in FOLDER.glob("*.yaml")))
THESIS = ("base", "1a", "1b", "2", "3", "starved")
"""What the demonstration runs on case30, in this order."""
RECOVERY = "recovery"
"""What it runs then, with records of its own."""


def shipped(name: str) -> ScenarioFile:
    """The file of a scenario. Raises InputError for a name that is not in NAMES."""
    if name not in NAMES:
        raise InputError(f"there is no scenario {name!r}: choose one of {', '.join(NAMES)}")
    return read_scenario(FOLDER / f"{name}.yaml")


def scenario_for(name: str, planner: Planner, power_flow: PowerFlow, base: GridState) -> Scenario:
    """The scenario ``name`` on the planner's case: one whose file names no case is for every one.

    Raises InputError for one that the case, its groups or the profile does not have.
    """
    file, case = shipped(name), planner.case
    if file.form.case is not None and (
        case.name != file.form.case or planner.grouping != groups_of(file, load_case(case.name))
    ):
        for_all = [other for other in NAMES if shipped(other).form.case is None]
        raise InputError(
            f"{case.name} with these groups has no scenario {name!r}: that is for the groups of {file.form.case}; "
            f"{' and '.join(for_all)} are for every case"
        )
    return scenario_of(file, planner, power_flow, base)
