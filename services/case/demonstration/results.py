"""What the demonstration leaves: the timeline, the report, drawings."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

from gridledger.files import write_atomically
from services.case.report import charts
from services.case.report.dossier import Dossier, Drawing
from services.case.report.page import write_case_report
from services.case.rows import Row
from services.case.rules.finding import Finding
from services.case.rules.gps import Measured
from services.case.timeline import csv_head, csv_line

REPORT: Final = "report.html"
TIMELINE: Final = "timeline.csv"
CLOCK: Final = "clock.png"
_CLOCK_LEAD: Final = (
    "The angle by which the ends of each line are turned against one another, more than its current and impedance say. "
    "Red: the lines of the accused PMU, whose clock ran away by 1 us/s."
)


def write(out: Path, dossier: Dossier, spoof: Finding | None, measured: Measured | None) -> None:
    """Write all of it; the folder exists. ``spoof`` is the finding about a PMU's clock, with what was measured."""
    write_timeline(out / TIMELINE, dossier.rows)
    if spoof is not None and measured is not None:
        draw = charts.draw_misfits(measured, spoof)
        charts.write_png(out / CLOCK, draw)
        dossier = replace(
            dossier, drawings=[Drawing("A PMU's clock", _CLOCK_LEAD, charts.svg(draw)), *dossier.drawings]
        )
    write_case_report(out / REPORT, dossier)


def write_timeline(path: Path, rows: Sequence[Row]) -> None:
    """All rows, in order."""
    write_atomically(path, (csv_head() + "".join(map(csv_line, rows))).encode())
