"""The drawings of a case's report, as SVG. Matplotlib comes with the extra ``forensics``."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import matplotlib.dates
import numpy as np
from matplotlib.figure import Figure

from services.case.rows import Row
from services.case.rules.finding import SECOND_US, Finding, Pointer, told_us
from services.case.rules.gps import Measured
from services.case.rules.phasors import misfits_deg

_INK, _SOFT, _LINE, _GRID = "#14213a", "#5b6880", "#c9d2df", "#e9edf3"
_BLUE, _RED, _GREY = "#1f5fbf", "#c0281f", "#8a94a6"
_STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "svg.fonttype": "none",
    "svg.hashsalt": "gridledger",
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.titlecolor": _INK,
    "text.color": _INK,
    "xtick.color": _SOFT,
    "ytick.color": _SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.grid": True,
    "grid.color": _GRID,
    "axes.axisbelow": True,
    "legend.frameon": False,
}
_MAX_DOTS: Final = 4_000
"""Rows that no finding rests on; of more, each n-th is drawn."""

Draw = Callable[[Figure], None]


def svg(draw: Draw, height: float = 4.0) -> str:
    """A drawing as SVG text."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11.6, height), layout="constrained", facecolor="none")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return text.getvalue()


def write_png(path: Path, draw: Draw, height: float = 4.0) -> None:
    """The same as a PNG file."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11.6, height), layout="constrained", facecolor="white")
        draw(figure)
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def timeline(rows: Sequence[Row], findings: Sequence[Finding]) -> str:
    """All rows by the time told, a line for each kind; red: what findings rest on."""
    return svg(draw_timeline(rows, findings), height=1.6 + 0.22 * len({row.kind for row in rows}))


def draw_timeline(rows: Sequence[Row], findings: Sequence[Finding]) -> Draw:
    """As :func:`timeline` has it."""
    accused = {pointer for each in findings for pointer in each.rows}
    plain = [row for row in rows if Pointer.to(row) not in accused]
    step = 1 + len(plain) // _MAX_DOTS
    kinds = {kind: place for place, kind in enumerate(sorted({row.kind for row in rows}, reverse=True))}

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        for some, colour, size, label in (
            (plain[::step], _GREY, 3, "rows"),
            ([row for row in rows if Pointer.to(row) in accused], _RED, 7, "what findings rest on"),
        ):
            times = _dates([told_us(row) for row in some])
            axes.plot(times, [kinds[row.kind] for row in some], "|", color=colour, markersize=size + 4, label=label)
        axes.set_yticks(list(kinds.values()), list(kinds))
        axes.xaxis.set_major_formatter(mpl.dates.DateFormatter("%H:%M:%S"))  # type: ignore[no-untyped-call]
        axes.set_xlabel("time told, UTC")
        axes.legend(loc="upper left", bbox_to_anchor=(0, 1.08), ncols=2)

    return draw


def draw_misfits(measured: Measured, finding: Finding) -> Draw:
    """The misfits of all lines by time; those of the accused PMU in red, the limit dashed."""
    lines, phasors = measured.lines, measured.phasors
    misfits = misfits_deg(lines, phasors)
    pmus = finding.details["pmus"]
    own = [place for place, pmu in enumerate(lines.pmus) if pmu in pmus]

    def draw(figure: Figure) -> None:
        axes = figure.add_subplot()
        seconds = (phasors.time_us - phasors.time_us[0]) / SECOND_US
        for line, name in enumerate(lines.names):
            is_own = lines.f[line] in own or lines.t[line] in own
            sign = -1.0 if lines.t[line] in own else 1.0
            axes.plot(
                seconds,
                sign * misfits[:, line],
                color=_RED if is_own else _GREY,
                linewidth=1.2 if is_own else 0.7,
                alpha=1.0 if is_own else 0.7,
                label=f"line {name} of {' or '.join(pmus)}" if is_own else None,
            )
        for limit in (0.5, -0.5):
            axes.axhline(limit, color=_BLUE, linestyle="--", linewidth=0.9)
        found = (finding.details["found_us"] - int(phasors.time_us[0])) / SECOND_US
        axes.axvline(found, color=_INK, linewidth=0.9, linestyle=":", label="found")
        axes.set_xlabel("seconds")
        axes.set_ylabel("misfit of the angle across the line, degrees")
        axes.legend(ncols=3)

    return draw


def _dates(times_us: Sequence[int]) -> Any:
    return np.asarray(times_us, dtype="datetime64[us]")
