"""The grid drawn with VSI in colour. Positions are the case's own or its layout's: all its drawings look alike."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
from matplotlib.axes import Axes
from matplotlib.cm import ScalarMappable
from matplotlib.collections import LineCollection
from matplotlib.colors import LinearSegmentedColormap, Normalize

from gridledger.grid.bus_positions import drawn_positions
from gridledger.grid.case import Case, FloatArray
from gridledger.grid.grouping import Grouping

INK, FAINT = "#22303c", "#9aa7b1"
GROUP_COLOURS = ("#4c78a8", "#b279a2", "#72b7b2", "#eeca3b", "#9d755d", "#bab0ac", "#59a14f", "#ff9da6")
VSI_COLOURS = LinearSegmentedColormap.from_list(
    "vsi", ["#8c0d26", "#d7442e", "#f6a24b", "#fbe3a4", "#8cc3d8", "#2b6ca3"]
)
VSI_RANGE = Normalize(0.70, 1.0)
_MANY_BUSES = 60


def draw_grid(
    axes: Axes,
    case: Case,
    grouping: Grouping,
    vsi: Mapping[int, float],
    *,
    weak_bus: int | None = None,
    injected: Mapping[int, float] | None = None,
) -> None:
    """Buses with a VSI as discs in its colour, generators as squares; groups as soft areas; injections as rings.

    ``injected``: MVAr by bus.
    """
    positions = drawn_positions(case)
    size = 1.0 if len(case.numbers) <= _MANY_BUSES else 0.25
    _draw_groups(axes, case, grouping, positions, size)
    ends = np.stack([positions[case.branches.f], positions[case.branches.t]], axis=1)
    axes.add_collection(LineCollection(list(ends), colors="#5b6b77", linewidths=1.1 * size**0.5, zorder=2))
    judged = [index for index, number in enumerate(case.numbers) if number in vsi]
    others = [index for index, number in enumerate(case.numbers) if number not in vsi]
    axes.scatter(
        positions[others, 0],
        positions[others, 1],
        s=210 * size,
        marker="s",
        c="white",
        edgecolors=INK,
        linewidths=1.1 * size**0.5,
        zorder=4,
    )
    axes.scatter(
        positions[judged, 0],
        positions[judged, 1],
        s=270 * size,
        c=[vsi[case.numbers[index]] for index in judged],
        cmap=VSI_COLOURS,
        norm=VSI_RANGE,
        edgecolors=INK,
        linewidths=1.0 * size**0.5,
        zorder=4,
    )
    _write_numbers(axes, case, vsi, positions, size)
    for bus, amount in (injected or {}).items():
        _ring(axes, positions[case.position[bus]], f"+{amount:.1f} MVAr", "#1a7f37", size, above=True)
    if weak_bus is not None:
        _ring(axes, positions[case.position[weak_bus]], f"VSI {vsi[weak_bus]:.3f}", "#b3152d", size * 1.25, above=False)
    axes.set_aspect("equal", adjustable="datalim")
    axes.margins(0.07)
    axes.set_axis_off()


def colour_scale() -> ScalarMappable:
    """For a colour bar."""
    return ScalarMappable(norm=VSI_RANGE, cmap=VSI_COLOURS)


def _draw_groups(axes: Axes, case: Case, grouping: Grouping, positions: FloatArray, size: float) -> None:
    home = {bus: group for group, members in grouping.items() for bus in members}
    for rank, (group, members) in enumerate(grouping.items()):
        colour = _pale(GROUP_COLOURS[rank % len(GROUP_COLOURS)])
        inside = [
            positions[[case.position[bus] for bus in case.ends(branch)]]
            for branch in range(len(case.branches))
            if all(home[bus] == group for bus in case.ends(branch))
        ]
        lines = LineCollection(inside, colors=colour, linewidths=30 * size**0.5, capstyle="round", zorder=0)
        axes.add_collection(lines)
        places = positions[[case.position[bus] for bus in members]]
        axes.scatter(places[:, 0], places[:, 1], s=1000 * size, color=colour, linewidths=0, zorder=0)


def _pale(colour: str) -> tuple[float, ...]:
    """Opaque, so that overlapping strokes do not darken."""
    parts = [int(colour[index : index + 2], 16) / 255 for index in (1, 3, 5)]
    return tuple(1.0 - 0.22 * (1.0 - part) for part in parts)


def _write_numbers(axes: Axes, case: Case, vsi: Mapping[int, float], positions: FloatArray, size: float) -> None:
    if size < 1.0:
        return
    for index, number in enumerate(case.numbers):
        value = vsi.get(number)
        dark = value is not None and (value < 0.80 or value > 0.97)  # noqa: PLR2004 - the ends of the colour scale
        axes.text(
            positions[index, 0],
            positions[index, 1],
            str(number),
            ha="center",
            va="center_baseline",
            fontsize=8,
            color="white" if dark else INK,
            zorder=5,
        )


def _ring(axes: Axes, place: FloatArray, text: str, colour: str, size: float, *, above: bool) -> None:
    x, y = place.tolist()
    axes.scatter(x, y, s=480 * size, facecolors="none", edgecolors=colour, linewidths=2.4, zorder=6)
    axes.annotate(
        text,
        (x, y),
        xytext=(0, 17 if above else -17),
        textcoords="offset points",
        ha="center",
        va="bottom" if above else "top",
        fontsize=9,
        fontweight="bold",
        color=colour,
        bbox={"boxstyle": "round,pad=0.2", "facecolor": "white", "edgecolor": "none", "alpha": 0.85},
        zorder=7,
    )
