"""The report of a benchmark: its results as JSON, a self-contained page, pictures and tables."""

from __future__ import annotations

from pathlib import Path

from benchmarks.measure.results import BenchmarkReport
from benchmarks.report.page import report_page
from benchmarks.report.pictures import write_pictures
from benchmarks.report.tables import write_tables

__all__ = ["write_report"]


def write_report(report: BenchmarkReport, folder: Path) -> None:
    """Write report.json, report.html, the pictures (PNG) and the tables (CSV) into a folder, which is made if missing.

    Files of an earlier report are replaced. Raises OSError if the folder cannot be written.
    """
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "report.json").write_text(report.model_dump_json(indent=1), encoding="utf-8")
    write_tables(report, folder)
    write_pictures(report, folder)
    (folder / "report.html").write_text(report_page(report), encoding="utf-8")
