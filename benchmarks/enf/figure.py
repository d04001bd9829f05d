"""The figure of errors by length and SNR."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from matplotlib.figure import Figure

from benchmarks.enf.places import Cell

_COLOURS = ("#12805c", "#1f5fbf", "#d97706", "#c0281f", "#8a94a6")


def write(path: Path, cells: Sequence[Cell]) -> None:
    """Two panels over the recording's length: how often the best place is wrong, and how far off a right one is."""
    figure = Figure(figsize=(9.6, 3.8), layout="constrained")
    left, right = figure.subplots(1, 2)
    lengths = sorted({cell.length_s / 60.0 for cell in cells})
    for snr, colour in zip(sorted({cell.snr_db for cell in cells}, reverse=True), _COLOURS, strict=False):
        own = [cell for cell in cells if cell.snr_db == snr]
        minutes = [cell.length_s / 60.0 for cell in own]
        label = f"{snr:g} dB (line {own[0].line_db:.0f} dB)"
        left.plot(minutes, [100.0 * cell.wrong_share for cell in own], "o-", color=colour, label=label)
        left.plot(minutes, [100.0 * (1.0 - cell.told_share) for cell in own], "--", color=colour, lw=1.0)
        placed = [cell for cell in own if cell.error_s is not None]
        right.plot(
            [cell.length_s / 60.0 for cell in placed], [cell.error_s or 0.0 for cell in placed], "o-", color=colour
        )
    left.plot([], [], "--", color="black", lw=1.0, label="not told")
    left.set_ylabel("best place wrong, % of recordings")
    left.legend(frameon=False, fontsize=8)
    right.set_ylabel("median error of the start, s")
    right.set_yscale("log")
    for axes in (left, right):
        axes.set_xscale("log")
        axes.set_xticks(lengths, [f"{length:g}" for length in lengths], minor=False)
        axes.minorticks_off()
        axes.set_xlabel("length of the recording, minutes")
        axes.grid(alpha=0.3)
        axes.spines[["top", "right"]].set_visible(False)
    figure.savefig(path, dpi=120, metadata={"Software": None})
