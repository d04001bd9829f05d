"""Writes the figures: pictures, tables, and one self-contained page of all."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import matplotlib as mpl
from markupsafe import Markup

from benchmarks.figures.draw import one_panel, two_panels
from benchmarks.figures.store import Measured
from benchmarks.figures.sweeps import NAMES, TOPOLOGIES, Point, Sweep, read_thesis
from benchmarks.report.look import STYLE, inline_svg, save
from benchmarks.report.page import environment
from benchmarks.report.tables import Row, write_csv
from benchmarks.report.words import NEAR_A_CORE, busiest, invalid, success

Results = Mapping[Point, Measured]


def write_figures(
    sweeps: Sequence[Sweep],
    results: Results,
    folder: Path,
    *,
    machine: Mapping[str, Any],
    configuration: Mapping[str, Any],
    remarks: Sequence[str] = (),
) -> None:
    """SWEEP.png and SWEEP.csv for each sweep, figures.html with all; ``remarks`` stand on top of the page."""
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
        topologies=TOPOLOGIES,
        names=NAMES,
        note=read_thesis()[1],
        failures=[measured for measured in results.values() if measured.failure],
        held_back=_held_back(results),
    )
    (folder / "figures.html").write_text(text, encoding="utf-8")


def rows_of(sweep: Sweep, results: Results) -> list[Row]:
    """A row for each topology and x, of the thesis's values and ours; ours are empty where nothing was measured."""
    found = {(point.topology, point.x): measured for point, measured in results.items()}
    rows = []
    for topology in TOPOLOGIES:
        curve = topology.replace("-", "_")
        thesis = zip(sweep.curves.tps[curve], sweep.curves.latency_s[curve], strict=True)
        for x, (tps, latency) in zip(sweep.curves.x, thesis, strict=True):
            measured = found.get((topology, x))
            rows.append({"topology": topology, "x": x, **_ours(measured), "thesis_tx_s": tps, "thesis_mean_s": latency})
    return rows


def _ours(measured: Measured | None) -> Row:
    load = measured.load if measured else None
    times = load.latency if load else None
    return {
        "transactions": measured.transactions if measured else None,
        "tx_s": load.tx_s if load else None,
        "mean_s": times.mean_ms / 1000 if times else None,
        "p99_s": times.p99_ms / 1000 if times else None,
        "success": success(load) if load else None,
        "invalid": invalid(load) if load else None,
        "refused": sum(load.refused.values()) if load else None,
        "generator_cores": load.generator_cores if load else None,
        "generator_busiest": busiest(load) if load else None,
        "commit": measured.basis.commit if measured else None,
        "failure": measured.failure if measured else None,
    }


def _held_back(results: Results) -> list[Measured]:
    """Points at which the generator may have been what was measured."""
    return [measured for measured in results.values() if measured.load and (busiest(measured.load) or 0) >= NEAR_A_CORE]


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
