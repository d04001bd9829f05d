"""Plots of a run: voltage and VSI over time with what was done, the grid at the alarm and at the end."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

import matplotlib.pyplot as plt
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from services.feeder.grid_plot import FAINT, INK, colour_scale, draw_grid
from services.feeder.scenario_run import ScenarioRun

WEAK, SOURCE, LOAD = "#b3152d", "#1a7f37", "#7a5195"
_STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#e6eaed",
    "figure.facecolor": "white",
}
_MARK_COLOURS = {
    **dict.fromkeys(("load", "outage", "restored", "resources"), LOAD),
    "merged": "#b86e00",
    "extended": "#b86e00",
    "returned": "#b86e00",
    "stale": FAINT,
}
_MARK_NAMES = {"load": "load rises", "merged": "merged {}", "extended": "merged {}", "returned": "{} given back"}


def draw_all(folder: Path, runs: Sequence[ScenarioRun]) -> list[Path]:
    """One picture for each run, PROFILE-NAME.png; their paths."""
    files = []
    with mpl.rc_context(_STYLE):
        for run in runs:
            path = folder / f"{run.planner.profile}-{run.scenario.name}.png"
            draw_run(run, path)
            files.append(path)
    return files


def draw_run(run: ScenarioRun, path: Path) -> None:
    """Time lines on the left, the grid at the alarm and at the end on the right."""
    figure = plt.figure(figsize=(14.0, 8.6))
    # Fixed places: a layout engine takes longer than all the rest.
    voltage = figure.add_axes((0.05, 0.53, 0.48, 0.385))
    index = figure.add_axes((0.05, 0.07, 0.48, 0.385), sharex=voltage)
    _draw_voltages(voltage, run)
    _draw_indices(index, run)
    for axes in (voltage, index):
        _draw_marks(axes, run, labelled=axes is voltage)
    _draw_grids(figure, run)
    bar = figure.colorbar(colour_scale(), cax=figure.add_axes((0.945, 0.2, 0.011, 0.55)))
    bar.set_label("voltage stability index (0 = at the limit, 1 = no load)")
    title = f"Scenario {run.scenario.name}, profile {run.planner.profile}: {run.scenario.title}"
    figure.suptitle(title, fontsize=13, fontweight="bold", color=INK, x=0.012, ha="left")
    figure.savefig(path, dpi=100)
    plt.close(figure)


def _draw_grids(figure: Figure, run: ScenarioRun) -> None:
    case, grouping = run.planner.case, run.planner.grouping
    if not run.injections:
        axes = figure.add_axes((0.55, 0.07, 0.39, 0.845))
        axes.set_title("The grid")
        draw_grid(axes, case, grouping, run.before.vsi, weak_bus=run.weak_bus)
        return
    sums: dict[int, float] = {}
    for injection in run.injections:
        sums[injection.bus] = sums.get(injection.bus, 0.0) + injection.q_mvar
    above = figure.add_axes((0.55, 0.49, 0.39, 0.425))
    above.set_title("The grid at the alarm")
    draw_grid(above, case, grouping, run.before.vsi, weak_bus=run.weak_bus)
    below = figure.add_axes((0.55, 0.02, 0.39, 0.425))
    below.set_title("The grid at the end")
    weak = None if run.weak_bus in sums else run.weak_bus
    draw_grid(below, case, grouping, run.after.vsi, weak_bus=weak, injected=sums)


def _draw_voltages(axes: Axes, run: ScenarioRun) -> None:
    case = run.planner.case
    times = [moment.at_s for moment in run.moments]
    sources = sorted({injection.bus for injection in run.injections} - {run.weak_bus})
    for number, position in case.position.items():
        if number != run.weak_bus and number not in sources:
            values = [moment.vm[position] for moment in run.moments]
            axes.plot(times, values, color="#d3dadf", lw=0.8, drawstyle="steps-post", zorder=1)
    for bus, colour, name in ((run.weak_bus, WEAK, "weak bus"), *((bus, SOURCE, "source, bus") for bus in sources)):
        values = [moment.vm[case.position[bus]] for moment in run.moments]
        axes.plot(times, values, color=colour, lw=2.2, drawstyle="steps-post", marker=".", label=f"{name} {bus}")
    axes.axhline(run.planner.v_required, color=INK, lw=1.0, ls=(0, (5, 3)), label=f"required, {run.planner.v_required}")
    axes.set_title("Voltage of every bus")
    axes.set_ylabel("p.u.")
    _finish(axes)


def _draw_indices(axes: Axes, run: ScenarioRun) -> None:
    times = [moment.at_s for moment in run.moments]
    home = next(group for group, members in run.planner.grouping.items() if run.weak_bus in members)
    for bus in sorted(run.before.vsi):
        values = [moment.vsi.get(bus, float("nan")) for moment in run.moments]
        colour = "#9fb0bd" if bus in run.planner.grouping[home] else "#e1e6e9"
        if bus != run.weak_bus:
            axes.plot(times, values, color=colour, lw=0.8, drawstyle="steps-post", zorder=1)
    values = [moment.vsi.get(run.weak_bus, float("nan")) for moment in run.moments]
    label = f"weak bus {run.weak_bus}"
    axes.plot(times, values, color=WEAK, lw=2.2, drawstyle="steps-post", marker=".", zorder=4, label=label)
    label = f"group {home}: alarm below {run.threshold:g}"
    axes.axhline(run.threshold, color=INK, lw=1.0, ls=(0, (5, 3)), label=label)
    axes.axhspan(0.0, run.threshold, color="#fbeceb", zorder=0)
    lowest = min(min(moment.vsi.values(), default=1.0) for moment in run.moments)
    axes.set_ylim(min(lowest, run.threshold) - 0.03, 1.01)
    axes.set_title("Voltage stability index of every load bus, as the ledger computed it")
    axes.set_xlabel("seconds since the scenario began")
    _finish(axes)


def _draw_marks(axes: Axes, run: ScenarioRun, *, labelled: bool) -> None:
    """Vertical lines for what happened; labelled on the upper panel, each a little lower than the one before."""
    events = [
        (m.at_s, _MARK_COLOURS[m.kind], _MARK_NAMES.get(m.kind, "{}").format(m.text))
        for m in run.marks
        if m.kind != "stale"
    ]
    events += [(i.at_s, SOURCE, f"{i.q_mvar:.1f} MVAr at bus {i.bus}") for i in run.injections]
    bottom, top = axes.get_ylim()
    if labelled:
        axes.set_ylim(bottom, top + 0.16 * (top - bottom))
        bottom, top = axes.get_ylim()
    for rank, (at_s, colour, text) in enumerate(sorted(events)):
        axes.axvline(at_s, color=colour, lw=1.3, ls=":", zorder=2)
        if labelled:
            place = top - (0.02 + 0.055 * (rank % 5)) * (top - bottom)
            axes.annotate(
                text,
                (at_s, place),
                xytext=(4, 0),
                textcoords="offset points",
                fontsize=8.5,
                color=colour,
                bbox={"boxstyle": "round,pad=0.1", "facecolor": "white", "edgecolor": "none", "alpha": 0.8},
                va="top",
                zorder=5,
            )


def _finish(axes: Axes) -> None:
    axes.grid(visible=True, axis="y")
    axes.set_axisbelow(True)
    axes.margins(x=0.01)
    axes.legend(loc="lower right", frameon=True, framealpha=0.9, edgecolor="none", fontsize=8.5)
