"""Statistics of a window's readings: values by hand, and numpy's."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.field.capture import MEASURES, UNITS
from services.relay.statistics import STATISTICS, WindowValues, mean, p95, share_outside
from tests.support.relay_readings import capture_with

VALUES = st.lists(st.floats(-1e6, 1e6), min_size=1, max_size=300)


def test_each_measure_has_a_unit():
    assert tuple(UNITS) == MEASURES
    assert (UNITS["Vab"], UNITS["Ic"], UNITS["F"], UNITS["FP"], UNITS["Q"]) == ("kV", "A", "Hz", "", "MVAr")


def test_values_by_hand():
    values = WindowValues()
    values.add(capture_with(110.0, 112.0))
    values.add(capture_with(118.0))
    told = {name: values.statistic(name, "Vab") for name in STATISTICS}
    assert told == {"min": 110.0, "mean": 340 / 3, "max": 118.0, "p95": pytest.approx(117.4)}
    assert values.captures == 2
    assert values.statistic("share_outside", "Vab", (111.0, 118.0)) == pytest.approx(1 / 3)
    assert values.statistic("max", "Q") == 1.0


def test_a_value_on_a_limit_is_inside():
    assert share_outside([1.0, 2.0, 3.0, 4.0], (2.0, 3.0)) == 0.5


def test_a_window_without_readings_has_no_statistic():
    assert [WindowValues().statistic(name, "F") for name in STATISTICS] == [None] * 4
    assert WindowValues().statistic("share_outside", "F", (59.0, 61.0)) is None


@pytest.mark.parametrize(("name", "measure"), [("median", "F"), ("mean", "Vxx"), ("share_outside", "F")])
def test_what_there_is_none_of_is_a_key_error(name: str, measure: str):
    with pytest.raises(KeyError):
        WindowValues().statistic(name, measure)


@given(VALUES)
def test_they_are_numpys(values: list[float]):
    assert mean(values) == pytest.approx(np.mean(values), rel=1e-9, abs=1e-6)
    assert p95(values) == pytest.approx(np.percentile(values, 95), rel=1e-9, abs=1e-6)
    assert (STATISTICS["min"](values), STATISTICS["max"](values)) == (np.min(values), np.max(values))


@given(VALUES, st.floats(-1e6, 1e6), st.floats(0, 1e6))
def test_the_share_outside_is_numpys(values: list[float], low: float, width: float):
    array, high = np.array(values), low + width
    assert share_outside(values, (low, high)) == pytest.approx(np.mean((array < low) | (array > high)))
