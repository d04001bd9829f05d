"""``gridledger relay export``: the captures of a range in a file, page by page."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any, BinaryIO, Protocol

from gridledger.cli.output import note, say, say_json
from gridledger.errors import InputError
from gridledger.extras import require_extra
from gridledger.field.minutes import range_text
from services.relay.commands.article_file import ArticleFile
from services.relay.commands.clock import minute_now
from services.relay.commands.files import written_whole
from services.relay.commands.options import add_range, add_reading, new_parser
from services.relay.commands.reaching import opened, pages_of_captures, relay_named
from services.relay.commands.table_files import CSVFile, ParquetFile

_PAGE = 200
_DAY = 24 * 60


def main(argv: list[str]) -> int:
    """Write the file; it appears once it is whole."""
    parser = new_parser(
        "export",
        "Write the captures of a range of minutes to a file: in the article's chain form, or a row for each reading.",
        (
            "export --csv -o captures.csv --from 2026-11-30T00:00Z --to 2026-12-01T00:00Z",
            "export --parquet -o captures.parquet",
            "export --article -o chain.json && gridledger relay verify chain.json",
        ),
    )
    form = parser.add_mutually_exclusive_group(required=True)
    form.add_argument("--article", dest="form", action="store_const", const="article", help="the article's chain, JSON")
    form.add_argument("--csv", dest="form", action="store_const", const="csv", help="CSV, a row for each reading")
    form.add_argument("--parquet", dest="form", action="store_const", const="parquet", help="Parquet (extra relay)")
    parser.add_argument("-o", "--output", type=Path, required=True, metavar="FILE", help="where to")
    add_reading(parser)
    add_range(parser, "a day before")
    options = parser.parse_args(argv)
    if options.form == "parquet":
        require_extra("relay", "gridledger relay export --parquet")
    end = minute_now() + 1 if options.end is None else options.end
    begin = max(0, end - _DAY) if options.begin is None else options.begin
    if begin >= end:
        raise InputError(f"--from: {range_text(begin, end)} is no range of minutes")
    relay, captures = asyncio.run(_export(options, begin, end))
    if options.as_json:
        say_json({"file": str(options.output), "relay": relay, "from": begin, "to": end, "captures": captures})
    else:
        say(f"{options.output}: {captures} captures of {relay}, {range_text(begin, end)}")
    return 0


async def _export(options: argparse.Namespace, begin: int, end: int) -> tuple[str, int]:
    async with opened(options) as ledger:
        record = await ledger.get_relay(await relay_named(ledger, options.relay))
        with written_whole(options.output) as file:
            pages = _told(pages_of_captures(ledger, record["relay"], begin, end, texts=True, limit=_PAGE))
            captures = await write(file, options.form, record, pages)
    return str(record["relay"]), captures


async def _told(pages: AsyncIterator[list[dict[str, Any]]]) -> AsyncIterator[list[dict[str, Any]]]:
    """The pages; every ten are told of on standard error."""
    pages_read = captures = 0
    async for page in pages:
        yield page
        pages_read, captures = pages_read + 1, captures + len(page)
        if pages_read % 10 == 0:
            note(f"{captures} captures")


async def write(file: BinaryIO, form: str, record: dict[str, Any], pages: AsyncIterator[list[dict[str, Any]]]) -> int:
    """Write pages of captures in one of the forms; how many captures there were. One page is held at a time."""
    sink = _sink(file, form, record)
    captures = 0
    async for page in pages:
        sink.add(page)
        captures += len(page)
    sink.close()
    return captures


class _Sink(Protocol):
    def add(self, page: list[dict[str, Any]]) -> None: ...

    def close(self) -> None: ...


def _sink(file: BinaryIO, form: str, record: dict[str, Any]) -> _Sink:
    if form == "article":
        return ArticleFile(file, str(record["relay"]))
    return CSVFile(file, record) if form == "csv" else ParquetFile(file, record)
