"""``gridledger vault ls``: the objects."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say_json, say_table, time_text
from services.vault.commands.network_options import add_limit, add_network, opened
from services.vault.commands.options import new_parser


def main(argv: list[str]) -> int:
    """List objects; the exit code."""
    parser = new_parser("ls", "List the objects, by name.", ("ls", "ls --cluster M2 --json"))
    parser.add_argument("--cluster", metavar="NAME", help="of one cluster")
    add_limit(parser)
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    items, more = asyncio.run(_run(options))
    if options.as_json:
        say_json({"items": items, "more": more})
    else:
        columns = ("object", "layer", "cluster", "version", "stored", "bytes", "put", "state")
        say_table(columns, (_row(item) for item in items))
    if more:
        note("note: there are more; raise --limit")
    return 0


def _row(item: dict[str, Any]) -> tuple[Any, ...]:
    state = "abandoned" if item["abandoned"] else "stored" if item["stored"] else "not stored"
    return (
        item["object"],
        item["layer"],
        item["cluster"],
        item["version"],
        item["stored"] or "-",
        item["length"],
        time_text(item["time_us"]),
        state,
    )


async def _run(options: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    items: list[dict[str, Any]] = []
    async with opened(options) as session:
        async for item in session.ledger.objects(options.cluster):
            if len(items) == options.limit:
                return items, True
            items.append(item)
    return items, False
