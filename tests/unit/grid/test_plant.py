"""The plant: actions are carried out in order and once, frames of a group never share a time."""

from __future__ import annotations

from typing import Any

import pytest

from gridledger.grid.plant import ActionOutOfOrder, Plant
from gridledger.grid.power_flow import Grid
from tests.support.solved_grid import planner, power_flow

CONTROL: dict[str, Any] = {"action": 1, "source_bus": 3, "q_mvar": 5.0}


@pytest.fixture
def plant() -> Plant:
    """case30 in its base state."""
    return Plant(Grid(power_flow()), planner("corrected").area)


def test_actions_come_in_order_and_once(plant: Plant) -> None:
    before = plant.grid.voltage(3)
    assert plant.apply("1", CONTROL)
    once = plant.grid.voltage(3)
    assert once > before
    assert not plant.apply("1", CONTROL)
    with pytest.raises(ActionOutOfOrder):
        plant.apply("1", CONTROL | {"action": 3})
    assert (plant.grid.voltage(3), plant.applied("1")) == (once, 1)


def demand_at(plant: Plant, group: str, bus: int) -> tuple[float, float]:
    """Pd and Qd that a frame of the group shows at a bus."""
    row = next(row for row in plant.frame(group, 0)["buses"] if row["bus"] == bus)
    return row["Pd"], row["Qd"]


def test_a_load_change_keeps_what_is_injected_there(plant: Plant) -> None:
    plant.apply("1", CONTROL)
    plant.set_loads({3: (52.8, 26.4)})
    assert demand_at(plant, "1", 3) == (52.8, 26.4 - 5.0)
    assert plant.standing == {3: 5.0}


def test_a_release_takes_back_at_most_what_stands(plant: Plant) -> None:
    base = plant.state()
    plant.apply("1", CONTROL)
    plant.apply("1", CONTROL | {"action": 2, "q_mvar": -2.0})
    assert (plant.standing, demand_at(plant, "1", 3)) == ({3: 3.0}, (2.4, 1.2 - 3.0))
    plant.apply("1", CONTROL | {"action": 3, "q_mvar": -4.0})
    assert (plant.standing, plant.applied("1")) == ({}, 3)
    assert plant.state() is base


def test_frames_of_a_group_never_share_a_time(plant: Plant) -> None:
    times = [plant.frame("1", now)["time"] for now in (100, 100, 50, 200)]
    assert times == [100, 101, 102, 200]
    assert plant.frame("2", 100)["time"] == 100


def test_a_frame_tells_how_many_actions_it_shows(plant: Plant) -> None:
    plant.start_counting("1", 0)
    quiet = plant.frame("1", 1)
    plant.apply("1", CONTROL)
    after = plant.frame("1", 2)
    assert (quiet["applied"], after["applied"], plant.frame("2", 2)["applied"]) == (0, 1, 0)
    demand = [next(row["Qd"] for row in frame["buses"] if row["bus"] == 3) for frame in (quiet, after)]
    assert demand[0] - demand[1] == 5.0


def test_a_reset_forgets_injections_and_actions_but_no_time(plant: Plant) -> None:
    base = plant.state()
    plant.start_counting("1", 0)
    plant.apply("1", CONTROL)
    last = plant.frame("1", 100)["time"]
    changes = plant.load_changes
    plant.reset()
    assert plant.state() is base
    assert plant.standing == {}
    assert not plant.knows("1")
    assert plant.frame("1", 0)["time"] == last + 1
    assert plant.load_changes == changes + 1
