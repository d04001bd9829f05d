"""Where buses are drawn: the case's own positions, or a layout."""

from __future__ import annotations

import matplotlib as mpl
import numpy as np
import pytest

from gridledger.grid.bus_positions import bus_positions
from gridledger.grid.case import load_case
from gridledger.grid.grouping import grouping_of
from tests.support.case_files import case_file


def test_a_case_with_positions_keeps_them() -> None:
    case = load_case("case57")
    assert bus_positions(case) is case.coordinates


@pytest.mark.parametrize("name", ["case39", "case300", "case9241pegase"])
def test_a_case_without_positions_gets_a_layout(name: str) -> None:
    """By stress, by springs, by spectrum; neighbours lie nearer to each other than buses do on the average."""
    case = load_case(case_file(name))
    assert np.isnan(case.coordinates).all()
    positions = bus_positions(case)
    assert positions.shape == (len(case.numbers), 2)
    assert np.isfinite(positions).all()
    ends = positions[case.branches.f] - positions[case.branches.t]
    apart = positions - positions[::-1]
    assert np.median(np.hypot(*ends.T)) < 0.4 * np.median(np.hypot(*apart.T))
    assert np.abs(bus_positions(case) - positions).max() < 1e-6


def test_a_grid_without_positions_is_drawn() -> None:
    mpl.use("Agg")
    from matplotlib.figure import Figure  # noqa: PLC0415

    from services.feeder.grid_plot import draw_grid  # noqa: PLC0415

    case = load_case(case_file("case14"))
    axes = Figure().add_subplot()
    draw_grid(axes, case, grouping_of(case), dict.fromkeys(range(4, 15), 0.9), weak_bus=4)
    assert [text.get_text() for text in axes.texts][: len(case.numbers)] == [str(bus) for bus in case.numbers]
