"""The report's pictures: throughput and latency of all loads, and each load second by second."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.ticker import MaxNLocator

from benchmarks.measure.results import BenchmarkReport, Load
from benchmarks.report.style import FAINT, INK, SERIES, SOFT, STYLE, colour_and_marker, label_log_axis, panel, save
from benchmarks.report.wording import milliseconds, number, offer_of

_VALID, _REFUSED, _P50, _P99 = SERIES[0], SERIES[1], SERIES[2], SERIES[3]
_MAX_TICKS = 4


def write_pictures(report: BenchmarkReport, folder: Path) -> None:
    """Write throughput.png, latency.png, load-1.png and so on; load-N.png of an earlier report are removed."""
    for old in folder.glob("load-*.png"):
        old.unlink()
    with mpl.rc_context(STYLE):
        if report.loads:
            save(throughput(report.loads), folder / "throughput.png")
            save(latency(report.loads), folder / "latency.png")
        for index, load in enumerate(report.loads, 1):
            if load.seconds:
                save(timeline(load), folder / f"load-{index}.png")


def throughput(loads: list[Load]) -> Figure:
    """A bar for each load; those of saturating loads are labelled with their share of the floor."""
    figure, axes, places = _bars(loads)
    colours = _colours(loads)
    axes.barh(places, [load.tx_s for load in loads], color=colours, height=0.68)
    for place, load in zip(places, loads, strict=True):
        saturating = load.offered_tx_s is None and load.floor_share is not None
        part = f" · {load.floor_share:.0%} of the floor" if saturating else ""
        _label(axes, load.tx_s, place, f"{number(load.tx_s)}{part}")
    axes.set_xlabel("VALID transactions per second")
    axes.set_title("Throughput")
    axes.set_xlim(0, max([load.tx_s for load in loads] + [1]) * 1.5)
    return figure


def latency(loads: list[Load]) -> Figure:
    """For each load a bar from p50 to p99 on a log axis, and a fine line to the maximum."""
    figure, axes, places = _bars(loads)
    worst = 1.0
    for place, load, colour in zip(places, loads, _colours(loads), strict=True):
        times = load.latency
        if times is None:
            continue
        axes.plot([times.p99_ms, times.max_ms], [place, place], color=FAINT, lw=1.2, zorder=2)
        axes.plot([times.p50_ms, times.p99_ms], [place, place], color=colour, lw=5, solid_capstyle="butt", zorder=3)
        axes.plot([times.p50_ms], [place], "o", color=colour, ms=7, zorder=4)
        axes.plot([times.max_ms], [place], "|", color=SOFT, ms=8, zorder=4)
        _label(axes, times.max_ms, place, f"{milliseconds(times.p50_ms)} · {milliseconds(times.p99_ms)}")
        worst = max(worst, times.max_ms)
    axes.set_xscale("log")
    least = min((load.latency.p50_ms for load in loads if load.latency), default=1.0)
    axes.set_xlim(least / 1.6, worst * 6)
    label_log_axis(axes.xaxis)
    axes.set_xlabel("ms, log axis: p50 (dot) to p99 (bar) to the maximum (line)")
    axes.set_title("Latency")
    return figure


def timeline(load: Load) -> Figure:
    """Above: transactions sent, VALID and refused in each second. Below: p50 and p99 of each second."""
    figure = Figure(figsize=(7.6, 3.9), layout="constrained")
    above, below = figure.subplots(2, 1, sharex=True)
    at = [second.at_s for second in load.seconds]
    above.plot(at, [second.sent for second in load.seconds], color=FAINT, lw=1.4, ls=(0, (4, 2)), label="sent")
    above.plot(at, [second.valid for second in load.seconds], color=_VALID, lw=1.8, label="VALID")
    if any(second.refused for second in load.seconds):
        above.plot(at, [second.refused for second in load.seconds], color=_REFUSED, lw=1.4, label="refused")
    above.set_ylim(bottom=0)
    above.set_ylabel("tx/s")
    for name, colour, values in (
        ("p50", _P50, [second.p50_ms for second in load.seconds]),
        ("p99", _P99, [second.p99_ms for second in load.seconds]),
    ):
        below.plot(at, [float("nan") if value is None else value for value in values], color=colour, lw=1.6, label=name)
    below.set_ylim(bottom=0)
    below.set_ylabel("latency, ms")
    below.set_xlabel("seconds")
    below.xaxis.set_major_locator(MaxNLocator(integer=True))
    for axes in (above, below):
        axes.yaxis.set_major_locator(MaxNLocator(_MAX_TICKS))
        axes.legend(loc="upper left", bbox_to_anchor=(1.0, 1.03), fontsize=9, handlelength=1.6)
        if len(at) == 1:
            for line in axes.lines:
                line.set_marker("o")
    return figure


def _bars(loads: list[Load]) -> tuple[Figure, Axes, list[int]]:
    """A picture with a row for each load, under a row that names its topology; and the places of the loads' rows."""
    places: list[int] = []
    heads: dict[int, str] = {}
    for index, load in enumerate(loads):
        if index == 0 or loads[index - 1].topology != load.topology:
            heads[index + len(heads)] = load.topology
        places.append(index + len(heads))
    figure, axes = panel(5.9, 1.1 + 0.27 * (len(loads) + len(heads)))
    axes.set_yticks(places, [f"{_short(load.workload)}, {_short(offer_of(load).split(',')[0])}" for load in loads])
    for place, name in heads.items():
        at = axes.get_yaxis_transform()
        axes.text(-0.02, place + 0.12, _short(name), transform=at, ha="right", va="center", fontweight="bold")
    axes.set_ylim(places[-1] + 0.6, -0.6)
    axes.grid(visible=False, axis="y")
    axes.tick_params(axis="y", length=0)
    axes.spines["left"].set_visible(False)
    return figure, axes, places


def _short(text: str, most: int = 24) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"


def _colours(loads: list[Load]) -> list[str]:
    names = list(dict.fromkeys(load.topology for load in loads))
    return [colour_and_marker(load.topology, names)[0] for load in loads]


def _label(axes: Axes, x: float, y: float, text: str) -> None:
    place: dict[str, Any] = {"textcoords": "offset points", "xytext": (6, 0), "va": "center"}
    axes.annotate(text, (x, y), color=INK, fontsize=8.5, **place)
