"""``gridledger relay compare``: the operator's power-quality report beside the ledger."""

from __future__ import annotations

import argparse
import asyncio
import sys
from collections.abc import Sequence
from pathlib import Path

from gridledger.cli.output import note, say, say_json
from gridledger.command_line import EXIT_FAILED, one_line
from gridledger.field.capture import MEASURES, parse_capture
from services.relay.commands.comparison import DEFAULT_TOLERANCE, Difference, Window, difference_of
from services.relay.commands.options import add_reading, new_parser
from services.relay.commands.quality_report import ReportRow, read_report
from services.relay.commands.reaching import gaps_of, opened, pages_of_captures, relay_named
from services.relay.ledger import RelayLedger
from services.relay.statistics import SHARE_OUTSIDE, Limits

_PAGE = 200


def main(argv: list[str]) -> int:
    """Tell each difference; exit code 1 where there is one, or a row that cannot be used."""
    parser = new_parser(
        "compare",
        "Compare an operator's power-quality report with the ledger. The report is a CSV file with the columns "
        "from,to,measure,statistic,value,unit;\nits windows have 10 minutes, an hour or a week, its statistics are "
        "min, mean, max, p95 and share_outside (of the relay's limits).\nThe exit code is 1 where something differs.",
        (
            "compare report.csv",
            "compare report.csv --tolerance F=0.01 --tolerance share_outside=0.005 --json",
        ),
    )
    parser.add_argument("file", type=Path, metavar="REPORT.csv", help="the report")
    add_reading(parser)
    parser.add_argument(
        "--tolerance",
        dest="tolerances",
        type=_tolerance,
        action="append",
        default=[],
        metavar="NAME=VALUE",
        help=f"how far a measure, or share_outside, may be off, in its unit (default: {DEFAULT_TOLERANCE} each)",
    )
    options = parser.parse_args(argv)
    rows, bad = read_report(options.file)
    windows, differences = asyncio.run(_compare(options, rows)) if rows else ([], [])
    if options.as_json:
        say_json(
            {
                "rows": len(rows),
                "differences": [item.to_dict() for item in differences],
                "bad": [{"line": item.line, "field": item.field, "why": item.why} for item in bad],
                "windows": [window.to_dict() for window in windows],
            }
        )
    else:
        for difference in differences:
            say(one_line(str(difference)))
        for window in windows:
            for remark in window.remarks():
                note(f"note: {remark}")
        unusable = f"; {len(bad)} cannot be used" if bad else ""
        note(f"{len(rows) - len(differences)} of {len(rows) + len(bad)} rows agree with the ledger{unusable}")
    for row in bad:
        sys.stderr.write(f"error: {one_line(str(row))}\n")
    return EXIT_FAILED if differences or bad else 0


def _tolerance(text: str) -> tuple[str, float]:
    name, _, value = text.partition("=")
    known = (*MEASURES, SHARE_OUTSIDE)
    try:
        number = float(value)
    except ValueError:
        number = -1.0
    if name not in known or not 0.0 <= number < float("inf"):
        raise argparse.ArgumentTypeError(f"give NAME=VALUE with one of {', '.join(known)} and a number from 0 on")
    return name, number


async def _compare(options: argparse.Namespace, rows: Sequence[ReportRow]) -> tuple[list[Window], list[Difference]]:
    """Each window is read once, with one page of captures held at a time; the differences are in the report's order."""
    differences: list[Difference] = []
    windows: list[Window] = []
    rows_of: dict[tuple[int, int], list[ReportRow]] = {}
    for row in rows:
        rows_of.setdefault(row.window, []).append(row)
    async with opened(options) as ledger:
        record = await ledger.get_relay(await relay_named(ledger, options.relay))
        limits: dict[str, Limits] = {name: (low, high) for name, (low, high) in record["limits"].items()}
        for begin, end in sorted(rows_of):
            window = await read_window(ledger, str(record["relay"]), begin, end)
            found = (difference_of(row, window, limits, dict(options.tolerances)) for row in rows_of[begin, end])
            differences += [difference for difference in found if difference is not None]
            # What it tells is kept, its values are not: there may be many windows.
            window.values.forget()
            windows.append(window)
    return windows, sorted(differences, key=lambda difference: difference.row.line)


async def read_window(ledger: RelayLedger, relay: str, begin: int, end: int) -> Window:
    """The ledger's readings of a window: of the texts of record, and where there is no verdict yet of the recorder's.
    Disputed captures are left out."""
    window = Window(begin, end)
    async for page in pages_of_captures(ledger, relay, begin, end, texts=True, limit=_PAGE):
        for item in page:
            if item["status"] == "disputed":
                window.disputed.append(int(item["minute"]))
                continue
            window.unconfirmed += item["status"] == "open"
            # The ledger has judged its times, under the record that held then.
            window.values.add(parse_capture(item["text"], strict=False))
    window.gaps = [gap async for gap in gaps_of(ledger, relay, begin, end)]
    return window
