"""Draws a report again from its results: ``python -m benchmarks.commands.report REPORT.json [--out DIR]``."""

from __future__ import annotations

import argparse
import sys
from pathlib import Path

from pydantic import ValidationError

from benchmarks.measure.results import BenchmarkReport
from benchmarks.report import write_report


def main() -> int:
    """Read the results, write the report, print where it is; the exit code."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.commands.report", description=__doc__)
    parser.add_argument("report", type=Path, help="a report.json")
    parser.add_argument("--out", type=Path, help="folder to write (default: the report's own)")
    options = parser.parse_args()
    try:
        report = BenchmarkReport.model_validate_json(options.report.read_bytes())
    except (OSError, ValidationError) as error:
        print(f"error: {options.report} is no report: {error}", file=sys.stderr)
        return 1
    folder = options.out or options.report.parent
    write_report(report, folder)
    print(f"{folder / 'report.html'}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
