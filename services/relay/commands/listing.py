"""What the commands that list all of something share: their options, the pages, and the note that there are more."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Awaitable, Callable, Sequence
from typing import Any

from gridledger.cli.output import note, say_json, say_table
from gridledger.client.application import Answer
from services.relay.commands.options import add_reading, count_up_to
from services.relay.commands.reaching import items_up_to, opened, relay_named
from services.relay.ledger import RelayLedger

_MOST = 10_000

PageOf = Callable[[RelayLedger, str, str | None], Awaitable[Answer]]
"""A page of a relay's items, from a bookmark on."""


def list_items(
    parser: argparse.ArgumentParser,
    argv: Sequence[str],
    page_of: PageOf,
    columns: Sequence[str],
    row_of: Callable[[Answer], Sequence[Any]],
) -> int:
    """Parse the command line and list a relay's items; the exit code."""
    add_reading(parser)
    parser.add_argument(
        "--limit", type=count_up_to(_MOST), default=500, metavar="N", help="at most so many (default: %(default)s)"
    )
    options = parser.parse_args(argv)
    relay, items, more = asyncio.run(_read(options, page_of))
    if options.as_json:
        say_json({"relay": relay, "items": items, "more": more})
    else:
        say_table(columns, (row_of(item) for item in items))
    if more:
        note("note: there are more; raise --limit")
    return 0


async def _read(options: argparse.Namespace, page_of: PageOf) -> tuple[str, list[Answer], bool]:
    async with opened(options) as ledger:
        relay = await relay_named(ledger, options.relay)
        items, more = await items_up_to(lambda mark: page_of(ledger, relay, mark), options.limit)
    return relay, items, more
