"""``gridledger case export``: rows for other tools, as Timesketch's JSONL or CSV, and beside them what was left out."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any, Final, TextIO

from gridledger import jsontext
from gridledger.cli.output import say, say_json
from gridledger.errors import InputError
from gridledger.files import write_atomically
from services.case.commands.asking import add_question, asked_desk, question_of
from services.case.commands.options import new_parser
from services.case.questions import BLOCK, EXPORT
from services.case.rows import Row
from services.case.timeline import csv_head, csv_line, timesketch

_MOST: Final = 10_000_000
_LISTED: Final = 10_000
"""Rows without a time that the side file lists; it counts all of them."""


def main(argv: list[str]) -> int:
    """Export; the exit code."""
    parser = new_parser(
        "export",
        "Write the rows of a question to a file, and FILE.left-out.json beside it: the Queries, what the rows leave "
        "out, and how far the desk had read. Timesketch takes no row without a time, so those stand in the side file.",
        (
            "export 2026-17 --out timeline.jsonl",
            "export 2026-17 --out timeline.csv --format csv --from 2026-11-30T15:00Z --to 2026-11-30T16:00Z",
        ),
    )
    add_question(parser, limit=1_000_000, most=_MOST)
    parser.add_argument("--out", type=Path, required=True, metavar="FILE", help="the file; it must not be there")
    parser.add_argument(
        "--format", choices=("timesketch", "csv"), default="timesketch", help="of the file (default: %(default)s)"
    )
    options = parser.parse_args(argv)
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        undated = f", {told['undated']} without a time beside it" if told["undated"] else ""
        say(f"{options.out}: {told['rows']} rows{undated}; what is not in it: {_side_file(options.out)}")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    question = question_of(options)
    line = csv_line if options.format == "csv" else _jsonl(by_block=options.by == BLOCK)
    side: dict[str, Any] = {"case": options.case, "question": question.to_dict(), "format": options.format}
    undated: list[dict[str, Any]] = []
    counted = {"rows": 0, "undated": 0}
    queries: list[str] = []
    more = False
    with _new_file(options.out) as file:
        if options.format == "csv":
            file.write(csv_head())
        async with asked_desk(options) as (desk, _):
            async for page in desk.pages(options.case, EXPORT, question, options.limit):
                queries.append(page.query)
                side.setdefault("left_out", page.left_out)
                more, side["read_to"] = page.bookmark is not None, page.read_to
                for row in page.rows:
                    written = line(row)
                    if written is not None:
                        counted["rows"] += 1
                        file.write(written)
                        continue
                    counted["undated"] += 1
                    if len(undated) < _LISTED:
                        undated.append(row.to_dict())
    side |= {**counted, "more": more, "queries": queries}
    write_atomically(_side_file(options.out), jsontext.dumps(side | {"undated_rows": undated}) + b"\n", mode=0o600)
    return side


def _jsonl(*, by_block: bool) -> Callable[[Row], str | None]:
    def line(row: Row) -> str | None:
        told = timesketch(row, by_block)
        return None if told is None else jsontext.dumps(told).decode() + "\n"

    return line


def _new_file(path: Path) -> TextIO:
    try:
        return path.open("x", encoding="utf-8", newline="")
    except FileExistsError:
        raise InputError(f"{path} is there already: name another file, or remove it") from None


def _side_file(path: Path) -> Path:
    return path.with_name(f"{path.name}.left-out.json")
