"""The drawings of the report, as SVG for the page and as PNG files. Matplotlib comes with the extra ``vault``."""

from __future__ import annotations

import io
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure

from gridledger.sharing import attack
from gridledger.sharing.leak import leak
from services.vault.demonstration.book import Book, StoredShare

_INK, _SOFT, _LINE, _GRID = "#14213a", "#5b6880", "#c9d2df", "#e9edf3"
_BLUE, _ORANGE, _GREEN, _RED, _GREY = "#1f5fbf", "#d97706", "#12805c", "#c0281f", "#8a94a6"
PROFILE_COLOURS: Final = {"sealed": _BLUE, "article": _ORANGE, "shamir": _GREEN, "copies": _GREY}
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
_ATTACKERS: Final = (0.1, 0.3)
_MAJORITY: Final = 0.6
_BLOCKS: Final = 20
_WHOLE_FROM: Final = 10
"""MB/s from which on no decimals are shown."""
_LEAST_BYTES: Final = 5_000
_THRESHOLDS: Final = range(2, 12)

Draw = Callable[[Figure, Book], None]


def svg(draw: Draw, book: Book) -> str:
    """One drawing as SVG text."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11.6, 4.0), layout="constrained", facecolor="none")
        draw(figure, book)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None, "Creator": None})
        return text.getvalue()


def write_png(path: Path, draw: Draw, book: Book) -> None:
    """One drawing as a PNG file."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(11.6, 4.0), layout="constrained", facecolor="white")
        draw(figure, book)
        figure.savefig(path, format="png", dpi=110, metadata={"Software": None})


def draw_storage(figure: Figure, book: Book) -> None:
    """Bytes of a node by t, as part of the data: measured, beside what is claimed."""
    axes = figure.add_subplot()
    ts = list(_THRESHOLDS)
    axes.plot(ts, [1.0] * len(ts), color=_GREY, linestyle="--", label="copies: all of it")
    axes.plot(ts, [1 / (t - 1) for t in ts], color=_ORANGE, linestyle="--", label="1/(t - 1), the source's claim")
    axes.plot(ts, [1 / t for t in ts], color=_BLUE, linestyle="--", label="1/t")
    for profile, marker in (("copies", "s"), ("shamir", "D"), ("article", "o"), ("sealed", "o")):
        points = _points(book.stored, profile)
        if points:
            axes.plot(*zip(*points, strict=True), marker, color=PROFILE_COLOURS[profile], markersize=7,
                      label=f"{profile}, on the holders' disks")  # fmt: skip
    axes.set_xlabel("t: how many shares join")
    axes.set_ylabel("bytes of a holder / bytes of data")
    axes.set_xticks(ts)
    axes.set_ylim(0, 1.12)
    axes.legend(ncols=2)


def draw_recovery(figure: Figure, book: Book) -> None:
    """Recovery by the number of dead holders, over all their sets."""
    axes = figure.add_subplot()
    clusters = list(dict.fromkeys(each.cluster for each in book.recoveries))
    colours = (_BLUE, _ORANGE, _GREEN, _RED, _INK)
    for number, (cluster, colour) in enumerate(zip(clusters, colours, strict=False)):
        rows = [each for each in book.recoveries if each.cluster == cluster]
        level = [100 * each.recovered / each.subsets + 1.2 * number for each in rows]
        label = f"{cluster}: {rows[0].t} of {rows[0].n}"
        axes.step([each.dead for each in rows], level, where="mid", color=colour, label=label, linewidth=2)
        axes.plot([each.dead for each in rows], level, "o", color=colour, markersize=4)
    axes.set_xlabel("dead holders")
    axes.set_ylabel("sets after which the data came back, %")
    axes.set_xticks(range(1 + max((each.n for each in book.recoveries), default=1)))
    if clusters:
        axes.legend()


def draw_speed(figure: Figure, book: Book) -> None:
    """MB/s by profile."""
    axes = figure.add_subplot()
    axes.set_yscale("log")
    for at, each in enumerate(book.speeds):
        for offset, (what, value, alpha) in ((-0.2, ("split", each.split, 1.0)), (0.2, ("join", each.join, 0.55))):
            axes.bar(at + offset, value, 0.36, color=PROFILE_COLOURS[each.profile], alpha=alpha)
            told = f"{what}\n{value:,.{1 if value < _WHOLE_FROM else 0}f}"
            axes.text(at + offset, value * 1.1, told, ha="center", va="bottom", fontsize=9)
    axes.set_xticks(range(len(book.speeds)), [f"{each.profile} ({each.t}, {each.n})" for each in book.speeds])
    axes.set_ylabel("MB of data a second, in memory")
    axes.set_ylim(top=axes.get_ylim()[1] * 4)
    axes.grid(axis="x", visible=False)


def draw_leak(figure: Figure, book: Book) -> None:
    """How much of the data k shares tell, by profile."""
    del book
    panels: Sequence[Axes] = figure.subplots(1, 3, sharey=True)
    for axes, t in zip(panels, (3, 5, 9), strict=True):
        told = leak(t, range(301, 301 + t)).elements
        ks = list(range(t + 1))
        axes.step(ks, [0, *(100 * each / (t - 1) for each in told)], where="post", color=_ORANGE, linewidth=2,
                  label="article")  # fmt: skip
        axes.step(ks, [0] * t + [100], where="post", color=_BLUE, linewidth=2, label="sealed, shamir")
        axes.plot(ks, [0] + [100] * t, color=_GREY, linestyle=":", drawstyle="steps-post", label="copies")
        axes.set_title(f"t = {t}", loc="left", fontweight="bold")
        axes.set_xlabel("shares that are known")
        axes.set_xticks(ks)
    panels[0].set_ylabel("of the data told, %")
    figure.legend(*panels[0].get_legend_handles_labels(), loc="outside lower center", ncols=3)


def draw_attack(figure: Figure, book: Book) -> None:
    """The source's formula as printed, corrected, and the exact value."""
    del book
    blocks = list(range(1, _BLOCKS + 1))
    small, large = figure.subplots(1, 2)
    for attacker, colour in zip(_ATTACKERS, (_BLUE, _GREEN), strict=True):
        small.plot(blocks, [attack.exact(attacker, h) for h in blocks], color=colour, linewidth=2,
                   label=f"a = {attacker}: exact (Rosenfeld)")  # fmt: skip
        small.plot(blocks, [attack.corrected(attacker, h) for h in blocks], "--", color=colour, label="corrected")
        printed = [max(attack.printed(attacker, h), 1e-18) for h in blocks]
        small.plot(blocks, printed, "x", color=colour, markersize=5, label="as printed")
    small.set_yscale("log")
    small.set_xlabel("h: blocks behind")
    small.set_ylabel("probability of success")
    small.legend(fontsize=8.5)
    small.set_title("the honest lead", loc="left", fontweight="bold")
    large.plot(blocks, [attack.printed(_MAJORITY, h) for h in blocks], "x-", color=_RED, label="as printed")
    large.plot(blocks, [attack.exact(_MAJORITY, h) for h in blocks], color=_INK, label="corrected and exact: 1")
    large.set_title(f"the attacker leads, a = {_MAJORITY}: as printed it is no probability", loc="left",
                    fontweight="bold")  # fmt: skip
    large.set_xlabel("h: blocks behind")
    large.legend()


DRAWINGS: Final[dict[str, Draw]] = {
    "storage": draw_storage,
    "recovery": draw_recovery,
    "speed": draw_speed,
    "leak": draw_leak,
    "attack": draw_attack,
}


def _points(stored: Sequence[StoredShare], profile: str) -> list[tuple[int, float]]:
    """A point for each object of more than some KB: the smallest are all overhead."""
    return sorted(
        {(each.t, each.disk / each.data) for each in stored if each.profile == profile and each.data > _LEAST_BYTES}
    )
