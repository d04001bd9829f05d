"""How pictures look: one palette for light and dark, told apart by colour-blind readers and in black and white."""

from __future__ import annotations

import io
import re
from pathlib import Path
from typing import Any

import matplotlib as mpl

mpl.use("Agg")

from matplotlib.axes import Axes
from matplotlib.figure import Figure

INK, SOFT, FAINT, GRID = "#1d2a35", "#5b6873", "#a4afb8", "#e4e8eb"
SERIES = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#8a6d00", "#56b4e9")
"""Okabe and Ito's colours, the yellow darkened so that it shows on white."""
MARKERS = ("o", "s", "^", "D", "v", "P")
TOPOLOGIES = ("no-shard", "two-shards", "three-shards")
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
    # Names come from outside: a dollar sign in one is no formula.
    "text.parse_math": False,
}


def colour_of(names: list[str], name: str) -> str:
    """A name's colour: the thesis's topologies always have theirs, others in the order of ``names``."""
    order = [*TOPOLOGIES, *(other for other in names if other not in TOPOLOGIES)]
    return SERIES[order.index(name) % len(SERIES)]


def marker_of(names: list[str], name: str) -> str:
    """A name's marker, by the same order as its colour."""
    order = [*TOPOLOGIES, *(other for other in names if other not in TOPOLOGIES)]
    return MARKERS[order.index(name) % len(MARKERS)]


def panel(width: float = 5.6, height: float = 3.3) -> tuple[Figure, Axes]:
    """A picture of one panel; inches."""
    figure = Figure(figsize=(width, height), layout="constrained")
    return figure, figure.add_subplot()


def save(figure: Figure, path: Path) -> None:
    """A PNG."""
    figure.savefig(path, dpi=144, metadata={"Software": None})


def inline_svg(figure: Figure, name: str, description: str) -> str:
    """A picture to stand in a page: its colours are the page's variables, its ids begin with ``name`` ([a-z0-9-]+).

    ``description`` must be plain text; it is escaped here.
    """
    buffer = io.StringIO()
    figure.savefig(buffer, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
    text = buffer.getvalue()
    text = text[text.index("<svg") :]
    text = re.sub(r"<metadata>.*?</metadata>", "", text, flags=re.DOTALL)
    text = re.sub(r"<!--.*?-->\s*", "", text, flags=re.DOTALL)
    # Every picture of matplotlib has ids like "axes_1"; many stand in one page.
    text = re.sub(r'\bid="([^"]+)"', rf'id="{name}-\1"', text)
    text = re.sub(r'(xlink:)?href="#([^"]+)"', rf'href="#{name}-\2"', text)
    text = re.sub(r"url\(#([^)]+)\)", rf"url(#{name}-\1)", text)
    text = re.sub(r"font: ((?:bold )?[\d.]+px) [^;\"]+", r"font: \1 var(--sans)", text)
    text = re.sub(r"#[0-9a-f]{6}\b", lambda found: _variable(found[0]), text)
    label = description.replace("&", "&amp;").replace("<", "&lt;").replace('"', "&quot;")
    text = re.sub(
        r'<svg [^>]*?(viewBox="[^"]*")[^>]*>', rf'<svg \1 role="img" aria-label="{_literal(label)}">', text, count=1
    )
    return text.strip()


def _variable(colour: str) -> str:
    return f"var({_VARIABLES[colour]})" if colour in _VARIABLES else colour


def _literal(text: str) -> str:
    return text.replace("\\", r"\\")
