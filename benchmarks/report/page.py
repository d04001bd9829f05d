"""The page: everything in one file, nothing fetched from anywhere; all text from outside is escaped by the template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmarks.measure.results import Load, Report
from benchmarks.report import words
from benchmarks.report.look import STYLE, inline_svg
from benchmarks.report.plots import latency, throughput, timeline

TEMPLATES = Path(__file__).parent / "templates"
_CALM_TX_S = 100.0


def environment() -> Environment:
    """Templates of this folder, everything escaped, a missing name an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=words.number, ms=words.milliseconds, share=words.share, mib=words.mebibytes, kb=words.kilobytes
    )
    made.globals.update(
        load_of=words.load_of, success=words.success, generators=words.generators, facts=facts, css=_css()
    )
    return made


def report_page(report: Report) -> str:
    """The whole page as HTML."""
    pictures, timelines = {}, []
    with mpl.rc_context(STYLE):
        if report.loads:
            pictures["throughput"] = _picture(throughput(report.loads), "throughput", "Throughput of all loads")
            pictures["latency"] = _picture(latency(report.loads), "latency", "Latency of all loads")
        for index, load in enumerate(report.loads, 1):
            text = f"{words.name_of(load)}: each second"
            timelines.append(_picture(timeline(load), f"load-{index}", text) if load.seconds else None)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            headlines=headlines(report.loads),
            pictures=pictures,
            timelines=timelines,
            warnings=[(words.name_of(load), texts) for load in report.loads if (texts := words.warnings_of(load))],
            dirty=str(report.machine.get("commit", "")).endswith("-dirty"),
        )
    )


def headlines(loads: Sequence[Load]) -> list[dict[str, Any]]:
    """For each topology, of its ComputeVSI (or else its first workload): the highest throughput, and latency at the
    calmest of the paced loads (that closest to 100 tx/s, the rate for which the goals state latency)."""
    found = []
    for topology in dict.fromkeys(load.topology for load in loads):
        mine = [load for load in loads if load.topology == topology]
        workload = next((load.workload for load in mine if load.workload == "ComputeVSI"), mine[0].workload)
        mine = [load for load in mine if load.workload == workload]
        paced = [load for load in mine if load.offered_tx_s is not None and load.latency is not None]
        calm = min(paced, key=lambda load: abs((load.offered_tx_s or 0) - _CALM_TX_S), default=None)
        peak = max(mine, key=lambda load: load.tx_s)
        found.append({"topology": topology, "workload": workload, "peak": peak, "calm": calm})
    return found


def facts(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The machine's entries in words; seconds of a signature as microseconds."""
    names = {"sign_s": "P-256 signature", "verify_s": "P-256 verification"}
    found = []
    for name, value in machine.items():
        if name.endswith("_s") and isinstance(value, float):
            found.append((names.get(name, name.removesuffix("_s").replace("_", " ")), f"{value * 1e6:.1f} µs"))
        else:
            found.append((name.replace("_", " "), _plain(value)))
    return found


def _plain(value: Any) -> str:
    if isinstance(value, Mapping):
        return ", ".join(f"{name} {_plain(inner)}" for name, inner in value.items()) or "none"
    if isinstance(value, list | tuple):
        return ", ".join(_plain(inner) for inner in value) or "none"
    return "none" if value is None else str(value)


def _picture(figure: Any, name: str, description: str) -> Markup:
    # matplotlib escapes the text in its SVG, inline_svg that which it adds.
    return Markup(inline_svg(figure, name, description))  # noqa: S704


def _css() -> Markup:
    return Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
