"""The form of a scenario file: what is taken, and the member and line of what is not."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.errors import InputError
from services.feeder.scenario_file.reading import MAX_BYTES, read_scenario
from services.feeder.scenarios.shipped import FOLDER, NAMES
from tests.support.scenario_files import HEAD, scenario_file

TEXT = (
    HEAD
    + """\
groups:
  count: 4
thresholds: {margin: 0.05}
noise: {v: 0.001}
events:
  - {at: 5, loads: {3: [52.8, 26.4]}}
  - at: 7
    until: 9
    scale: {group: 2, factor: 1.5}
"""
)


def test_what_is_left_out_has_its_default(tmp_path: Path):
    form = scenario_file(tmp_path, HEAD).form
    assert (form.profile, form.v_required, form.rate, form.duration) == (["corrected"], 0.98, 30.0, 60.0)
    assert form.events == []
    assert form.noise is None


def test_a_group_may_be_written_as_a_number(tmp_path: Path):
    scale = scenario_file(tmp_path, TEXT).form.events[1].scale
    assert scale is not None
    assert scale.group == "2"


@pytest.mark.parametrize("name", NAMES)
def test_a_file_that_comes_along_has_its_own_name(name: str):
    assert read_scenario(FOLDER / f"{name}.yaml").form.name == name


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("title: a test", "", "title: is missing"),
        ("name: test", "name: 2", 'name, line 1: must be a text: write "2" in quotes'),
        ("name: test", "nmae: test", "name: is missing"),
        ("case: case30", "case: case30\ncolour: red", "colour, line 4: is unknown"),
        ("{mvar: 150}", "{mvar: -1}", "vvc.mvar, line 4: must be at least 0, not -1"),
        ("{mvar: 150}", "{mvar: 150, by_bus: {x: 1}}", "vvc.by_bus.x, line 4: must be a whole number, not x"),
        ("count: 4", "count: 4\n  members: {1: [1]}", "groups, line 5: members are listed"),
        ("count: 4", "count: 4.5", "groups.count, line 6: must be a whole number, not 4.5"),
        (
            "{margin: 0.05}",
            "{margin: 0.05, file: x}",
            "thresholds, line 7: needs exactly one of margin, by_group, file",
        ),
        ("{v: 0.001}", "{v: .nan}", "noise.v, line 8: must be "),
        ("[52.8, 26.4]", "[52.8]", "events.0.loads.3, line 10: must have at least 2 entries, not 1"),
        ("at: 5,", "at: 5, sag: {},", "events.0, line 10: needs exactly one of loads, scale, csv"),
        ("at: 5, loads: {3: [52.8, 26.4]}", "at: 5", "events.0, line 10: needs exactly one of loads, scale, csv"),
        ("until: 9", "until: 7", "events.1, line 11: until must be later than at"),
        ("at: 5, loads: {3: [52.8, 26.4]}", "at: 5, until: 6, outage: [1, 2]", "events.0, line 10: until makes a ramp"),
        ("loads: {3: [52.8, 26.4]}", "outage: [1, 2, 0]", "events.0.outage, line 10: the number of a parallel branch"),
        ("loads: {3: [52.8, 26.4]}", "outage: 1-2", "events.0.outage, line 10: must be a list, like [1, 2], not 1-2"),
        ("group: 2, ", "group: 2, buses: [3], ", "events.1.scale, line 13: give buses or a group, not both"),
        ("at: 5,", "at: -5,", "events.0.at, line 10: must be at least 0, not -5"),
        ("at: 5,", "at: .inf,", "events.0.at, line 10: must be a"),
        ("noise: {v: 0.001}", "noise: {v: 0.001", "line 9: not YAML"),
        ("case: case30", "profile: best", "profile.0, line 3: must be 'published' or 'corrected', not best"),
        ("case: case30", "enforce_q_limits: 1", "enforce_q_limits, line 3: must be true or false, not 1"),
        ("case: case30", "rate: fast", "rate, line 3: must be a number, not fast"),
        ("case: case30", "rate: 2000", "rate, line 3: must be at most 1000, not 2000"),
        ("case: case30", "case: ''", "case, line 3: must have at least 1 characters, not empty"),
        ("name: test", "name: a b", "name, line 1: must be written as the pattern ^[A-Za-z0-9]"),
        ("{v: 0.001}", "0.001", "noise, line 8: must be a mapping, like {name: value}, not 0.001"),
        ("at: 5,", "at: null,", "events.0.at, line 10: must be a number, not nothing"),
        ("{v: 0.001}", "&a {v: 0.001}\ncheck: *a", "line 9: *a is an alias"),
    ],
)
def test_a_fault_is_told_with_file_member_and_line(tmp_path: Path, old: str, new: str, told: str):
    assert old in TEXT
    with pytest.raises(InputError) as refused:
        scenario_file(tmp_path, TEXT.replace(old, new))
    assert refused.value.message.startswith(f"{tmp_path / 'test.yaml'}: ")
    assert told in refused.value.message
    assert "\n" not in refused.value.message


def test_bad_data_names_a_quantity_of_its_place(tmp_path: Path):
    text = HEAD + "bad_data:\n  - {at: 1, frames: 2, branch: [1, 2], quantity: Vm, error: 0.1}\n"
    with pytest.raises(InputError, match=r"bad_data\.0, line 6: the quantity at a branch is one of Pf, Qf, Pt, Qt"):
        scenario_file(tmp_path, text)


def test_a_scenario_file_has_a_bound(tmp_path: Path):
    with pytest.raises(InputError, match=f"a scenario has at most {MAX_BYTES} bytes"):
        scenario_file(tmp_path, HEAD + "#" * MAX_BYTES)


def test_a_scenario_file_that_is_not_there_is_told(tmp_path: Path):
    with pytest.raises(InputError, match=r"none\.yaml: No such file"):
        read_scenario(tmp_path / "none.yaml")


@pytest.mark.timeout(10)
def test_brackets_without_end_are_refused_at_once(tmp_path: Path) -> None:
    path = tmp_path / "deep.yaml"
    path.write_text("[" * 60_000)
    with pytest.raises(InputError, match="line 1: nested too deeply"):
        read_scenario(path)
