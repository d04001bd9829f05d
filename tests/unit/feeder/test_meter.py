"""The errors of the meters: what they add, and that it follows from seed and number alone."""

from __future__ import annotations

from statistics import pstdev
from typing import Any

import pytest

from gridledger.grid.frames import Frame, FrameMaker
from services.feeder.meter import GrossError, Meter, MeterErrors, Sigmas
from tests.support.solved_grid import base_state, planner, power_flow

CASE = power_flow().case
NOISE = Sigmas(v=0.001, angle=0.02, p=0.5, q=0.25)


def frame(group: str) -> Frame:
    return FrameMaker(planner("corrected").area(group)).frame(base_state(), 1)


def meter(seed: int = 1, sigmas: Sigmas = NOISE, gross: tuple[GrossError, ...] = ()) -> Meter:
    return Meter(CASE, MeterErrors(seed, sigmas, gross), rate=10.0)


def bus(measured: Frame, number: int) -> dict[str, Any]:
    return next(row for row in measured["buses"] if row["bus"] == number)


def test_a_number_shows_the_same_in_any_order():
    one, other = meter(), meter()
    forward = [one.measure(frame("1"), number) for number in range(20)]
    backward = [other.measure(frame("1"), number) for number in reversed(range(20))]
    assert forward == backward[::-1]
    assert forward[0] != forward[1]
    assert meter(seed=2).measure(frame("1"), 0) != forward[0]


def test_what_was_drawn_stays_for_good():
    """Pinned: another stream would change what every published seed means."""
    assert bus(meter(seed=7).measure(frame("1"), 3), 3)["Vm"] == pytest.approx(0.982393025061, abs=1e-12)


def test_two_groups_see_the_same_measurement_of_a_bus():
    measuring = meter()
    of_one, of_two = measuring.measure(frame("1"), 5), measuring.measure(frame("2"), 5)
    assert bus(of_one, 4) == bus(of_two, 4)
    shared = {(row["f"], row["t"]): row for row in of_one["branches"]}
    found = [row for row in of_two["branches"] if (row["f"], row["t"]) in shared]
    assert found
    assert all(shared[row["f"], row["t"]] == row for row in found)


@pytest.mark.parametrize(("quantity", "sigma"), [("Pd", 0.5), ("Qd", 0.25), ("Vm", 0.001), ("Va", 0.02)])
def test_noise_has_the_deviation_asked_for(quantity: str, sigma: float):
    measuring, true = meter(), bus(frame("1"), 3)[quantity]
    errors = [bus(measuring.measure(frame("1"), number), 3)[quantity] - true for number in range(400)]
    assert pstdev(errors) == pytest.approx(sigma, rel=0.15)
    assert abs(sum(errors) / len(errors)) < 0.2 * sigma


def test_a_gross_error_lasts_for_its_frames():
    there = GrossError(0.5, 2, CASE.position[3], "Vm", 0.1)
    measuring, true = meter(sigmas=Sigmas(), gross=(there,)), bus(frame("1"), 3)["Vm"]
    added = [bus(measuring.measure(frame("1"), number), 3)["Vm"] - true for number in range(4, 9)]
    assert added == pytest.approx([0.0, 0.1, 0.1, 0.0, 0.0])


def test_a_gross_error_of_a_branch_is_on_that_branch_alone():
    there = GrossError(0.0, 1, 3, "Qf", 9.0)
    measured, true = meter(sigmas=Sigmas(), gross=(there,)).measure(frame("1"), 0), frame("1")
    differ = [
        (new["f"], new["t"]) for new, old in zip(measured["branches"], true["branches"], strict=True) if new != old
    ]
    assert differ == [CASE.ends(3)]


def test_a_gross_error_comes_with_its_probability():
    there = GrossError(0.0, 400, CASE.position[3], "Vm", 0.1, probability=0.25)
    measuring, true = meter(sigmas=Sigmas(), gross=(there,)), bus(frame("1"), 3)["Vm"]
    hit = sum(bus(measuring.measure(frame("1"), number), 3)["Vm"] != true for number in range(400))
    assert 70 < hit < 130


def test_a_meter_shows_nothing_that_the_contract_refuses():
    there = GrossError(0.0, 1, CASE.position[3], "Vm", -1e6)
    assert bus(meter(sigmas=Sigmas(), gross=(there,)).measure(frame("1"), 0), 3)["Vm"] == 0.01


def test_the_true_frame_is_not_changed():
    true = frame("1")
    before = [dict(row) for row in true["buses"]]
    meter().measure(true, 0)
    assert true["buses"] == before
