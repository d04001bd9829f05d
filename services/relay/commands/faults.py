"""``gridledger relay faults``: the fault records that servers have stated."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say_json, say_table
from services.relay.commands.options import add_reading, count_up_to, new_parser
from services.relay.commands.reaching import items_up_to, opened, relay_named

_MOST = 10_000
_HASH_SHOWN = 12


def main(argv: list[str]) -> int:
    """List fault records."""
    parser = new_parser(
        "faults",
        "List the fault records (COMTRADE) that servers have stated: hash, station, trigger time, and who has each.",
        ("faults", "faults --relay Rele_1 --json"),
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
            ("trigger time", "station", "device", "samples", "stated by", "sha256"),
            (
                (
                    item["trigger_time"],
                    item["station"],
                    item["device"],
                    item["samples"],
                    ", ".join(map(str, item["servers"])),
                    item["sha256"][:_HASH_SHOWN],
                )
                for item in items
            ),
        )
    if more:
        note("note: there are more; raise --limit")
    return 0


async def _read(options: argparse.Namespace) -> tuple[str, list[dict[str, Any]], bool]:
    async with opened(options) as ledger:
        relay = await relay_named(ledger, options.relay)
        items, more = await items_up_to(lambda mark: ledger.get_faults(relay, bookmark=mark), options.limit)
    return relay, items, more
