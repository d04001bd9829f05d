"""Scenario files for tests: text on disk, read and put on case30."""

from __future__ import annotations

from pathlib import Path

from services.feeder.scenario import Scenario
from services.feeder.scenario_file.on_grid import scenario_of
from services.feeder.scenario_file.reading import ScenarioFile, read_scenario
from tests.support.solved_grid import base_state, planner, power_flow

HEAD = """\
name: test
title: a test
case: case30
vvc: {mvar: 150}
"""


def scenario_file(folder: Path, text: str) -> ScenarioFile:
    """What the file says, read."""
    path = folder / "test.yaml"
    path.write_text(text)
    return read_scenario(path)


def on_case30(folder: Path, text: str) -> Scenario:
    """The scenario of the text on case30 in profile corrected."""
    return scenario_of(scenario_file(folder, text), planner("corrected"), power_flow(), base_state())
