"""The command ``gridledger feeder thresholds``: its rule, its files, and scenario files that take them."""

from __future__ import annotations

import json
import math
import shutil
from pathlib import Path
from typing import Any

import pytest

from gridledger.grid.case import load_case
from gridledger.grid.grouping import CASE30_GROUPS
from gridledger.grid.power_flow import PowerFlow
from gridledger.grid.records import Planner
from gridledger.grid.stability import vsi_of
from services.feeder.__main__ import main
from services.feeder.scenario_file.on_grid import planner_of
from services.feeder.scenario_file.reading import read_scenario
from tests.support.solved_grid import base_state

FIGURES = {f"{name}.{kind}" for name in ("pv", "vsi") for kind in ("png", "svg", "pdf")}


def swept(folder: Path, *arguments: str) -> dict[str, Any]:
    """What the command writes."""
    assert main(["thresholds", "--out", str(folder), *arguments]) == 0
    return json.loads((folder / "thresholds.json").read_text())  # type: ignore[no-any-return]


@pytest.fixture(scope="module")
def plain(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the command writes where nothing is asked for."""
    folder = tmp_path_factory.mktemp("plain")
    swept(folder)
    return folder


@pytest.mark.parametrize("limits", [False, True])
def test_thresholds_are_the_indices_at_the_margin(tmp_path: Path, limits: bool) -> None:
    """Each is what a power flow at the margin's loads gives, with the record of the case as it is there."""
    found = swept(tmp_path, "--margin", "0.15", *(["--q-limits"] if limits else []))
    factor = found["load_factor"]["margin"]
    assert factor == pytest.approx(0.85 * found["load_factor"]["nose"])
    case = load_case("case30")
    power_flow = PowerFlow(case, enforce_q_limits=limits)
    state = power_flow.solve(factor * case.pd, factor * case.qd)
    assert bool(state.at_limit) == limits
    planner = Planner(
        power_flow.case_of(state, frozenset()), CASE30_GROUPS, "corrected", dict.fromkeys(CASE30_GROUPS, 0.0)
    )
    for group in CASE30_GROUPS:
        smallest = min(vsi_of(planner, group, state).values())
        assert found["groups"][group]["at_margin"] == pytest.approx(smallest, abs=1e-7)
        assert found["thresholds"][group] == math.floor(smallest * 1000.0) / 1000.0


def test_limits_bring_the_nose_nearer_and_name_who_is_at_one(plain: Path, tmp_path: Path) -> None:
    without, within = json.loads((plain / "thresholds.json").read_text()), swept(tmp_path, "--q-limits")
    assert within["load_factor"]["nose"] == pytest.approx(2.35969, abs=1e-4)
    assert without["load_factor"]["nose"] == pytest.approx(3.65795, abs=1e-4)
    assert (without["q_limits"], within["q_limits"]) == (False, True)
    assert [row["bus"] for row in within["nose"]["at_limit"]] == [2, 13, 22, 23, 27]
    assert without["nose"]["at_limit"] == []
    buses = {row["bus"]: row for row in within["load_buses"]}
    assert buses[27]["base"]["vsi"] is None
    assert buses[30]["nose"]["vsi"] < buses[30]["at_margin"]["vsi"] < buses[30]["base"]["vsi"]


def test_a_group_whose_index_stays_gets_one_below_its_base(tmp_path: Path) -> None:
    found = swept(tmp_path, "--buses", "30")
    row = found["groups"]["3"]
    assert row["at_margin"] > row["base"] - 0.005
    assert found["thresholds"]["3"] == math.floor((row["base"] - 0.005) * 1000.0) / 1000.0
    assert found["buses"] == [30]


def test_a_scenario_file_takes_the_file_of_thresholds(plain: Path, tmp_path: Path) -> None:
    shutil.copy(plain / "thresholds.json", tmp_path)
    found = json.loads((tmp_path / "thresholds.json").read_text())
    path = tmp_path / "own.yaml"
    path.write_text(
        "name: own\ntitle: with thresholds of its own\ncase: case30\nvvc: {}\nthresholds: {file: thresholds.json}\n"
    )
    planner = planner_of(read_scenario(path), load_case("case30"), CASE30_GROUPS, "corrected", base_state())
    assert planner.thresholds == found["thresholds"]


def test_a_scenario_file_names_grid_groups_and_limits(tmp_path: Path) -> None:
    path = tmp_path / "own.yaml"
    path.write_text("name: own\ntitle: two groups\ncase: case57\nvvc: {}\ngroups: {count: 2}\nenforce_q_limits: true\n")
    found = swept(tmp_path, "--scenario", str(path))
    assert (found["case"], found["q_limits"], sorted(found["thresholds"])) == ("case57", True, ["1", "2"])
    assert found["load_factor"]["nose"] == pytest.approx(1.406778, abs=1e-5)


def test_figures_are_drawn_in_each_format(plain: Path) -> None:
    assert {path.name for path in plain.iterdir()} == FIGURES | {"thresholds.json"}
    assert all(path.stat().st_size > 1000 for path in plain.iterdir())


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["--case", "case300", "--q-limits"], "loads may grow to 1.0244 times at most; choose a margin"),
        (["--margin", "0"], "choose a margin above 0"),
        (["--buses", "1"], "bus 1 of case30 has no load"),
        (["--buses", "31"], "case30 has no bus 31"),
    ],
)
def test_what_cannot_be_swept_is_refused_in_a_line(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], arguments: list[str], text: str
) -> None:
    assert main(["thresholds", "--out", str(tmp_path / "out"), *arguments]) != 0
    assert text in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
