"""A stream's grid, planner and scenario from a file and what the command line asks for beside it."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.errors import InputError
from services.feeder.__main__ import main
from services.feeder.scenarios.shipped import shipped
from services.feeder.set_up import Asked, set_up
from tests.support.scenario_files import HEAD, scenario_file


def test_a_file_alone_says_everything(tmp_path: Path):
    made = set_up(scenario_file(tmp_path, HEAD + "rate: 5\nduration: 8\nv_required: 0.97\n"), Asked())
    assert (made.case.name, made.planner.profile, made.planner.v_required) == ("case30", "corrected", 0.97)
    assert (made.scenario.rate, made.scenario.duration_s) == (5.0, 8.0)


def test_the_command_line_comes_first(tmp_path: Path):
    text = HEAD.replace("case: case30\n", "") + "profile: [corrected, published]\nevents:\n  - {at: 15, sag: {}}\n"
    made = set_up(scenario_file(tmp_path, text), Asked("case57", 3, "published", 8.0, 4.0))
    assert (made.case.name, len(made.grouping), made.planner.profile) == ("case57", 3, "published")
    assert [change.at_s for change in made.scenario.schedule.changes] == [1.0]
    assert made.scenario.rate == 8.0


@pytest.mark.parametrize(
    ("name", "case", "profile"),
    [
        ("sag", "case30", "corrected"),
        ("sag", "case57", "corrected"),
        ("base", "case30", "corrected"),
        *((name, "case30", "published") for name in ("1a", "1b", "2", "3")),
        *((name, "case30", "corrected") for name in ("starved", "recovery", "several", "storm")),
    ],
)
def test_a_scenario_that_comes_along_has_a_profile_of_its_own(name: str, case: str, profile: str):
    assert set_up(shipped(name), Asked(case)).planner.profile == profile


def test_the_other_profile_can_be_asked_for():
    assert set_up(shipped("base"), Asked("case30", profile="published")).planner.profile == "published"


@pytest.mark.parametrize(
    ("asked", "told"),
    [
        (Asked("case57"), "case57 has no scenario '1a': its file is for case30"),
        (Asked(groups=4), "the scenario '1a' has groups of its own"),
    ],
)
def test_a_scenario_of_a_case_is_for_that_case(asked: Asked, told: str):
    with pytest.raises(InputError, match=told):
        set_up(shipped("1a"), asked)


def test_a_file_without_a_case_needs_one(tmp_path: Path):
    with pytest.raises(InputError, match="case: is missing"):
        set_up(scenario_file(tmp_path, HEAD.replace("case: case30\n", "")), Asked())


@pytest.mark.parametrize(
    ("arguments", "told"),
    [
        (["run", "none.yaml"], "error: none.yaml: No such file or directory"),
        (["--scenario", "1a", "--dir", "nowhere"], "error: there is no connection profile nowhere"),
        (["--case", "none.m", "--dir", "nowhere"], "error: there is no file none.m"),
    ],
)
def test_the_command_tells_a_fault_in_one_line(arguments: list[str], told: str, capsys: pytest.CaptureFixture[str]):
    assert main(arguments) == 1
    found = capsys.readouterr().err
    assert found.startswith(told)
    assert len(found.splitlines()) == 1
