"""The one-line diagram, of a case and of the ledger's records."""

from __future__ import annotations

import subprocess
import sys
from itertools import combinations
from math import hypot
from typing import Any

import numpy as np
import pytest

from gridledger import jsontext
from gridledger.errors import InputError
from gridledger.grid.case import load_case
from gridledger.grid.grouping import CASE30_GROUPS
from services.console.grid.diagram import RADIUS, Diagram, Line, plan_of_records
from services.console.grid.making import diagram_of_case, diagram_of_plan
from tests.support.dvs_channel import example
from tests.support.solved_grid import base_state, planner


def records() -> list[dict[str, Any]]:
    """The records of case30's groups, as GetGroup answers them."""
    plan = planner("corrected")
    state = base_state()
    return [
        {key: value for key, value in plan.record(group, state).items() if key not in ("Y", "PI")}
        for group in CASE30_GROUPS
    ]


@pytest.mark.parametrize("name", ["case30", "case57", "case118", "case300"])
def test_no_bus_touches_another_and_all_are_on_the_sheet(name: str) -> None:
    case = load_case(name)
    diagram = diagram_of_case(case)
    assert [bus.number for bus in diagram.buses] == list(case.numbers)
    assert all(
        RADIUS * 2 <= bus.x <= diagram.width - RADIUS * 2 and RADIUS * 2 <= bus.y <= diagram.height - RADIUS * 2
        for bus in diagram.buses
    )
    nearest = min(hypot(one.x - two.x, one.y - two.y) for one, two in combinations(diagram.buses, 2))
    assert nearest > 3 * RADIUS
    assert sum(line.count for line in diagram.lines) == len(case.branches)
    assert diagram.places[case.reference].kind == "reference"
    assert diagram.many == (name == "case300")
    assert Diagram.from_dict(jsontext.loads(jsontext.dumps(diagram.to_dict()))) == diagram


def test_a_case_is_drawn_as_it_says_with_north_above() -> None:
    case = load_case("case57")
    diagram = diagram_of_case(case, {"1": [1, 2, 3]})
    x, y = case.coordinates.T
    assert np.corrcoef(x, [bus.x for bus in diagram.buses])[0, 1] > 0.97
    assert np.corrcoef(y, [bus.y for bus in diagram.buses])[0, 1] < -0.97
    assert [bus.number for bus in diagram.buses if bus.group == "1"] == [1, 2, 3]


def test_records_of_all_groups_give_the_whole_grid() -> None:
    case = load_case("case30")
    plan = plan_of_records(records())
    diagram = diagram_of_plan(plan)
    drawn = diagram_of_case(case, {group: list(members) for group, members in CASE30_GROUPS.items()})
    assert {bus.number: (bus.kind, bus.group) for bus in diagram.buses} == {
        bus.number: (bus.kind, bus.group) for bus in drawn.buses
    }
    assert sorted((line.f, line.t, line.count, line.tie) for line in diagram.lines) == sorted(
        (line.f, line.t, line.count, line.tie) for line in drawn.lines
    )
    assert diagram.width > diagram.height
    assert diagram_of_plan(plan) == diagram


def test_one_group_alone_shows_its_neighbours_as_buses_of_no_group() -> None:
    record = example("record-1-corrected")
    diagram = diagram_of_plan(plan_of_records([record]))
    ties = record["dim"][record["nm"] :]
    assert {bus.number for bus in diagram.buses} == {*record["members"], *ties}
    assert all(diagram.places[bus].group == "" for bus in ties)
    assert diagram.groups["1"] == tuple(sorted(record["members"], key=record["members"].index))


def test_parts_that_do_not_hang_together_stand_beside_each_other() -> None:
    def pair(group: str, f: int, t: int) -> dict[str, Any]:
        return {"id": group, "members": [f, t], "dim": [f, t], "nm": 2, "kind": [1, 2], "branches": [[f, t], [t, f]]}

    diagram = diagram_of_plan(plan_of_records([pair("1", 1, 2), pair("2", 3, 4)]))
    assert max(diagram.places[bus].x for bus in (1, 2)) + 3 * RADIUS < min(diagram.places[bus].x for bus in (3, 4))
    assert diagram.lines == (Line(1, 2, 2, tie=False), Line(3, 4, 2, tie=False))
    with pytest.raises(InputError, match="no record of a group on the ledger yet"):
        diagram_of_plan(plan_of_records([]))
    with pytest.raises(InputError, match="lacks members"):
        plan_of_records([{"id": "1"}])


def test_it_is_made_by_a_process_of_its_own() -> None:
    def made(asked: dict[str, Any]) -> Any:
        command = [sys.executable, "-m", "services.console.grid.making"]
        done = subprocess.run(command, input=jsontext.dumps(asked), capture_output=True, check=True, timeout=60)
        return jsontext.loads(done.stdout)

    assert Diagram.from_dict(made({"case": "case30"})) == diagram_of_case(load_case("case30"))
    assert "unknown case" in made({"case": "case31"})["error"]
