"""The figures of ``feeder thresholds``: voltages and indices over the load factor."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridledger.grid.continuation import CurvePoint
from gridledger.grid.loading_margin import GroupIndices, LoadingMargin
from services.feeder.results.style import FAINT, journal_style, line_style, new_figure, save

_MOST_NAMED = 6
_MOST_POINTS = 40
"""Of the upper branch, in the figure of the indices: each costs the impedances of every group."""


def draw(margin: LoadingMargin, found: Mapping[str, GroupIndices], folder: Path) -> list[Path]:
    """Write pv and vsi as PNG, SVG and PDF; their paths."""
    with journal_style():
        return [*save(_voltages(margin), folder, "pv"), *save(_indices(margin, found), folder, "vsi")]


def _voltages(margin: LoadingMargin) -> Figure:
    """Both branches of the buses whose voltage falls most."""
    points = margin.curve.points
    factors = [1.0 + point.loading for point in points]
    vm = np.asarray([margin.voltages(point) for point in points])
    falls = np.argsort(vm[margin.curve.nose] - vm[0], kind="stable")[:_MOST_NAMED]
    figure = new_figure("single")
    axes = figure.add_subplot()
    for rank, index in enumerate(falls.tolist()):
        axes.plot(factors, vm[:, index], **line_style(rank), label=f"bus {margin.case.numbers[index]}")
    _mark(axes, margin)
    axes.set_ylabel("Voltage magnitude (p.u.)")
    axes.legend(loc="lower left")
    return figure


def _indices(margin: LoadingMargin, found: Mapping[str, GroupIndices]) -> Figure:
    """The smallest index of each group up to the nose, and the thresholds of those that are weakest there."""
    points = _some(margin.curve.points[: margin.curve.nose + 1])
    factors = [1.0 + point.loading for point in points]
    smallest = [
        {group: min(values.values()) for group, values in margin.indices(point).items() if values} for point in points
    ]
    weakest = sorted(found, key=lambda group: (found[group].nose, int(group)))[:_MOST_NAMED]
    figure = new_figure("single")
    axes = figure.add_subplot()
    for group in found:
        if group not in weakest:
            axes.plot(factors, [row[group] for row in smallest], color=FAINT, lw=0.6)
    for rank, group in enumerate(sorted(weakest, key=int)):
        style = line_style(rank)
        axes.plot(factors, [row[group] for row in smallest], **style, label=f"group {group}")
        axes.axhline(found[group].threshold, color=style["color"], lw=0.6, ls=(0, (1, 2)))
    axes.plot([], [], color="black", lw=0.6, ls=(0, (1, 2)), label="threshold")
    _mark(axes, margin)
    axes.set_ylabel("VSI of the weakest bus")
    axes.legend(loc="lower left")
    return figure


def _mark(axes: Axes, margin: LoadingMargin) -> None:
    """The load factors of the margin and of the nose."""
    for factor, dashes in ((margin.margin_factor, (0, (4, 2))), (margin.largest_factor, (0, (1, 1)))):
        axes.axvline(factor, color="black", lw=0.6, ls=dashes)
    axes.set_xlabel("Load factor")


def _some(points: Sequence[CurvePoint]) -> list[CurvePoint]:
    """At most _MOST_POINTS of them, the first and the last among them."""
    count = min(len(points), _MOST_POINTS)
    return [points[n] for n in np.unique(np.linspace(0, len(points) - 1, count).astype(int)).tolist()]
