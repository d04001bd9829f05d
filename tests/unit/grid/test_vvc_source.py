"""Sources of reactive power: whole steps, capacitors, and what is counted of them."""

from __future__ import annotations

import pytest

from gridledger.errors import InputError
from gridledger.grid.plant import Plant
from gridledger.grid.power_flow import Grid
from gridledger.grid.vvc_source import VvcSource
from tests.support.solved_grid import planner, power_flow

SAG = {3: (52.8, 26.4)}


def plant_with(source: VvcSource) -> Plant:
    """case30 under the sag of scenario 1, one source at bus 3."""
    plant = Plant(Grid(power_flow()), planner("corrected").area, sources={3: source})
    plant.set_loads(SAG)
    return plant


def order(plant: Plant, *amounts: float) -> None:
    """Actions of group 1 at bus 3, MVAr."""
    for amount in amounts:
        plant.apply("1", {"action": plant.applied("1") + 1, "source_bus": 3, "q_mvar": amount})


def shown(plant: Plant, bus: int = 3) -> tuple[float, float]:
    """Qd and Vm of a bus of group 1 as its frame shows them."""
    row = next(row for row in plant.frame("1", 0)["buses"] if row["bus"] == bus)
    return row["Qd"], row["Vm"]


def test_a_bank_switches_whole_steps_that_cover_what_stands() -> None:
    bank = VvcSource(step_mvar=5.0)
    assert [bank.switched(q) for q in (0.0, 0.1, 5.0, 5.0 + 1e-12, 7.0, 12.5)] == [0.0, 5.0, 5.0, 5.0, 10.0, 15.0]


def test_steps_follow_the_sum_and_not_the_single_order() -> None:
    plant = plant_with(VvcSource(step_mvar=5.0))
    order(plant, 4.0)
    assert (plant.standing, plant.grid.delivered(), shown(plant)[0]) == ({3: 4.0}, {3: 5.0}, 26.4 - 5.0)
    order(plant, 1.0)
    assert (plant.standing, plant.grid.delivered()) == ({3: 5.0}, {3: 5.0})
    order(plant, 3.0)
    assert (plant.standing, plant.grid.delivered()) == ({3: 8.0}, {3: 10.0})
    order(plant, -8.0)
    assert (plant.standing, plant.grid.delivered(), shown(plant)[0]) == ({}, {}, 26.4)


def test_a_capacitor_gives_less_where_the_voltage_is_low() -> None:
    constant, capacitor = plant_with(VvcSource()), plant_with(VvcSource(as_shunt=True))
    order(constant, 10.0)
    order(capacitor, 10.0)
    qd, vm = shown(capacitor)
    assert vm < shown(constant)[1] < 1.0
    assert qd == pytest.approx(26.4 - 10.0 * vm * vm, abs=1e-12)
    assert capacitor.grid.delivered() == {3: pytest.approx(10.0 * vm * vm)}
    assert capacitor.standing == constant.standing == {3: 10.0}


def test_the_solved_state_holds_the_capacitor_as_an_admittance() -> None:
    """The same state comes from a constant injection of exactly what the capacitor gives at its voltage."""
    capacitor, constant = plant_with(VvcSource(as_shunt=True)), plant_with(VvcSource())
    order(capacitor, 10.0)
    order(constant, capacitor.grid.delivered()[3])
    assert shown(capacitor)[1] == pytest.approx(shown(constant)[1], abs=1e-9)


@pytest.mark.parametrize("step", [0.0, -1.0, float("nan"), float("inf")])
def test_a_step_that_is_no_size_is_refused(step: float) -> None:
    with pytest.raises(InputError, match="step_mvar"):
        VvcSource(step_mvar=step)
