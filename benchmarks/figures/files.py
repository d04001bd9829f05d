"""The figures as files: pictures, tables, and one self-contained page."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup

from benchmarks.figures.panels import Results, one_panel, two_panels
from benchmarks.figures.point_store import MeasuredPoint
from benchmarks.figures.sweeps import NAMES, Sweep, read_thesis
from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.report.page import environment
from benchmarks.report.style import STYLE, inline_svg, save
from benchmarks.report.tables import Row, write_csv


def write_figures(
    sweeps: Sequence[Sweep],
    results: Results,
    folder: Path,
    *,
    machine: Mapping[str, Any],
    configuration: Mapping[str, Any],
    remarks: Sequence[str] = (),
) -> None:
    """Write SWEEP.png and SWEEP.csv for each sweep, and figures.html with all. ``remarks`` go on top of the page."""
    folder.mkdir(parents=True, exist_ok=True)
    shown = []
    with mpl.rc_context(STYLE):
        for sweep in sweeps:
            mine = {point: measured for point, measured in results.items() if point.sweep == sweep.name}
            save(two_panels(sweep, mine), folder / f"{sweep.name}.png")
            rows = rows_of(sweep, mine)
            write_csv(folder / f"{sweep.name}.csv", rows)
            shown.append(_section(sweep, mine, rows))
    page = environment().get_template("figures.html.j2")
    text = page.render(
        sections=shown,
        machine=machine,
        configuration=configuration,
        remarks=remarks,
        topologies=list(TOPOLOGIES),
        names=NAMES,
        note=read_thesis()[1],
        failures=[measured for measured in results.values() if measured.failure],
        limited=[measured for measured in results.values() if measured.load and measured.load.busy_generators],
    )
    (folder / "figures.html").write_text(text, encoding="utf-8")


def rows_of(sweep: Sweep, results: Results) -> list[Row]:
    """A row for each topology and x with the thesis's values and ours, which are empty where nothing was measured."""
    found = {(point.topology, point.x): measured for point, measured in results.items()}
    rows = []
    for topology in TOPOLOGIES:
        curve = topology.replace("-", "_")
        thesis = zip(sweep.curves.tps[curve], sweep.curves.latency_s[curve], strict=True)
        for x, (tps, latency) in zip(sweep.curves.x, thesis, strict=True):
            measured = found.get((topology, x))
            rows.append({"topology": topology, "x": x, **_ours(measured), "thesis_tx_s": tps, "thesis_mean_s": latency})
    return rows


def _ours(measured: MeasuredPoint | None) -> Row:
    load = measured.load if measured else None
    times = load.latency if load else None
    return {
        "transactions": measured.transactions if measured else None,
        "tx_s": load.tx_s if load else None,
        "mean_s": times.mean_ms / 1000 if times else None,
        "p99_s": times.p99_ms / 1000 if times else None,
        "success": load.success if load else None,
        "invalid": sum(load.invalid.values()) if load else None,
        "refused": sum(load.refused.values()) if load else None,
        "generator_cores": load.generator_cores if load else None,
        "generator_busiest": max((use.cores for use in load.generators), default=None) if load else None,
        "commit": measured.basis.commit if measured else None,
        "failure": measured.failure if measured else None,
    }


def _section(sweep: Sweep, results: Results, rows: Sequence[Row]) -> dict[str, Any]:
    pictures = {
        quantity: Markup(  # noqa: S704 - matplotlib escapes its text
            inline_svg(one_panel(sweep, results, quantity), f"{sweep.name}-{quantity}", f"{sweep.title}: {quantity}")
        )
        for quantity in ("throughput", "latency")
    }
    shortened = sorted({point.x for point, measured in results.items() if measured.transactions < point.asked})
    return {
        "sweep": sweep,
        "pictures": pictures,
        "rows": rows,
        "shortened": shortened,
        "measured": sum(measured.load is not None for measured in results.values()),
    }
