"""A scenario file on case30: groups, thresholds, reactive power and events, and what the grid does not have."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.grouping import CASE30_GROUPS, automatic_grouping
from services.feeder.meter import GrossError
from services.feeder.scenario_file.on_grid import case_of, groups_of, planner_of
from services.feeder.schedule import LineChange, LoadChange, VvcChange
from tests.support.scenario_files import HEAD, on_case30, scenario_file
from tests.support.solved_grid import base_state, planner

CASE30 = load_case("case30")
LISTED = "\n".join(f"    {group}: {list(members)}" for group, members in CASE30_GROUPS.items())


def events(*lines: str) -> str:
    """A file with these events."""
    return HEAD + "events:\n" + "".join(f"  - {line}\n" for line in lines)


def loads_of(changes: tuple) -> list[tuple[float, dict[int, tuple[float, float]]]]:
    return [(change.at_s, change.loads) for change in changes if isinstance(change, LoadChange)]


def test_a_built_in_case_is_found_by_its_name(tmp_path: Path):
    assert case_of(scenario_file(tmp_path, HEAD)) is CASE30
    with pytest.raises(InputError, match=r"case, line 3: .*case31"):
        case_of(scenario_file(tmp_path, HEAD.replace("case30", "case31")))


def test_groups_are_listed_or_automatic(tmp_path: Path):
    assert groups_of(scenario_file(tmp_path, HEAD), CASE30) == CASE30_GROUPS
    assert groups_of(scenario_file(tmp_path, f"{HEAD}groups:\n  members:\n{LISTED}\n"), CASE30) == CASE30_GROUPS
    four = groups_of(scenario_file(tmp_path, HEAD + "groups: {count: 4}\n"), CASE30)
    assert four == automatic_grouping(CASE30, 4)
    small = groups_of(scenario_file(tmp_path, HEAD + "groups: {max_buses: 10}\n"), CASE30)
    assert small == automatic_grouping(CASE30, max_buses=10)
    assert max(len(members) for members in small.values()) <= 10
    assert groups_of(scenario_file(tmp_path, HEAD + "groups: {count: 4}\n"), CASE30, 2) == automatic_grouping(CASE30, 2)


@pytest.mark.parametrize(
    ("old", "new", "told"),
    [
        ("3, 4, 5]", "3, 4]", "1 buses are in no group, the first is bus 5"),
        ("1: [1, 2,", "1: [10, 1, 2,", "bus 10 is in group 1 and in group 3"),
        ("1: [1, 2,", "1: [77, 1, 2,", "case30 has no bus 77"),
        ("    1: [1, 2, 3, 4, 5]\n", "    1: [1, 2, 3, 4]\n    4: [5, 30]\n", "group 4 hangs not together"),
    ],
)
def test_listed_groups_must_cover_the_grid(tmp_path: Path, old: str, new: str, told: str):
    listed = LISTED.replace(", 30]", "]") if "30" in new else LISTED
    assert old in listed
    file = scenario_file(tmp_path, f"{HEAD}groups:\n  members:\n{listed.replace(old, new)}\n")
    with pytest.raises(InputError, match=f"groups.members, line 6: {told}"):
        groups_of(file, CASE30)


def test_thresholds_come_from_where_the_file_says(tmp_path: Path):
    def found(text: str) -> dict[str, float]:
        file = scenario_file(tmp_path, HEAD + text)
        return dict(planner_of(file, CASE30, CASE30_GROUPS, "corrected", base_state()).thresholds)

    (tmp_path / "found.json").write_text('{"thresholds": {"1": 0.5, "2": 0.6, "3": 0.7}}')
    assert found("") == {"1": 0.88, "2": 0.85, "3": 0.90}
    assert found("thresholds: {by_group: {1: 0.1, 2: 0.2, 3: 0.3}}") == {"1": 0.1, "2": 0.2, "3": 0.3}
    assert found("thresholds: {file: found.json}") == {"1": 0.5, "2": 0.6, "3": 0.7}
    low, high = found("thresholds: {margin: 0.1}"), found("thresholds: {margin: 0.05}")
    assert all(abs(high[group] - low[group] - 0.05) < 0.0011 for group in CASE30_GROUPS)


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("thresholds: {by_group: {1: 0.1, 2: 0.2}}", "thresholds.by_group, line 5: there is none for group 3"),
        ("thresholds: {by_group: {1: 0.1, 2: 0.2, 3: 0.3, 4: 1}}", "thresholds.by_group, line 5: there is no group 4"),
        ("thresholds: {file: none.json}", "thresholds.file, line 5: .*No such file"),
        ("thresholds: {file: bad.json}", "thresholds.file, line 5: .*is no file of thresholds"),
    ],
)
def test_thresholds_that_do_not_fit_are_refused(tmp_path: Path, text: str, told: str):
    (tmp_path / "bad.json").write_text('{"thresholds": [1]}')
    with pytest.raises(InputError, match=told):
        planner_of(scenario_file(tmp_path, HEAD + text), CASE30, CASE30_GROUPS, "corrected", base_state())


def test_a_scenario_runs_in_its_profiles_only(tmp_path: Path):
    with pytest.raises(InputError, match="runs in profile corrected only"):
        planner_of(scenario_file(tmp_path, HEAD), CASE30, CASE30_GROUPS, "published", base_state())


def test_reactive_power_is_given_where_the_file_says(tmp_path: Path):
    text = HEAD.replace("{mvar: 150}", "{mvar: 10, by_bus: {3: 40, 7: 5}, none_at: [14], none_in: [2]}")
    lists = on_case30(tmp_path, text).resources(planner("corrected"))
    assert lists["1"] == {"3": 0.4, "4": 0.1, "5": 0.1}
    assert set(lists["2"].values()) == {0.0}
    assert lists["3"]["14"] == 0.0
    assert lists["3"]["10"] == 0.1


@pytest.mark.parametrize(
    ("vvc", "told"),
    [
        ("{by_bus: {99: 1}}", "vvc.by_bus, line 4: case30 has no bus 99"),
        ("{by_bus: {2: 1}}", "vvc.by_bus, line 4: bus 2 of case30 is a generator's"),
        ("{none_at: [99]}", "vvc.none_at, line 4: case30 has no bus 99"),
        ("{none_in: [9]}", "vvc.none_in, line 4: there is no group 9"),
    ],
)
def test_reactive_power_needs_a_load_bus(tmp_path: Path, vvc: str, told: str):
    with pytest.raises(InputError, match=told):
        on_case30(tmp_path, HEAD.replace("{mvar: 150}", vvc))


def test_a_step_a_ramp_and_a_factor_follow_one_another(tmp_path: Path):
    text = events(
        "{at: 3, scale: {buses: [3], factor: 0.5}}",
        "{at: 1, loads: {3: [10, 4]}}",
        "{at: 1, until: 3, loads: {3: [20, 8]}}",
    )
    found = loads_of(on_case30(tmp_path, text).schedule.changes)
    assert found[0] == (1.0, {3: (10.0, 4.0)})
    assert len(found) == 1 + 20 + 1
    assert found[1] == (1.1, {3: (10.5, 4.2)})
    assert found[20] == (3.0, {3: (20.0, 8.0)})
    assert found[21] == (3.0, {3: (10.0, 4.0)})


def test_a_group_and_the_grid_are_scaled_whole(tmp_path: Path):
    text = events("{at: 1, scale: {group: 1, factor: 2}}", "{at: 2, scale: {factor: 0.5}}")
    changes = on_case30(tmp_path, text).schedule.changes
    (_, of_group), (_, of_grid) = loads_of(changes)
    demand = {bus: (p, q) for bus, p, q in zip(CASE30.numbers, CASE30.pd, CASE30.qd, strict=True) if p or q}
    assert of_group == {bus: (2 * p, 2 * q) for bus, (p, q) in demand.items() if bus in CASE30_GROUPS["1"]}
    assert of_grid == {bus: (p, q) if bus in of_group else (p / 2, q / 2) for bus, (p, q) in demand.items()}
    assert changes[1].title == "the loads of the grid times 0.5"


def test_a_profile_of_loads_comes_from_csv(tmp_path: Path):
    (tmp_path / "loads.csv").write_text("time,bus,P,Q\n0,3,5,2\n0,4,6,3\n2.5,3,7,1\n")
    found = loads_of(on_case30(tmp_path, events("{at: 4, csv: loads.csv}")).schedule.changes)
    assert found == [(4.0, {3: (5.0, 2.0), 4: (6.0, 3.0)}), (6.5, {3: (7.0, 1.0)})]


def test_a_line_trips_and_comes_back(tmp_path: Path):
    found = on_case30(tmp_path, events("{at: 9, close: [12, 4]}", "{at: 4, outage: [4, 12]}")).schedule.changes
    assert found == (
        LineChange(4.0, "branch 4-12 trips", (4, 12, 1), out=True),
        LineChange(9.0, "branch 12-4 is closed", (12, 4, 1), out=False),
    )


def test_a_gross_error_is_put_on_the_branch_that_is_named(tmp_path: Path):
    text = HEAD + "bad_data:\n  - {at: 1, frames: 2, branch: [2, 1], quantity: Pf, error: 9}\n"
    errors = on_case30(tmp_path, text).errors
    assert errors is not None
    assert errors.gross == (GrossError(1.0, 2, CASE30.branch(1, 2), "Pf", 9.0),)
    with pytest.raises(InputError, match=r"bad_data\.0\.branch, line 6: case30 has no branch 2-3"):
        on_case30(tmp_path, text.replace("[2, 1]", "[2, 3]"))


def test_reactive_power_is_taken_away_by_an_event(tmp_path: Path):
    (change,) = on_case30(tmp_path, events("{at: 4, vvc: {3: 0, 4: 20}}")).schedule.changes
    assert change == VvcChange(4.0, "0 MVAr at bus 3, 20 MVAr at bus 4", {3: 0.0, 4: 20.0})


@pytest.mark.parametrize(
    ("lines", "told"),
    [
        (["{at: 61, loads: {3: [1, 1]}}"], "events.0.at, line 6: 61 s is beyond the duration of 60 s"),
        (["{at: 50, until: 61, loads: {3: [1, 1]}}"], "events.0.until, line 6: 61 s is beyond"),
        (["{at: 5, loads: {99: [1, 1]}}"], "events.0.loads, line 6: case30 has no bus 99"),
        (["{at: 5, scale: {group: 7, factor: 2}}"], "events.0.scale, line 6: there is no group 7"),
        (["{at: 5, vvc: {1: 7}}"], "events.0.vvc, line 6: bus 1 of case30 is a generator's"),
        (["{at: 5, outage: [4, 13]}"], "events.0.outage, line 6: case30 has no branch 4-13"),
        (["{at: 5, close: [4, 12]}"], "events.0.close, line 6: branch 4-12 is not out then"),
        (["{at: 5, outage: [4, 12]}", "{at: 6, outage: [4, 12]}"], "events.1.outage, line 7: branch 4-12 is out"),
        (["{at: 5, outage: [12, 13]}"], "events.0.outage, line 6: .*bus 13"),
        (["{at: 5, csv: none.csv}"], r"events.0.csv, line 6: .*none\.csv: No such file"),
        (["{at: 59, csv: loads.csv}"], "events.0.csv, line 6: its last row comes at 61 s"),
        (
            ["{at: 5, until: 9, loads: {3: [1, 1]}}", "{at: 8, scale: {factor: 2}}"],
            r"events.1.scale, line 7: the load of bus 3 is changed by events.0 until 9 s: two changes overlap",
        ),
        (["{at: 5, sag: {groups: 4}}"], "events.0.sag, line 6: 4 groups are asked for, and case30 has 3"),
    ],
)
def test_an_event_that_the_grid_does_not_have_is_refused(tmp_path: Path, lines: list[str], told: str):
    (tmp_path / "loads.csv").write_text("time,bus,P,Q\n2,3,5,2\n")
    with pytest.raises(InputError, match=told):
        on_case30(tmp_path, events(*lines))


@pytest.mark.parametrize(
    ("text", "told"),
    [
        ("", "line 1: the first line must be time,bus,P,Q"),
        ("time,bus,P,Q\n", "line 1: there is no row"),
        ("time,bus,P,Q\n1,3,2\n", "line 2: a row has time, bus, P and Q"),
        ("time,bus,P,Q\n1,3,2,x\n", "line 2: could not convert"),
        ("time,bus,P,Q\n1,3,2,nan\n", "line 2: P and Q lie between"),
        ("time,bus,P,Q\n1,3,2,1\n0,3,2,1\n", "line 3: times must not go back"),
        ("time,bus,P,Q\n-1,3,2,1\n", "line 2: a time is at least 0"),
    ],
)
def test_a_profile_with_a_fault_is_told_with_its_line(tmp_path: Path, text: str, told: str):
    (tmp_path / "loads.csv").write_text(text)
    with pytest.raises(InputError, match=f"loads.csv: {told}"):
        on_case30(tmp_path, events("{at: 1, csv: loads.csv}"))


def test_the_sag_raises_one_bus_in_each_of_several_groups(tmp_path: Path):
    (one,) = loads_of(on_case30(tmp_path, events("{at: 1, sag: {}}")).schedule.changes)
    (three,) = loads_of(on_case30(tmp_path, events("{at: 1, sag: {groups: 3}}")).schedule.changes)
    assert len(one[1]) == 1
    assert one[1].items() <= three[1].items()
    home = {bus: group for group, members in CASE30_GROUPS.items() for bus in members}
    assert {home[bus] for bus in three[1]} == {"1", "2", "3"}


def test_a_scenario_can_be_stretched(tmp_path: Path):
    text = events("{at: 15, loads: {3: [1, 1]}}") + (
        "bad_data:\n  - {at: 30, frames: 2, bus: 3, quantity: Vm, error: 0.1}\n"
    )
    short = on_case30(tmp_path, text).lasting(4.0, rate=8.0)
    assert [change.at_s for change in short.schedule.changes] == [1.0]
    assert short.errors is not None
    assert [error.at_s for error in short.errors.gross] == [2.0]
