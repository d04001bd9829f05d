"""How a run's figures look: sizes and type of an IEEE journal, colours that the colour-blind can tell apart.

The files hold no dates and no random names, so the same run gives the same bytes under one version of matplotlib.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.figure import Figure

COLUMN_INCHES: Final = {"single": 3.5, "double": 7.16}
"""The width of one column, and of a page, of IEEE's journals."""

COLOURS: Final = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#7f7f7f")
"""Okabe and Ito's, without their yellow, which is too light for a thin line on white."""

LINES: Final[tuple[Any, ...]] = ("-", (0, (5, 1.5)), (0, (1, 1)), (0, (4, 1, 1, 1)))
"""Colours come round after eight lines; these tell the rounds apart."""

FAINT: Final = "#c4cad0"
FORMATS: Final = ("png", "svg", "pdf")
_NO_DATES: Final[dict[str, dict[str, None]]] = {
    "png": {"Software": None},
    "svg": {"Date": None, "Creator": None},
    "pdf": {"CreationDate": None, "Creator": None, "Producer": None},
}
_STYLE: Final[dict[Any, Any]] = {
    "font.family": "STIXGeneral",  # Times, and it comes with matplotlib
    "mathtext.fontset": "stix",
    "font.size": 8,
    "axes.labelsize": 8,
    "axes.titlesize": 8,
    "legend.fontsize": 7,
    "xtick.labelsize": 7,
    "ytick.labelsize": 7,
    "axes.linewidth": 0.5,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "axes.formatter.useoffset": False,
    "lines.linewidth": 1.0,
    "xtick.major.width": 0.5,
    "ytick.major.width": 0.5,
    "legend.frameon": False,
    "pdf.fonttype": 42,  # whole TrueType fonts, embedded, as journals ask
    "svg.fonttype": "path",
    "svg.hashsalt": "gridledger",
    "path.simplify": False,
    "savefig.dpi": 600,
}


@contextmanager
def journal_style() -> Iterator[None]:
    """Figures made and saved inside look so, whatever matplotlibrc says."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        yield


def new_figure(column: str, *, height: float = 0.62) -> Figure:
    """An empty figure of a column's width; ``height`` is a share of the single column's width."""
    return Figure(figsize=(COLUMN_INCHES[column], COLUMN_INCHES["single"] * height), layout="constrained")


def save(figure: Figure, folder: Path, name: str) -> list[Path]:
    """Write NAME.png, NAME.svg and NAME.pdf; their paths."""
    files = []
    for kind in FORMATS:
        path = folder / f"{name}.{kind}"
        figure.savefig(path, format=kind, metadata=_NO_DATES[kind])
        files.append(path)
    return files


def line_style(rank: int) -> dict[str, Any]:
    """Colour and dashes of the line of this rank."""
    return {"color": COLOURS[rank % len(COLOURS)], "linestyle": LINES[rank // len(COLOURS) % len(LINES)]}
