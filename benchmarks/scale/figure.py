"""The figure of docs/scale.md: throughput by the number of shards, both logarithmic."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter

from benchmarks.scale.sweep import Point, Scenario

# Okabe and Ito's colours, which those tell apart too who see red and green alike.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
_MARKERS = ("s", "o", "^", "D")
_GREY = "#777777"


def draw(path: Path, lines: Sequence[Scenario], points: Sequence[Point], note: str) -> None:
    """Write the figure as PNG."""
    with plt.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(figsize=(9.6, 5.8), dpi=150)
        _ideal(axes, points)
        for scenario, colour, marker in zip(lines, _COLOURS, _MARKERS, strict=True):
            _line(axes, scenario, [point for point in points if point.scenario == scenario.key], colour, marker)
        _frame(axes)
        figure.text(0.01, 0.01, note, color=_GREY, fontsize=7.5, ha="left", va="bottom")
        figure.tight_layout(rect=(0, 0.03, 1, 1))
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)


def _ideal(axes: Axes, points: Sequence[Point]) -> None:
    first = max(point.tx_s for point in points if point.shards == 1)
    most = max(point.shards for point in points)
    axes.plot([1, most], [first, first * most], color="#BBBBBB", linewidth=1, linestyle=(0, (4, 3)), zorder=1)


def _line(axes: Axes, scenario: Scenario, points: Sequence[Point], colour: str, marker: str) -> None:
    xs, ys = [point.shards for point in points], [point.tx_s for point in points]
    axes.plot(xs, ys, color=colour, marker=marker, markersize=4.5, linewidth=1.8, zorder=3)
    axes.annotate(
        scenario.name,
        (xs[-1], ys[-1]),
        xytext=(8, 0),
        textcoords="offset points",
        color=colour,
        va="center",
        fontsize=9,
    )


def _frame(axes: Axes) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(0.9, 1100)
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#E6E6E6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("shards, of two peers each")
    axes.set_title("VALID transactions per second, all shards together (modelled)", loc="left", fontsize=11)
