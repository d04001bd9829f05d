"""The figure of docs/scale.md: throughput by the number of shards, on log axes."""

from __future__ import annotations

import math
import textwrap
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, NullFormatter, NullLocator

from benchmarks.model.sweep import ModelPoint, SweepLine, about, bend
from benchmarks.report.style import FAINT, MARKERS, SERIES, SOFT, STYLE, save

_TICKS = (*(2**power for power in range(10)), 1000)


def draw(path: Path, lines: Sequence[SweepLine], points: Sequence[ModelPoint], *, ends: int, note: str) -> None:
    """Write the figure as PNG. ``ends``: the largest number of shards of a line that ends early."""
    with mpl.rc_context(STYLE):
        figure = Figure(figsize=(10.4, 5.8))
        axes = figure.subplots()
        _frame(axes, points)
        figure.subplots_adjust(left=0.085, right=0.63, top=0.93, bottom=0.125)
        _ideal(axes, points)
        for line, colour, marker in zip(lines, SERIES, MARKERS, strict=False):
            mine = [point for point in points if point.line == line.key]
            _line(axes, line, mine, colour, marker, last=max(point.shards for point in points), ends=ends)
        figure.text(0.01, 0.01, note, color=SOFT, fontsize=7.5, ha="left", va="bottom")
        path.parent.mkdir(parents=True, exist_ok=True)
        save(figure, path)


def _ideal(axes: Axes, points: Sequence[ModelPoint]) -> None:
    first = max(point.tx_s for point in points if point.shards == 1)
    most = max(point.shards for point in points)
    axes.plot([1, most], [first, first * most], color=FAINT, linewidth=1, linestyle=(0, (4, 3)), zorder=1)
    middle = most**0.5
    axes.annotate(
        "in proportion",
        (middle, first * middle),
        xytext=(-4, 9),
        textcoords="offset points",
        rotation=_angle(axes, (1, first), (most, first * most)),
        rotation_mode="anchor",
        ha="center",
        color=SOFT,
        fontsize=8.5,
    )


def _angle(axes: Axes, begin: tuple[float, float], end: tuple[float, float]) -> float:
    """The angle of a line on the page, in degrees."""
    (x0, y0), (x1, y1) = axes.transData.transform([begin, end])
    return math.degrees(math.atan2(y1 - y0, x1 - x0))


def _line(
    axes: Axes, line: SweepLine, points: Sequence[ModelPoint], colour: str, marker: str, *, last: int, ends: int
) -> None:
    xs, ys = [point.shards for point in points], [point.tx_s for point in points]
    axes.plot(xs, ys, color=colour, marker=marker, markersize=4.5, linewidth=1.8, zorder=3)
    bent = bend(points)
    label, why = line.name, f"{about(points[-1].tx_s)} tx/s, in proportion"
    if bent is not None:
        axes.plot([bent.shards], [bent.tx_s], "o", markersize=13, mfc="none", mec=colour, mew=1.4, zorder=4)
        most = max(point.tx_s for point in points)
        why = f"at most {about(most)} tx/s: {bent.bound} are full"
        if points[-1].shards < last:
            why += f"; beyond {ends} shards heartbeats alone fill them"
    place: dict[str, Any] = {"textcoords": "offset points", "color": colour, "annotation_clip": False}
    box = {"facecolor": "white", "edgecolor": "none", "pad": 0.5}
    end = (xs[-1], ys[-1])
    axes.annotate(label, end, xytext=(12, 3), va="bottom", fontsize=9, fontweight="bold", **place)
    axes.annotate(textwrap.fill(why, 46), end, xytext=(12, 1), va="top", fontsize=8.5, bbox=box, **place)


def _frame(axes: Axes, points: Sequence[ModelPoint]) -> None:
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlim(0.9, 1.12 * max(point.shards for point in points))
    axes.set_ylim(0.7 * min(point.tx_s for point in points), 1.6 * max(point.tx_s for point in points))
    axes.set_xticks([shards for shards in sorted({point.shards for point in points}) if shards in _TICKS])
    axes.xaxis.set_minor_locator(NullLocator())
    axes.xaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:,.0f}"))
    axes.yaxis.set_minor_formatter(NullFormatter())
    axes.set_xlabel("shards, of two peers each")
    axes.set_title("VALID transactions per second, all shards together (modelled)")
