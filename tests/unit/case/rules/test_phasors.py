"""Wrong clocks of PMUs on case30: found in time wherever there is a current, and never where the grid alone moves."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from gridledger.grid.case import load_case
from services.case.rules.phasors import Limits, Lines, Phasors, WrongClock, lines_between, misfits_deg, wrong_clocks
from tests.support.phasor_day import BEGIN_US, Stretch, day, grid, measured, steady, turned, voltages

HZ = 50.0
DARK = "pmu-11"
"""Its bus has one line, which carries nothing."""


def _found(phasors: Phasors, limits: Limits | None = None) -> list[WrongClock]:
    return wrong_clocks(grid()[2], phasors, HZ, limits)


def _after_s(found: WrongClock, begun_s: float) -> float:
    return (found.found_us - BEGIN_US) / 1e6 - begun_s


@pytest.fixture(scope="module")
def quiet() -> Phasors:
    return steady(110, seed=5)


def test_a_clock_that_runs_away_by_1_us_a_second_is_found_within_60_s_and_nobody_else(quiet: Phasors) -> None:
    drift_us = np.maximum(0.0, np.arange(110) - 20.0)
    for number, pmu in enumerate(grid()[2].pmus):
        found = _found(turned(quiet, pmu, drift_us * (-1) ** number))
        if pmu == DARK:
            assert found == []
            continue
        (only,) = found
        assert only.pmus == (pmu,)
        assert 27.0 < _after_s(only, 20.0) < 60.0
        assert only.clock_us == pytest.approx(89.0 * (-1) ** number, abs=12.0)


def test_a_jump_of_50_us_is_found_within_5_s_and_nobody_else(quiet: Phasors) -> None:
    jump_us = np.where(np.arange(110) >= 30, 50.0, 0.0)
    for number, pmu in enumerate(grid()[2].pmus):
        if pmu == DARK:
            continue
        (only,) = _found(turned(quiet, pmu, jump_us * (-1) ** number))
        assert only.pmus == (pmu,)
        assert _after_s(only, 30.0) <= 5.0
        assert only.from_us == BEGIN_US + 30_000_000
        assert all(value * (-1) ** number > 0.5 for value in only.misfits_deg.values())


def test_the_limit_is_the_angle_of_28_us(quiet: Phasors) -> None:
    without_noise = measured([Stretch(30, voltages(), voltages())], seed=0)
    exact = replace(without_noise, **_exact(without_noise))
    below, beyond = (_found(turned(exact, "pmu-15", np.full(30, us))) for us in (27.7, 27.9))
    assert below == []
    assert [one.pmus for one in beyond] == [("pmu-15",)]
    assert beyond[0].clock_us == pytest.approx(27.9, abs=0.01)


def test_two_wrong_clocks_are_both_found(quiet: Phasors) -> None:
    jump_us = np.where(np.arange(110) >= 30, 60.0, 0.0)
    both = turned(turned(quiet, "pmu-12", jump_us), "pmu-27", -jump_us)
    assert sorted(one.pmus for one in _found(both)) == [("pmu-12",), ("pmu-27",)]


def test_a_neighbour_with_one_line_is_not_accused_of_the_other_ends_clock(quiet: Phasors) -> None:
    assert [one.pmus for one in _found(turned(quiet, "pmu-25", np.full(110, 50.0)))] == [("pmu-25",)]
    assert [one.pmus for one in _found(turned(quiet, "pmu-26", np.full(110, 50.0)))] == [("pmu-26",)]


def test_of_two_pmus_with_one_line_between_them_both_are_named() -> None:
    case = load_case("case30")
    lines = lines_between(case, {"a": 12, "b": 14})
    whole = steady(20)
    _, _, all_lines = grid()
    row = all_lines.names.index("12-14")
    few = Phasors(whole.time_us, whole.v[:, [11, 13]], whole.i_f[:, [row]], whole.i_t[:, [row]])
    turn = np.exp(1j * np.radians(1.0))
    spoofed = replace(few, v=few.v * [turn, 1.0], i_f=few.i_f * turn)
    assert [one.pmus for one in wrong_clocks(lines, spoofed, HZ)] == [("a", "b")]
    assert wrong_clocks(lines, few, HZ) == []


def test_a_misfit_while_p_and_q_move_is_no_clock(quiet: Phasors) -> None:
    """Phasors of one PMU that are a second late while a load ramps: their angles do not fit, and the powers move."""
    heavy = voltages(1.3)
    ramp = measured([Stretch(5, voltages(), heavy), Stretch(30, heavy, heavy)], seed=2)
    turned_late = turned(ramp, "pmu-30", np.where(np.arange(35) < 4, 60.0, 0.0))
    assert _found(turned_late) == []
    assert _found(turned_late, Limits(steady_share=100.0)) != []


def test_one_line_whose_parameters_are_wrong_accuses_nobody_with_other_lines(quiet: Phasors) -> None:
    lines = grid()[2]
    row = lines.names.index("2-5")
    wrong = _with_impedance(lines, row, 3.0)
    assert abs(np.nanmean(misfits_deg(wrong, quiet)[:, row])) > 1.0
    assert wrong_clocks(wrong, quiet, HZ) == []


def test_what_is_missing_says_nothing(quiet: Phasors) -> None:
    jump_us = np.where(np.arange(110) >= 30, 50.0, 0.0)
    spoofed = turned(quiet, "pmu-06", jump_us)
    place = grid()[2].pmus.index("pmu-06")
    v = spoofed.v.copy()
    v[32:, place] = np.nan
    assert _found(replace(spoofed, v=v)) == []
    i_t = np.full_like(spoofed.i_t, np.nan)
    assert [one.pmus for one in _found(replace(spoofed, i_t=i_t))] == [("pmu-06",)]
    empty = Phasors(spoofed.time_us[:0], spoofed.v[:0], spoofed.i_f[:0], spoofed.i_t[:0])
    assert _found(empty) == []


def test_ramps_steps_and_outages_raise_no_alarm() -> None:
    stretches = list(day(ramps=(1.0, 1.3, 1.0), steps=6, outages=(0, 6, 12, 17, 33), seconds=600, apart_s=20))
    assert _found(measured(stretches, seed=7)) == []


@pytest.mark.deep
def test_a_whole_day_raises_no_alarm() -> None:
    """Ramps of 30 % up and down all day, solved every ten minutes, twenty load steps, each line of case30 out once."""
    curve = [1.0 + 0.3 * np.sin(2 * np.pi * minute / 480) for minute in range(0, 1201, 10)]
    stretches = list(day(ramps=curve, steps=20, outages=range(41), seconds=600, apart_s=118))
    assert sum(each.seconds for each in stretches) >= 86_000
    for seed in range(3):
        assert _found(measured(stretches, seed=seed)) == []


def _exact(phasors: Phasors) -> dict[str, np.ndarray]:
    lines = grid()[2]
    v = np.tile(voltages(), (len(phasors.time_us), 1))
    return {
        "v": v,
        "i_f": lines.ff * v[:, lines.f] + lines.ft * v[:, lines.t],
        "i_t": lines.tf * v[:, lines.f] + lines.tt * v[:, lines.t],
    }


def _with_impedance(lines: Lines, row: int, times: float) -> Lines:
    admittances = {name: getattr(lines, name).copy() for name in ("ff", "ft", "tf", "tt")}
    for values in admittances.values():
        values[row] /= times
    return replace(lines, **admittances)
