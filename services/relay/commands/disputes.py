"""``gridledger relay disputes``: captures on which the servers do not agree."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say_json, say_table
from services.relay.commands.minutes import minute_text
from services.relay.commands.options import add_reading, count_up_to, new_parser
from services.relay.commands.reaching import items_up_to, opened, relay_named

_MOST = 10_000


def main(argv: list[str]) -> int:
    """List the open disputes, oldest first."""
    parser = new_parser(
        "disputes",
        "List the captures of which no text has a quorum. 'show MINUTE' has all texts.",
        ("disputes", "disputes --relay Rele_1 --json"),
    )
    add_reading(parser)
    parser.add_argument(
        "--limit", type=count_up_to(_MOST), default=500, metavar="N", help="at most so many (default: %(default)s)"
    )
    options = parser.parse_args(argv)
    relay, items, more = asyncio.run(_read(options))
    if options.as_json:
        say_json({"relay": relay, "items": items, "more": more})
    else:
        say_table(
            ("minute", "for", "against"),
            ((minute_text(item["minute"]), _names(item["for"]), _names(item["against"])) for item in items),
        )
    if more:
        note("note: there are more; raise --limit")
    return 0


def _names(servers: list[str]) -> str:
    return ", ".join(servers) or "none"


async def _read(options: argparse.Namespace) -> tuple[str, list[dict[str, Any]], bool]:
    async with opened(options) as ledger:
        relay = await relay_named(ledger, options.relay)
        items, more = await items_up_to(lambda mark: ledger.get_disputes(relay, bookmark=mark), options.limit)
    return relay, items, more
