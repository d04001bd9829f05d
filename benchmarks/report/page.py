"""The report's page: one self-contained HTML file. The templates escape all text that comes from outside."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from jinja2 import Environment, FileSystemLoader, StrictUndefined
from markupsafe import Markup

from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.results import BenchmarkReport, Load
from benchmarks.report import wording
from benchmarks.report.pictures import latency, throughput, timeline
from benchmarks.report.style import STYLE, inline_svg

TEMPLATES = Path(__file__).parent / "templates"
_TONES = {name: number for number, name in enumerate(TOPOLOGIES)}
"""The page's colours by topology."""
_PACED_TX_S = 100.0
"""The rate for which the project's goals state a latency."""


def environment() -> Environment:
    """The templates of this folder; they escape everything, and a missing name is an error."""
    made = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    made.filters.update(
        number=wording.number,
        ms=wording.milliseconds,
        share=wording.share,
        mib=wording.mebibytes,
        kb=wording.kilobytes,
    )
    made.globals.update(offer_of=wording.offer_of, facts=facts, css=_css(), tones=_TONES)
    return made


def report_page(report: BenchmarkReport) -> str:
    """The whole page as HTML."""
    pictures, timelines = {}, []
    with mpl.rc_context(STYLE):
        if report.loads:
            pictures["throughput"] = _picture(throughput(report.loads), "throughput", "Throughput of all loads")
            pictures["latency"] = _picture(latency(report.loads), "latency", "Latency of all loads")
        for index, load in enumerate(report.loads, 1):
            text = f"{wording.name_of(load)}: each second"
            timelines.append(_picture(timeline(load), f"load-{index}", text) if load.seconds else None)
    return (
        environment()
        .get_template("report.html.j2")
        .render(
            report=report,
            headlines=headlines(report.loads),
            pictures=pictures,
            timelines=timelines,
            warnings=[(wording.name_of(load), texts) for load in report.loads if (texts := load.warnings())],
            dirty=str(report.machine.get("commit", "")).endswith("-dirty"),
        )
    )


def headlines(loads: Sequence[Load]) -> list[dict[str, Any]]:
    """For each topology, of its ComputeVSI loads (or else those of its first workload): the load with the highest
    throughput, and the paced load closest to 100 tx/s."""
    found = []
    for topology in dict.fromkeys(load.topology for load in loads):
        mine = [load for load in loads if load.topology == topology]
        workload = next((load.workload for load in mine if load.workload == "ComputeVSI"), mine[0].workload)
        mine = [load for load in mine if load.workload == workload]
        paced = [load for load in mine if load.offered_tx_s is not None and load.latency is not None]
        calm = min(paced, key=lambda load: abs((load.offered_tx_s or 0) - _PACED_TX_S), default=None)
        peak = max(mine, key=lambda load: load.tx_s)
        found.append({"topology": topology, "workload": workload, "peak": peak, "calm": calm})
    return found


def facts(machine: Mapping[str, Any]) -> list[tuple[str, str]]:
    """The machine's entries as names and texts; the seconds of a signature in microseconds."""
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
    # matplotlib escapes the text in its SVG, inline_svg escapes what it adds.
    return Markup(inline_svg(figure, name, description))  # noqa: S704


def _css() -> Markup:
    return Markup((TEMPLATES / "page.css").read_text(encoding="utf-8"))  # noqa: S704 - our own file
