"""The figures of a run: voltages, indices by group, actions and what stands, latency; and two runs side by side."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Final

import numpy as np
from matplotlib.axes import Axes
from matplotlib.collections import LineCollection
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter, ScalarFormatter

from gridledger.errors import InputError
from services.feeder.results.run_folder import Array, RunFolder, split_by
from services.feeder.results.style import COLOURS, FAINT, line_style, new_figure

MAX_NAMED: Final = 8
"""Buses or groups that have a colour and a name of their own; the others stay grey."""

_MAX_LINES: Final = 300
"""Grey lines; of more buses their range is drawn."""
_MAX_POINTS: Final = 2000
"""Of a line: far more than a printed column resolves."""
_GRID_POINTS: Final = 600
_SHARES: Final = (0.50, 0.95, 0.99)


def draw_voltages(run: RunFolder, column: str) -> Figure:
    """Every bus's voltage; the weak buses and the sources of actions by name."""
    table = run.table("buses", ("at_s", "bus", "v_pu"))
    lines = {int(bus): (rows["at_s"], rows["v_pu"]) for bus, rows in split_by(table, "bus")}
    named = [bus for bus in named_buses(run) if bus in lines]
    figure = new_figure(column)
    axes = figure.add_subplot()
    _draw_rest(axes, {bus: line for bus, line in lines.items() if bus not in named})
    for rank, bus in enumerate(named):
        axes.plot(*stepped(*lines[bus]), **line_style(rank), label=f"bus {bus}")
    required = run.info["v_required"]
    axes.axhline(required, color="black", lw=0.6, ls=(0, (4, 2)), label=f"required {required:g}")
    _draw_actions(axes, run)
    axes.set_ylabel("Voltage magnitude (p.u.)")
    _finish(axes)
    return figure


def draw_indices(run: RunFolder, column: str) -> Figure:
    """The index of each group's weakest bus, and the threshold that it is judged by."""
    groups = list(weakest_by_group(run))
    if not groups:
        raise InputError(f"{run.path} has no index: no frame of a group with load buses was committed")
    groups.sort(key=lambda found: float(np.min(found[2] - found[3])))
    named, others = groups[:MAX_NAMED], groups[MAX_NAMED:]
    figure = new_figure(column)
    axes = figure.add_subplot()
    _draw_rest(axes, {group: (at_s, vsi) for group, at_s, vsi, _ in others})
    named.sort(key=lambda found: int(found[0]))
    for rank, (group, at_s, vsi, threshold) in enumerate(named):
        style = line_style(rank)
        axes.plot(*stepped(at_s, vsi), **style, label=f"group {group}")
        axes.plot(*stepped(at_s, threshold), color=style["color"], lw=0.6, ls=(0, (1, 2)))
    axes.plot([], [], color="black", lw=0.6, ls=(0, (1, 2)), label="threshold")
    _draw_actions(axes, run)
    axes.set_ylabel("VSI of the weakest bus")
    _finish(axes)
    return figure


def draw_actions(run: RunFolder, column: str) -> Figure:
    """Above what stands at each source over time, below the actions; merges shaded."""
    actions = run.table("actions", ("at_s", "source_bus", "q_mvar", "standing_mvar"))
    end_s = float(run.table("frames", ("at_s",))["at_s"].max(initial=0.0))
    figure = new_figure(column, height=0.9)
    above, below = figure.subplots(2, 1, sharex=True, height_ratios=(3, 2))
    for rank, (bus, rows) in enumerate(split_by(actions, "source_bus")):
        style = line_style(rank)
        at_s, standing = np.append(rows["at_s"], end_s), np.append(rows["standing_mvar"], rows["standing_mvar"][-1])
        label = f"bus {int(bus)}" if rank < MAX_NAMED else None
        above.plot(np.insert(at_s, 0, 0.0), np.insert(standing, 0, 0.0), **style, drawstyle="steps-post", label=label)
        below.vlines(rows["at_s"], 0.0, rows["q_mvar"], colors=style["color"], lw=1.2)
        below.plot(rows["at_s"], rows["q_mvar"], ls="none", marker="o", ms=2.5, color=style["color"])
    for begin_s, until_s in merge_spans(run, end_s):
        for axes in (above, below):
            axes.axvspan(begin_s, until_s, color="#efefef", lw=0, zorder=0)
    below.axhline(0.0, color="black", lw=0.4)
    above.set_ylabel("Standing (MVAr)")
    below.set_ylabel("Action (MVAr)")
    if len(actions["at_s"]):
        above.legend(loc="upper left", ncols=2)
    else:
        above.text(0.5, 0.5, "no action", transform=above.transAxes, ha="center")
    above.tick_params(labelbottom=False)
    _time_axis(below, end_s)
    return figure


def draw_latency(run: RunFolder, column: str) -> Figure:
    """The share of committed frames whose commit came within a time."""
    table = run.table("frames", ("latency_ms", "fault", "tx_id"))
    committed = np.sort(table["latency_ms"][table["tx_id"] != ""])
    if not len(committed):
        raise InputError(f"{run.path} has no latency: no frame was committed")
    figure = new_figure(column)
    axes = figure.add_subplot()
    shown = committed[np.unique(np.linspace(0, len(committed) - 1, _MAX_POINTS).astype(int))]
    axes.plot(shown, np.linspace(1.0 / len(shown), 1.0, len(shown)), color=COLOURS[0], drawstyle="steps-post")
    for rank, share in enumerate(_SHARES):
        value = float(committed[min(len(committed) - 1, int(share * len(committed)))])
        style = line_style(rank + 1)
        axes.axvline(value, lw=0.8, **style, label=f"p{100 * share:.0f} = {value:.1f} ms")
    axes.set_xscale("log")
    axes.xaxis.set_major_formatter(ScalarFormatter())
    axes.xaxis.set_minor_formatter(LogFormatter(labelOnlyBase=False, minor_thresholds=(2.0, 0.4)))
    axes.set_xlabel("From the intended time to the durable commit (ms)")
    axes.set_ylabel("Share of frames")
    axes.set_ylim(0.0, 1.02)
    axes.legend(loc="lower right")
    return figure


FIGURES: Final = {
    "voltages": draw_voltages,
    "indices": draw_indices,
    "actions": draw_actions,
    "latency": draw_latency,
}


def draw_comparison(run: RunFolder, other: RunFolder, column: str) -> Figure:
    """Voltage and index of the weak bus in both runs: with control and without, say."""
    if run.info["case"] != other.info["case"]:
        raise InputError(f"{run.path} and {other.path} are of different cases and cannot be compared")
    names = {"run": _control_of(run), "other": _control_of(other)}
    if names["run"] == names["other"]:
        names = {"run": run.path.name, "other": other.path.name}
    bus = (named_buses(run) or named_buses(other))[0]
    figure = new_figure(column, height=0.95)
    above, below = figure.subplots(2, 1, sharex=True)
    for rank, (key, which) in enumerate((("run", run), ("other", other))):
        table = which.table("buses", ("at_s", "bus", "v_pu", "vsi", "threshold"))
        rows = {name: values[table["bus"] == bus] for name, values in table.items()}
        style = {"color": COLOURS[rank], "linestyle": "-" if rank == 0 else (0, (5, 1.5)), "label": names[key]}
        above.plot(*stepped(rows["at_s"], rows["v_pu"]), **style)
        known = ~np.isnan(rows["vsi"])
        below.plot(*stepped(rows["at_s"][known], rows["vsi"][known]), **style)
        if rank == 0:
            below.plot(*stepped(rows["at_s"], rows["threshold"]), color="black", lw=0.6, ls=(0, (1, 2)))
    above.axhline(run.info["v_required"], color="black", lw=0.6, ls=(0, (4, 2)))
    above.set_ylabel(f"Voltage of bus {bus} (p.u.)")
    below.set_ylabel(f"VSI of bus {bus}")
    above.legend(loc="best")
    above.tick_params(labelbottom=False)
    _time_axis(below, None)
    return figure


def named_buses(run: RunFolder) -> list[int]:
    """The buses to show by name: the weak ones of alarms, then sources; without an alarm the one nearest to it."""
    frames = run.table("frames", ("weak_bus", "vsi", "threshold"))
    known = ~np.isnan(frames["vsi"])
    weak, margin = frames["weak_bus"][known], (frames["vsi"] - frames["threshold"])[known]
    alarms = dict.fromkeys(int(bus) for bus in weak[margin < 0.0])
    sources = dict.fromkeys(int(bus) for bus in run.table("actions", ("source_bus",))["source_bus"])
    found = list(alarms | sources) or [int(bus) for bus in weak[margin == margin.min(initial=np.inf)][:1]]
    return found[:MAX_NAMED]


def weakest_by_group(run: RunFolder) -> Iterable[tuple[str, Array, Array, Array]]:
    """For each single group: times, index of the load bus with the smallest margin, its threshold."""
    table = run.table("buses", ("at_s", "home", "vsi", "threshold"))
    known = ~np.isnan(table["vsi"])
    for group, rows in split_by({name: values[known] for name, values in table.items()}, "home"):
        # By margin within each frame, so that the first row of each time is the weakest.
        order = np.lexsort((rows["vsi"] - rows["threshold"], rows["time_us"]))
        _, first = np.unique(rows["time_us"][order], return_index=True)
        at = order[first]
        yield str(group), rows["at_s"][at], rows["vsi"][at], rows["threshold"][at]


def merge_spans(run: RunFolder, end_s: float) -> list[tuple[float, float]]:
    """From when until when a merge stood."""
    merges = run.table("merges", ("at_s", "what", "merge"))
    spans = []
    for _, rows in split_by(merges, "merge"):
        returned = rows["at_s"][rows["what"] == "returned"]
        spans.append((float(rows["at_s"][0]), float(returned[0]) if len(returned) else end_s))
    return spans


def stepped(at_s: Array, values: Array) -> tuple[Array, Array]:
    """The points of a line that holds each value until the next: those where it changes, and no more than are seen."""
    if len(values) < 2:  # noqa: PLR2004 -- a point is a line
        return at_s, values
    changed = np.flatnonzero(values[1:] != values[:-1]) + 1
    if len(changed) > _MAX_POINTS:
        changed = _extremes(values, changed)
    x = np.concatenate((at_s[:1], np.repeat(at_s[changed], 2), at_s[-1:]))
    before = np.concatenate((values[:1], values[changed]))
    return x, np.repeat(before, 2)


def _extremes(values: Array, points: Array) -> Array:
    """The lowest and the highest of each stretch of points, so that no excursion is lost."""
    kept = []
    for stretch in np.array_split(points, _MAX_POINTS // 2):
        kept += [stretch[np.argmin(values[stretch])], stretch[np.argmax(values[stretch])]]
    return np.unique(kept)


def _draw_rest(axes: Axes, lines: dict[Any, tuple[Array, Array]]) -> None:
    """What has no name: grey lines; where they are too many the range of all."""
    if not lines:
        return
    if len(lines) <= _MAX_LINES:
        shown = [np.column_stack(stepped(*line)) for line in lines.values()]
        axes.add_collection(LineCollection(shown, colors=FAINT, linewidths=0.4, zorder=1))
        axes.autoscale_view()
        return
    begin, end = min(float(x[0]) for x, _ in lines.values()), max(float(x[-1]) for x, _ in lines.values())
    grid = np.linspace(begin, end, _GRID_POINTS)
    held = np.array([y[np.clip(np.searchsorted(x, grid, side="right") - 1, 0, None)] for x, y in lines.values()])
    axes.fill_between(grid, held.min(axis=0), held.max(axis=0), color="#e9ecee", lw=0, label="range of all")
    low, high = np.quantile(held, (0.05, 0.95), axis=0)
    axes.fill_between(grid, low, high, color=FAINT, lw=0, label="5 to 95 %")


def _draw_actions(axes: Axes, run: RunFolder) -> None:
    for at_s in run.table("actions", ("at_s",))["at_s"]:
        axes.axvline(float(at_s), color="#7f7f7f", lw=0.5, ls=(0, (1, 1)), zorder=0)


def _control_of(run: RunFolder) -> str:
    return "with control" if run.info.get("actions") else "without control"


def _finish(axes: Axes) -> None:
    axes.margins(x=0.01)
    axes.legend(loc="best", ncols=2)
    axes.set_xlabel("Time (s)")


def _time_axis(axes: Axes, end_s: float | None) -> None:
    if end_s is not None:
        axes.set_xlim(0.0, max(end_s, 1e-6))
    axes.set_xlabel("Time (s)")
