"""The style of pictures: one palette for light and dark pages, distinguishable by colour-blind readers and in print."""

from __future__ import annotations

import html
import io
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import LogFormatter

from benchmarks.load.topologies import TOPOLOGIES

INK, SOFT, FAINT, GRID = "#1d2a35", "#5b6873", "#a4afb8", "#e4e8eb"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9")
"""Okabe and Ito's colours, the yellow darkened so that it shows on white."""
MARKERS = ("o", "s", "^", "D", "v", "P")
_VARIABLES = {
    INK: "--ink",
    SOFT: "--soft",
    FAINT: "--faint",
    GRID: "--grid",
    "#ffffff": "--paper",
    **{colour: f"--s{index}" for index, colour in enumerate(SERIES)},
}
STYLE: dict[Any, Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.5,
    "axes.edgecolor": FAINT,
    "axes.labelcolor": SOFT,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.titlesize": 10.5,
    "axes.titleweight": "bold",
    "axes.titlelocation": "left",
    "axes.titlecolor": INK,
    "axes.titlepad": 10,
    "axes.axisbelow": True,
    "axes.grid": True,
    "grid.color": GRID,
    "grid.linewidth": 0.8,
    "xtick.color": FAINT,
    "ytick.color": FAINT,
    "xtick.labelcolor": SOFT,
    "ytick.labelcolor": SOFT,
    "text.color": INK,
    "legend.frameon": False,
    "figure.facecolor": "white",
    "svg.fonttype": "none",
    # Names come from outside; a dollar sign in one does not begin a formula.
    "text.parse_math": False,
}


def colour_and_marker(name: str, others: Sequence[str] = ()) -> tuple[str, str]:
    """The colour and the marker of a topology: fixed for those of the thesis, by their order for all ``others``."""
    order = list(dict.fromkeys([*TOPOLOGIES, *others]))
    place = order.index(name)
    return SERIES[place % len(SERIES)], MARKERS[place % len(MARKERS)]


def panel(width: float = 5.6, height: float = 3.3) -> tuple[Figure, Axes]:
    """A picture of one panel; its size in inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


class _PlainNumbers(LogFormatter):
    """Labels which ticks matplotlib would, with plain numbers: its own are formulas, which STYLE does not parse."""

    def __call__(self, x: float, pos: int | None = None) -> str:
        return f"{x:g}" if super().__call__(x, pos) else ""


def label_log_axis(axis: Axis) -> None:
    """Label the ticks of an axis that is logarithmic already; those between powers only where few powers are shown."""
    axis.set_major_formatter(_PlainNumbers())
    axis.set_minor_formatter(_PlainNumbers())


def save(figure: Figure, path: Path) -> None:
    """Write a picture as PNG."""
    figure.savefig(path, dpi=144, metadata={"Software": None})


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """A picture as SVG for a page. Its colours become the page's variables, and its ids begin with ``name``
    ([a-z0-9-]+). ``description`` is plain text, which is escaped here."""
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    # Every picture of matplotlib has ids like "axes_1", which must differ within a page.
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:)?href="#([^"]+)"', rf'href="#{name}-\2"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r"font: ((?:bold )?[\d.]+px) [^;\"]+", r"font: \1 var(--sans)", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0]), text)
    head = f'role="img" aria-label="{html.escape(description)}">'
    text = re.sub(r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', lambda found: f"<svg {found[1]} {head}", text, count=1)
    return text.strip()


def _variable(colour: str) -> str:
    return f"var({_VARIABLES[colour]})" if colour in _VARIABLES else colour
