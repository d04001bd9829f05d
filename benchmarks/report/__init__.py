"""A benchmark's report: JSON, one self-contained page, pictures, tables."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure.results import Report
from benchmarks.report.page import report_page
from benchmarks.report.plots import write_pictures
from benchmarks.report.tables import write_tables

__all__ = ["write_report"]


def write_report(report: Report, folder: Path) -> None:
    """Write report.json, report.html, the pictures (PNG) and the tables (CSV) into a folder, made where it is missing.

    Files of an earlier report there are replaced. OSError if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.model_dump_json(indent=1), encoding="utf-8")
    write_tables(report, folder)
    write_pictures(report, folder)
    (folder / "report.html").write_text(report_page(report), encoding="utf-8")
