"""The figure of docs/scale.md: throughput by the number of shards, both logarithmic."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path

import matplotlib as mpl

mpl.use("Agg")

from matplotlib import pyplot as plt
from matplotlib.axes import Axes
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from benchmarks.model.sweep import Point, Scenario, about, bend

# Okabe and Ito's colours, which those tell apart too who see red and green alike.
_COLOURS = ("#D55E00", "#0072B2", "#009E73", "#CC79A7")
_MARKERS = ("s", "o", "^", "D")
_GREY = "#777777"
_TICKS = (*(2**power for power in range(10)), 1000)


def draw(path: Path, lines: Sequence[Scenario], points: Sequence[Point], *, ends: int, note: str) -> None:
    """Write the figure as PNG. ``ends``: the number of shards at which a line ends that does so early."""
    with plt.rc_context({"font.size": 10, "axes.spines.top": False, "axes.spines.right": False}):
        figure, axes = plt.subplots(figsize=(10.4, 5.8), dpi=150)
        _frame(axes, points)
        figure.subplots_adjust(left=0.085, right=0.63, top=0.93, bottom=0.125)
        _ideal(axes, points)
        for scenario, colour, marker in zip(lines, _COLOURS, _MARKERS, strict=True):
            mine = [point for point in points if point.scenario == scenario.key]
            _line(axes, scenario, mine, colour, marker, last=max(point.shards for point in points), ends=ends)
        figure.text(0.01, 0.01, note, color=_GREY, fontsize=7.5, ha="left", va="bottom")
        path.parent.mkdir(parents=True, exist_ok=True)
        figure.savefig(path)
        plt.close(figure)


def _ideal(axes: Axes, points: Sequence[Point]) -> None:
    first = max(point.tx_s for point in points if point.shards == 1)
    most = max(point.shards for point in points)
    axes.plot([1, most], [first, first * most], color="#BBBBBB", linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    middle = most**0.5
    # Along the line, whatever the figure's shape.
    axes.annotate(
        "in proportion",
        (middle, first * middle),
        xytext=(-4, 9),
        textcoords="offset points",
        rotation=_angle(axes, (1, first), (most, first * most)),
        rotation_mode="anchor",
        ha="center",
        color=_GREY,
        fontsize=8.5,
    )


def _angle(axes: Axes, begin: tuple[float, float], end: tuple[float, float]) -> float:
    (x0, y0), (x1, y1) = axes.transData.transform([begin, end])
    return math.degrees(math.atan2(y1 - y0, x1 - x0))


def _line(
    axes: Axes, scenario: Scenario, points: Sequence[Point], colour: str, marker: str, *, last: int, ends: int
) -> None:
    xs, ys = [point.shards for point in points], [point.tx_s for point in points]
    axes.plot(xs, ys, color=colour, marker=marker, markersize=4.5, linewidth=1.8, zorder=3)
    bent = bend(points)
    label, why = scenario.name, f"{about(points[-1].tx_s)} tx/s, in proportion"
    if bent is not None:
        axes.plot([bent.shards], [bent.tx_s], "o", markersize=13, mfc="none", mec=colour, mew=1.4, zorder=4)
        most = max(point.tx_s for point in points)
        why = f"at most {about(most)} tx/s: {bent.bound} are full"
        if points[-1].shards < last:
            why += f"; beyond {ends} shards heartbeats alone fill them"
    axes.annotate(
        label,
        (xs[-1], ys[-1]),
        xytext=(12, 3),
        textcoords="offset points",
        color=colour,
        va="bottom",
        fontsize=9,
        fontweight="bold",
        annotation_clip=False,
    )
    axes.annotate(
        textwrap.fill(why, 46),
        (xs[-1], ys[-1]),
        xytext=(12, 1),
        textcoords="offset points",
        color=colour,
        va="top",
        fontsize=8.5,
        annotation_clip=False,
        bbox={"facecolor": "white", "edgecolor": "none", "pad": 0.5},
    )


def _frame(axes: Axes, points: Sequence[Point]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(0.9, 1.12 * max(point.shards for point in points))
    axes.set_ylim(0.7 * min(point.tx_s for point in points), 1.6 * max(point.tx_s for point in points))
    axes.set_xticks([shards for shards in sorted({point.shards for point in points}) if shards in _TICKS])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.grid(color="#E6E6E6", linewidth=0.7)
    axes.set_axisbelow(True)
    axes.set_xlabel("shards, of two peers each")
    axes.set_title("VALID transactions per second, all shards together (modelled)", loc="left", fontsize=11)
