"""Rows of PMUs become phasors of a grid case, and the rule finds the wrong clock in them."""

from __future__ import annotations

import cmath
from typing import Any

import numpy as np
import pytest

from gridledger.errors import InputError
from services.case.replay.pmus import MovingGrid, WrongClock, placed
from services.case.rules.phasors import wrong_clocks
from services.case.rules.placement import TIME, measured, placement_of

BUSES = {"pmu-12": 12, "pmu-14": 14, "pmu-15": 15, "pmu-16": 16}
BEGIN_US = 1_700_000_000_000_000


def _rows(grid: MovingGrid, seconds: int, rate: int = 5) -> dict[str, dict[str, list[Any]]]:
    """As a light node's files have them."""
    rows: dict[str, dict[str, list[Any]]] = {}
    for pmu in BUSES:
        names = grid.channels(pmu)
        columns: dict[str, list[Any]] = {TIME: [], **{f"{n}_{part}": [] for n in names for part in ("mag", "ang")}}
        for tick in range(seconds * rate):
            columns[TIME].append(BEGIN_US + tick * 1_000_000 // rate)
            for name, phasor in zip(names, grid.phasors(pmu, tick / rate), strict=True):
                columns[f"{name}_mag"].append(np.float32(abs(phasor)))
                columns[f"{name}_ang"].append(np.float32(cmath.phase(phasor)))
        rows[pmu] = columns
    return rows


def _wandering(second: float) -> float:
    return 50.0 + 0.03 * float(np.sin(second / 7))


def test_a_clock_that_runs_away_is_found_in_rows_and_nobody_else() -> None:
    wrong = WrongClock("pmu-12", 20.0, 1.0)
    grid = MovingGrid(placed("case30", BUSES), 90, 3, frequency=_wandering, wrong=wrong)
    whole = measured(grid.placement, _rows(grid, 90))
    (found,) = wrong_clocks(whole.lines, whole.phasors, whole.nominal_hz)
    assert found.pmus == ("pmu-12",)
    assert 27 <= (found.found_us - BEGIN_US) / 1e6 - 20 <= 60
    assert found.clock_us == pytest.approx(wrong.ahead_us(90), abs=5.0)
    assert set(found.misfits_deg) == {"12-14", "12-15", "12-16"}


def test_without_a_wrong_clock_nobody_is_accused_whatever_the_frequency_does() -> None:
    grid = MovingGrid(placed("case30", BUSES), 60, 4, frequency=_wandering)
    whole = measured(grid.placement, _rows(grid, 60))
    assert wrong_clocks(whole.lines, whole.phasors, whole.nominal_hz) == []


def test_pmus_without_rows_and_moments_that_one_has_not_are_unknown() -> None:
    grid = MovingGrid(placed("case30", BUSES), 10, 4, frequency=_wandering)
    rows = _rows(grid, 10)
    del rows["pmu-16"]
    rows["pmu-14"] = {name: values[:20] for name, values in rows["pmu-14"].items()}
    whole = measured(grid.placement, rows)
    assert len(whole.phasors.time_us) == 50
    assert np.isnan(whole.phasors.v[:, whole.lines.pmus.index("pmu-16")]).all()
    assert np.isnan(whole.phasors.v[20:, whole.lines.pmus.index("pmu-14")]).all()
    assert not np.isnan(whole.phasors.v[:20, whole.lines.pmus.index("pmu-14")]).any()
    assert measured(grid.placement, {}).phasors.v.shape == (0, 4)


def test_a_placement_that_is_none_names_the_member() -> None:
    good = placed("case30", BUSES).model_dump()
    assert placement_of(good) == placed("case30", BUSES)
    with pytest.raises(InputError, match=r"placement\.volts"):
        placement_of({**good, "volts": 0})
    with pytest.raises(InputError, match=r"placement\.pmus"):
        placement_of({**good, "pmus": {}})


def test_a_column_or_a_branch_that_is_not_there_is_named() -> None:
    grid = MovingGrid(placed("case30", BUSES), 2, 4, frequency=_wandering)
    rows = _rows(grid, 2)
    del rows["pmu-14"]["V_mag"]
    with pytest.raises(InputError, match="pmu-14 have no column V_mag"):
        measured(grid.placement, rows)
    other = placed("case30", BUSES).model_dump()
    other["pmus"]["pmu-14"]["currents"]["I"] = (14, 30)
    with pytest.raises(InputError, match="no branch 14-30"):
        measured(placement_of(other), {**_rows(grid, 2)})
