"""``gridledger case list``: all cases, by name."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say_json, say_table, time_text
from services.case.callers import who
from services.case.commands.network_options import add_limit, add_network, opened_cases, up_to
from services.case.commands.options import new_parser


def main(argv: list[str]) -> int:
    """List cases; the exit code."""
    parser = new_parser("list", "List the cases, by name.", ("list", "list --json"))
    add_limit(parser)
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    items, more = asyncio.run(_run(options))
    if options.as_json:
        say_json({"items": items, "more": more})
    else:
        say_table(("case", "status", "opened", "by", "purpose"), (_row(item) for item in items))
    if more:
        note("note: there are more; raise --limit")
    return 0


def _row(item: dict[str, Any]) -> tuple[str, ...]:
    return (item["case"], item["status"], time_text(item["opened_us"]), who(item["by"]), item["purpose"])


async def _run(options: argparse.Namespace) -> tuple[list[dict[str, Any]], bool]:
    async with opened_cases(options) as ledger:
        return await up_to(options.limit, ledger.cases())
