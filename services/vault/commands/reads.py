"""``gridledger vault reads``: who read, repaired or reshared an object."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say_json, say_table, time_text
from services.vault.commands.network_options import add_limit, add_network, opened
from services.vault.commands.options import new_parser


def main(argv: list[str]) -> int:
    """List reads; the exit code."""
    parser = new_parser(
        "reads",
        "List who was granted a read of an object, when and why, by time. Repairs, reshares and audits are reads, too.",
        ("reads oil-2026.11", "reads oil-2026.11 --json"),
    )
    parser.add_argument("object", metavar="OBJECT", help="its name")
    add_limit(parser)
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    items, more = asyncio.run(_run(options))
    items.sort(key=lambda item: item["granted_us"])
    if options.as_json:
        say_json({"object": options.object, "items": items, "more": more})
    else:
        columns = ("granted", "version", "by", "certificate", "purpose", "read")
        say_table(columns, (_row(item) for item in items))
    if more:
        note("note: there are more; raise --limit")
    return 0


def _row(item: dict[str, Any]) -> tuple[Any, ...]:
    reader = item["reader"]
    return (
        time_text(item["granted_us"]),
        item["version"],
        reader.get("holder") or reader["mspid"],
        reader["certificate"][:16],
        item["purpose"],
        item["read"][:16],
    )


async def _run(options: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    items: list[dict[str, Any]] = []
    async with opened(options) as session:
        async for item in session.ledger.reads(options.object):
            if len(items) == options.limit:
                return items, True
            items.append(item)
    return items, False
