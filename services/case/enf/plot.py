"""The figure of an analysis: reference and recording, what is left between them, and the correlation curve."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from numpy.typing import NDArray

from services.case.enf.analysis import Analysis
from services.case.enf.extract import WINDOW_S
from services.case.enf.track import Piece, Track

_INK, _SOFT, _LINE, _GRID = "#14213a", "#5b6880", "#c9d2df", "#e9edf3"
_REFERENCE, _RECORDING, _DELETION, _INSERTION = "#8a94a6", "#1f5fbf", "#c0281f", "#d97706"
_STYLE: Final[Any] = {
    "font.family": "DejaVu Sans",
    "font.size": 9.0,
    "axes.edgecolor": _LINE,
    "axes.labelcolor": _SOFT,
    "axes.titlecolor": _INK,
    "axes.formatter.useoffset": False,
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
_MOST_POINTS: Final = 4_000
"""Of the correlation curve: each shows the largest value of its stretch."""
_MIN: Final = 60.0


def write_png(path: Path, analysis: Analysis, title: str) -> None:
    """Draw it. The same analysis gives the same bytes under one version of matplotlib."""
    with mpl.rc_context():
        mpl.rcdefaults()
        mpl.rcParams.update(_STYLE)
        figure = Figure(figsize=(10.5, 7.2), layout="constrained", facecolor="white")
        draw(figure, analysis, title)
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def draw(figure: Figure, analysis: Analysis, title: str) -> None:
    """Three panels: frequencies, residuals, correlation."""
    top, middle, bottom = figure.subplots(3, 1, height_ratios=(3, 1.4, 1.6))
    figure.suptitle(title, x=0.01, ha="left", fontsize=11)
    _frequencies(top, analysis)
    _residuals(middle, analysis)
    _correlation(bottom, analysis)


def _minutes(analysis: Analysis) -> NDArray[np.float64]:
    minutes: NDArray[np.float64] = analysis.hum.times_s / _MIN
    return minutes


def _frequencies(axes: Axes, analysis: Analysis) -> None:
    hum = analysis.hum
    offset = 0.0 if analysis.fit is None else analysis.fit.offset_hz
    if analysis.fit is not None:
        for number, piece in enumerate(analysis.found.chain):
            expected = _track(analysis).expected(piece, analysis.fit.stretch)
            label = "reference, at each piece's time" if number == 0 else None
            axes.plot(_of(analysis, piece), 1e3 * expected, color=_REFERENCE, lw=3.0, label=label)
    axes.plot(_minutes(analysis), 1e3 * (hum.deviation_hz - offset), color=_RECORDING, lw=0.9, label="recording")
    low, high = np.nanquantile(1e3 * (hum.deviation_hz - offset), (0.01, 0.99)) if hum.heard_s else (-1.0, 1.0)
    axes.set_ylim(low - 0.3 * (high - low) - 1.0, high + 0.3 * (high - low) + 1.0)  # a cut shows as a spike beyond
    axes.set_ylabel(f"frequency less {hum.nominal_hz:g} Hz, mHz")
    _mark(axes, analysis)
    axes.legend(loc="upper right", ncols=4, fontsize=8)
    axes.set_title(_told(analysis), loc="left", fontsize=9)


def _residuals(axes: Axes, analysis: Analysis) -> None:
    if analysis.fit is not None:
        track = _track(analysis)
        for piece in analysis.found.chain:
            axes.plot(_of(analysis, piece), 1e3 * track.left(piece, analysis.fit), color=_RECORDING, lw=0.7)
        most = 8.0 * 1e3 * analysis.fit.noise_hz
        axes.set_ylim(-most, most)
    _mark(axes, analysis)
    axes.set_ylabel("difference, mHz")
    axes.set_xlabel("minutes of the recording")
    axes.set_xlim(0.0, max(analysis.hum.duration_s / _MIN, 1e-3))


def _correlation(axes: Axes, analysis: Analysis) -> None:
    curve = analysis.curve
    axes.set_ylabel("correlation")
    if curve is None:
        axes.text(0.5, 0.5, "nothing to compare", ha="center", transform=axes.transAxes)
        return
    stride = max(1, -(-len(curve.z) // _MOST_POINTS))
    whole = np.zeros(-(-len(curve.z) // stride) * stride, np.float32)
    whole[: len(curve.z)] = curve.z
    largest = np.tanh(whole.reshape(-1, stride).max(axis=1))
    first = curve.first_lag - WINDOW_S / 2.0
    hours = (first + stride * np.arange(len(largest))) / 3_600.0
    axes.plot(hours, largest, color=_RECORDING, lw=0.7)
    if analysis.place is not None:
        axes.plot([(analysis.place.lag - WINDOW_S / 2.0) / 3_600.0], [analysis.place.correlation], "v", color=_DELETION)
    axes.set_ylim(0.0, 1.05)
    axes.set_xlabel(f"start of the recording: hours after {_time(analysis.reference.start_s)}")


def _mark(axes: Axes, analysis: Analysis) -> None:
    told: set[str] = set()
    for edit in analysis.found.edits:
        label = None if edit.kind in told else edit.kind
        told.add(edit.kind)
        at = edit.at_s / _MIN
        if edit.kind == "deletion":
            axes.axvline(at, color=_DELETION, lw=1.2, label=label)
        else:
            axes.axvspan(at, at + edit.length_s / _MIN, color=_INSERTION, alpha=0.25, lw=0, label=label)
    axes.set_xlim(0.0, max(analysis.hum.duration_s / _MIN, 1e-3))


def _told(analysis: Analysis) -> str:
    if analysis.start_s is None:
        return f"no match: {analysis.reason.partition(':')[0]}"
    edits = ", ".join(f"{each.kind} of {each.length_s:.1f} s at {each.at_s:.1f} s" for each in analysis.found.edits)
    return f"recorded from {_time(analysis.start_s)}; {edits or 'no edits seen'}"


def _time(seconds: float) -> str:
    try:
        return datetime.fromtimestamp(seconds, UTC).strftime("%Y-%m-%d %H:%M:%S UTC")
    except (ValueError, OverflowError, OSError):
        return f"{seconds:.1f}"


def _track(analysis: Analysis) -> Track:
    return Track(analysis.hum, analysis.reference)


def _of(analysis: Analysis, piece: Piece) -> NDArray[np.float64]:
    return _minutes(analysis)[piece.first : piece.last + 1]
