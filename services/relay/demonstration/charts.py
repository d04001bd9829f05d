"""The drawings of the report, as SVG for the page and as one PNG. Matplotlib comes with the extra ``relay``."""

from __future__ import annotations

import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import matplotlib as mpl
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.patches import FancyBboxPatch, Patch

from gridledger.field.capture import MEASURES
from services.relay.demonstration.outcome import MinuteOutcome
from services.relay.demonstration.story import LIE_IN, MADE_UP_IN, SILENT_IN, TWO_FACES_IN, Cast

ARTICLE_UPDATE_MS: Final = 10_000.0

_INK, _SOFT, _LINE, _GRID = "#14213a", "#5b6880", "#c9d2df", "#e9edf3"
_BLUE, _ORANGE, _GREEN, _RED, _AMBER = "#1f5fbf", "#d97706", "#12805c", "#c0281f", "#e7a522"
_PANELS: Final[tuple[tuple[str, str, tuple[str, ...]], ...]] = (
    ("Voltage", "kV", ("Vab", "Vbc", "Vca")),
    ("Current", "A", ("Ia", "Ib", "Ic")),
    ("Frequency", "Hz", ("F",)),
    ("Power factor", "", ("FP",)),
    ("Active power", "MW", ("P",)),
    ("Reactive power", "MVAr", ("Q",)),
)
_COLOURS: Final = (_BLUE, _ORANGE, _GREEN)
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
}
_LABEL_LEAST_MS: Final = 1.0
_MINUTE_S: Final = 60
_MS_IN_S: Final = 1000
_BEHIND: Final = {"facecolor": "white", "edgecolor": "none", "pad": 1.2}


@dataclass(frozen=True, slots=True)
class Shown:
    """What is drawn: the minutes, the parts, and the relay's limits."""

    outcomes: Sequence[MinuteOutcome]
    cast: Cast
    limits: Mapping[str, Sequence[float]]


def measurements_svg(shown: Shown) -> str:
    """All measures over time, with limits and breaches."""
    return _svg(11.6, 11.4, lambda figure: _draw_measurements(figure, shown))


def updates_svg(shown: Shown) -> str:
    """The update time of each minute beside the article's."""
    return _svg(11.6, 3.7, lambda figure: _draw_updates(figure.add_subplot(), shown))


def voices_svg(shown: Shown) -> str:
    """What each server said of each minute, and what came of it."""
    return _svg(11.6, 3.2, lambda figure: _draw_voices(figure.add_subplot(), shown))


def write_png(path: Path, shown: Shown) -> None:
    """All three in one picture."""
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(13, 18), layout="constrained", facecolor="white")
        parts: Any = figure.subfigures(3, 1, height_ratios=(3.0, 3.4, 11.0))
        voices, updates, measurements = parts
        voices.suptitle("What each server said of each minute", x=0.01, ha="left", fontweight="bold", fontsize=13)
        _draw_voices(voices.add_subplot(), shown)
        updates.suptitle("From the relay's file to the ledger", x=0.01, ha="left", fontweight="bold", fontsize=13)
        _draw_updates(updates.add_subplot(), shown)
        measurements.suptitle("What the relay measured", x=0.01, ha="left", fontweight="bold", fontsize=13)
        _draw_measurements(measurements, shown)
        figure.savefig(path, format="png", dpi=100)


def _svg(width: float, height: float, draw: Callable[[Figure], None]) -> str:
    with mpl.rc_context(_STYLE):
        figure = Figure(figsize=(width, height), layout="constrained", facecolor="none")
        draw(figure)
        text = io.StringIO()
        figure.savefig(text, format="svg", transparent=True, metadata={"Date": None})
        return text.getvalue()


def _draw_measurements(figure: Any, shown: Shown) -> None:
    panels: Sequence[Axes] = figure.subplots(len(_PANELS), 1, sharex=True)
    for axes, (title, unit, names) in zip(panels, _PANELS, strict=True):
        for name, colour in zip(names, _COLOURS, strict=False):
            _draw_measure(axes, shown, name, colour)
        _draw_limits(axes, [shown.limits[name] for name in names if name in shown.limits])
        _shade(axes, shown)
        axes.set_ylabel(unit)
        axes.margins(x=0.005, y=0.14)
        axes.set_title(title, loc="left", fontsize=10.5, fontweight="bold", pad=6)
        if len(names) > 1:
            axes.legend(loc="lower right", bbox_to_anchor=(1, 1), ncols=3, frameon=False, borderaxespad=0, fontsize=9)
    _label_events(panels[0], shown)
    panels[-1].set_xticks(*zip(*((one.number, f"{_time(one.minute):%H:%M}") for one in shown.outcomes), strict=True))
    panels[-1].set_xlabel("time of the relay, UTC")


def _draw_measure(axes: Axes, shown: Shown, name: str, colour: str) -> None:
    index = MEASURES.index(name)
    times, values = [], []
    outside: tuple[list[float], list[float]] = ([], [])
    for outcome in shown.outcomes:
        breached = {breach.reading for breach in outcome.breaches if breach.measure == name}
        for place, reading in enumerate(outcome.readings):
            at = outcome.number + reading.time.second / _MINUTE_S
            times.append(at)
            values.append(reading.values[index])
            if place in breached:
                outside[0].append(at)
                outside[1].append(reading.values[index])
        for readings in outcome.outvoted.values():
            lie = [reading.values[index] for reading in readings]
            if lie != values[-len(lie) :]:
                axes.plot(times[-len(lie) :], lie, ":", color=_RED, linewidth=1.6, zorder=3)
    axes.plot(times, values, "-o", color=colour, linewidth=1.2, markersize=2.4, alpha=0.9, label=name)
    axes.plot(*outside, "o", color="none", markeredgecolor=_RED, markeredgewidth=1.5, markersize=7.5, zorder=4)


def _draw_limits(axes: Axes, limits: Sequence[Sequence[float]]) -> None:
    """The limits as dashed lines where they lie within what is drawn or close to it."""
    low, high = axes.get_ylim()
    reach = 0.15 * (high - low)
    for value in {value for pair in limits for value in pair}:
        if low - reach <= value <= high + reach:
            axes.axhline(value, color=_RED, linewidth=0.9, linestyle=(0, (5, 4)), alpha=0.65)


def _shade(axes: Axes, shown: Shown) -> None:
    for number, colour, alpha in _bands():
        if _has(shown, number):
            axes.axvspan(number, number + 1, color=colour, alpha=alpha, linewidth=0)


def _bands() -> list[tuple[int, str, float]]:
    return [
        *((number, _SOFT, 0.13) for number in SILENT_IN),
        (LIE_IN, _RED, 0.08),
        (TWO_FACES_IN, _AMBER, 0.20),
        (MADE_UP_IN, _RED, 0.08),
    ]


def _label_events(axes: Axes, shown: Shown) -> None:
    for number, text in (
        (SILENT_IN[0], "relay silent"),
        (LIE_IN, f"{shown.cast.liar} lies"),
        (TWO_FACES_IN, "two texts"),
        (MADE_UP_IN, f"{shown.cast.racer} lies"),
    ):
        if _has(shown, number):
            at = number + (len(SILENT_IN) if number == SILENT_IN[0] else 1) / 2
            place = axes.get_xaxis_transform()
            axes.text(at, 0.975, text, transform=place, ha="center", va="top", fontsize=8.5, color=_SOFT)


def _draw_updates(axes: Axes, shown: Shown) -> None:
    axes.set_yscale("log")
    times = [outcome.update_ms for outcome in shown.outcomes if outcome.timed and outcome.update_ms]
    floor = 10 ** int(f"{min(times, default=10.0):e}".partition("e")[2])
    for outcome in shown.outcomes:
        ms = outcome.update_ms
        if ms is None or ms < _LABEL_LEAST_MS:
            axes.text(outcome.number, floor * 1.25, "recorded before\nthe relay was done", ha="center", va="bottom",
                      fontsize=8, color=_RED)  # fmt: skip
            continue
        colour = _BLUE if outcome.timed else "#aab4c3"
        axes.vlines(outcome.number, floor, ms, color=colour, linewidth=9, alpha=0.92, capstyle="round")
        label: Any = {"ha": "center", "va": "bottom", "fontsize": 9, "fontweight": "bold", "zorder": 5}
        axes.text(outcome.number, ms * 1.4, _ms(ms), bbox=_BEHIND, **label)
        axes.text(outcome.number, floor * 0.82, outcome.winner, ha="center", va="top", fontsize=8.5, color=_SOFT)
    axes.axhline(ARTICLE_UPDATE_MS, color=_ORANGE, linewidth=1.6, linestyle=(0, (6, 4)))
    axes.text(0.45, ARTICLE_UPDATE_MS * 1.18, "the article: about 10 s", color=_ORANGE, fontsize=9.5, fontweight="bold")
    axes.set_ylim(floor * 0.9, ARTICLE_UPDATE_MS * 9)
    axes.set_xlim(0.4, max(one.number for one in shown.outcomes) + 0.6)
    ticks = [power for power in (1, 10, 100, 1_000, 10_000) if power >= floor]
    axes.set_yticks(ticks, [_ms(tick) for tick in ticks])
    axes.minorticks_off()
    _minutes_below(axes, shown, pad=20)
    axes.grid(axis="x", visible=False)
    axes.legend(
        handles=[
            Patch(color=_BLUE, label="until the record is valid on the winner's own peer"),
            Patch(color="#aab4c3", label="not counted: the relay had fallen silent"),
        ],
        loc="upper right",
        frameon=False,
        fontsize=8.5,
        ncols=2,
    )


_CELLS: Final[dict[str, tuple[str, str]]] = {
    "won": (_BLUE, "recorded"),
    "same": ("#a9d3c3", "attested"),
    "later": ("#dcebe5", "attested later"),
    "other": (_RED, "told another text"),
    "none": ("#eef1f5", "said nothing"),
}
_VERDICTS: Final = {"confirmed": (_GREEN, "✓"), "disputed": (_AMBER, "?"), "open": ("#aab4c3", "…")}


def _draw_voices(axes: Axes, shown: Shown) -> None:
    servers = shown.cast.servers
    for outcome in shown.outcomes:
        for row, server in enumerate(servers):
            voice = outcome.voices[server]
            colour, _ = _CELLS[voice]
            if voice == "other" and outcome.status == "disputed":
                colour = _AMBER  # of two texts neither is the true one
            _cell(axes, outcome.number, row, colour)
            # The winner of a race that it won by a lie is both.
            if outcome.winner == server:
                axes.text(
                    outcome.number, row, "1st", ha="center", va="center", color="white", fontsize=9, fontweight="bold"
                )
        colour, mark = _VERDICTS[outcome.status]
        _cell(axes, outcome.number, len(servers) + 0.25, colour)
        axes.text(
            outcome.number, len(servers) + 0.25, mark, ha="center", va="center", color="white", fontsize=12,
            fontweight="bold",
        )  # fmt: skip
    axes.set_ylim(len(servers) + 0.85, -0.6)
    axes.set_xlim(0.4, max(one.number for one in shown.outcomes) + 0.6)
    axes.set_yticks([*range(len(servers)), len(servers) + 0.25], [*(f"server {name}" for name in servers), "verdict"])
    axes.tick_params(length=0)
    axes.grid(visible=False)
    for spine in axes.spines.values():
        spine.set_visible(False)
    _minutes_below(axes, shown, pad=2)
    axes.legend(
        handles=[
            *(Patch(color=colour, label=label) for colour, label in _CELLS.values()),
            *(Patch(color=colour, label=name) for name, (colour, _) in _VERDICTS.items() if name != "open"),
        ],
        loc="lower center",
        bbox_to_anchor=(0.5, 1.0),
        ncols=7,
        columnspacing=1.4,
        handlelength=1.2,
        frameon=False,
        fontsize=9,
    )


def _cell(axes: Axes, column: float, row: float, colour: str) -> None:
    axes.add_patch(
        FancyBboxPatch(
            (column - 0.42, row - 0.36),
            0.84,
            0.72,
            boxstyle="round,pad=0,rounding_size=0.09",
            color=colour,
            linewidth=0,
        )
    )


def _minutes_below(axes: Axes, shown: Shown, *, pad: float) -> None:
    labels = [f"{outcome.number}\n{_time(outcome.minute):%H:%M}" for outcome in shown.outcomes]
    axes.set_xticks([outcome.number for outcome in shown.outcomes], labels)
    axes.tick_params(axis="x", length=0, pad=pad)


def _has(shown: Shown, number: int) -> bool:
    return any(outcome.number == number for outcome in shown.outcomes)


def _time(minute: int) -> datetime:
    return datetime.fromtimestamp(minute * 60, UTC)


def _ms(value: float) -> str:
    if value < _MS_IN_S:
        return f"{value:.0f} ms"
    return f"{value / _MS_IN_S:.0f} s" if value % _MS_IN_S == 0 else f"{value / _MS_IN_S:.1f} s"
