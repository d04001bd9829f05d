"""The panels of a figure: throughput and mean latency over what a sweep varies, ours solid, the thesis's dashed."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.lines import Line2D

from benchmarks.figures.point_store import MeasuredPoint
from benchmarks.figures.sweeps import NAMES, Point, Sweep
from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.report.style import SOFT, colour_and_marker, label_log_axis

COMPLETE = 0.99
"""Below this share of VALID transactions a point is drawn hollow."""
_LEAST_S = 0.005
_LABELS = {"rate": "send rate (tx/s)", "transactions": "number of transactions", "workers": "number of workers"}

Results = Mapping[Point, MeasuredPoint]
Value = Callable[[MeasuredPoint], float | None]


def two_panels(sweep: Sweep, results: Results) -> Figure:
    """Throughput beside latency, with one legend and the curves' sources below."""
    figure = Figure(figsize=(10.4, 5.2))
    left, right = figure.subplots(1, 2)
    figure.subplots_adjust(left=0.062, right=0.988, top=0.86, bottom=0.25, wspace=0.19)
    _draw_throughput(left, sweep, results)
    _draw_latency(right, sweep, results)
    figure.text(0.01, 0.955, sweep.title, fontsize=12.5, fontweight="bold")
    shown = _legend()
    figure.legend(handles=shown, loc="center", bbox_to_anchor=(0.5, 0.125), ncols=len(shown), fontsize=9)
    figure.text(0.01, 0.02, caption(sweep, results), fontsize=8, color=SOFT, linespacing=1.5)
    return figure


def caption(sweep: Sweep, results: Results) -> str:
    """The sources of the curves."""
    bases = dict.fromkeys((measured.basis.processor, measured.basis.cores) for measured in results.values())
    commits = ", ".join(dict.fromkeys(measured.basis.commit for measured in results.values()))
    machines = "; ".join(f"{processor}, {cores} cores" for processor, cores in bases)
    ours = f"Solid: {machines}, commit {commits}." if bases else "Nothing measured yet."
    if any(measured.transactions < measured.asked for measured in results.values()):
        ours += " Points that would have taken too long have fewer transactions than in the thesis."
    return f"{ours}\nDashed: read off the thesis's plots; Fabric 2.3.3 on 8 cores, {sweep.curves.fixed}."


def one_panel(sweep: Sweep, results: Results, quantity: str) -> Figure:
    """The panel of ``throughput`` or of ``latency`` alone."""
    figure = Figure(figsize=(5.6, 4.1), layout="constrained")
    draw = {"throughput": _draw_throughput, "latency": _draw_latency}[quantity]
    draw(figure.subplots(), sweep, results)
    return figure


def _draw_throughput(axes: Axes, sweep: Sweep, results: Results) -> None:
    """VALID transactions per second, from 0 on."""
    _draw_thesis(axes, sweep, sweep.curves.tps)
    _draw_ours(axes, sweep, results, lambda measured: measured.load.tx_s if measured.load else None)
    if sweep.varies == "rate":
        most = axes.get_xlim()[1]
        axes.axline((0, 0), slope=1, color=SOFT, lw=0.7, ls=(0, (1, 3)), zorder=1)
        axes.set_xlim(0, most)
    highest = max(max(values) for values in sweep.curves.tps.values())
    mine = [measured.load.tx_s for point, measured in results.items() if point.sweep == sweep.name and measured.load]
    axes.set_ylim(0, 1.08 * max([highest, *mine]))
    axes.set_ylabel("tx/s")
    axes.set_title("Throughput")
    axes.set_xlabel(_LABELS[sweep.varies])


def _draw_latency(axes: Axes, sweep: Sweep, results: Results) -> None:
    """Mean latency in seconds, on a log axis as it spans more than two decades."""
    _draw_thesis(axes, sweep, sweep.curves.latency_s)
    _draw_ours(axes, sweep, results, _mean_s)
    axes.set_yscale("log")
    axes.set_ylim(bottom=min(_LEAST_S, axes.get_ylim()[0]))
    label_log_axis(axes.yaxis)
    if sweep.varies == "rate":
        axes.set_xlim(left=0)
    axes.set_ylabel("s, log axis")
    axes.set_title("Average latency")
    axes.set_xlabel(_LABELS[sweep.varies])


def _mean_s(measured: MeasuredPoint) -> float | None:
    return measured.load.latency.mean_ms / 1000 if measured.load and measured.load.latency else None


def _draw_thesis(axes: Axes, sweep: Sweep, curves: Mapping[str, Sequence[float]]) -> None:
    for topology in TOPOLOGIES:
        colour, _ = colour_and_marker(topology)
        values = curves[topology.replace("-", "_")]
        axes.plot(sweep.curves.x, values, color=colour, lw=1.1, ls=(0, (4, 2.5)), alpha=0.75, zorder=2)


def _draw_ours(axes: Axes, sweep: Sweep, results: Results, value_of: Value) -> None:
    for topology in TOPOLOGIES:
        mine = {p.x: m for p, m in results.items() if (p.sweep, p.topology) == (sweep.name, topology)}
        values = [(x, value_of(mine[x]), mine[x]) for x in sorted(mine)]
        colour, marker = colour_and_marker(topology)
        # A point that failed leaves a gap.
        line = [float("nan") if value is None else value for _, value, _ in values]
        axes.plot([x for x, _, _ in values], line, color=colour, lw=2.0, zorder=3)
        for x, value, measured in values:
            if value is None:
                continue
            complete = measured.load is not None and (measured.load.success or 0) >= COMPLETE
            face = colour if complete else "#ffffff"
            axes.plot([x], [value], marker, color=colour, markerfacecolor=face, ms=5.5, zorder=4)


def _legend() -> list[Line2D]:
    shown = []
    for name in TOPOLOGIES:
        colour, marker = colour_and_marker(name)
        shown.append(Line2D([], [], color=colour, marker=marker, lw=2.0, ms=5.5, label=NAMES[name]))
    return [
        *shown,
        Line2D([], [], color=SOFT, lw=2.0, label="GridLedger"),
        Line2D([], [], color=SOFT, lw=1.1, ls=(0, (4, 2.5)), label="thesis (Fabric)"),
        Line2D([], [], color=SOFT, marker="o", markerfacecolor="#ffffff", ls="none", label="under 99 % VALID"),
    ]
