"""``gridledger case queries`` and ``findings``: what was asked in a case, and what came of it."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say_json, say_table, time_text
from services.case.callers import who
from services.case.commands.network_options import add_limit, add_network, opened_cases, up_to
from services.case.commands.options import new_parser


def queries(argv: list[str]) -> int:
    """List a case's queries; the exit code."""
    options = _options(
        argv, "queries", "List what was asked in a case, by time. Each stood on the ledger before it was looked up."
    )
    items, more = asyncio.run(_run(options, findings=False))
    rows = ((time_text(item["time_us"]), who(item["by"]), item["text"]) for item in items)
    return _say(options, ("asked", "by", "query"), rows, items, more=more)


def findings(argv: list[str]) -> int:
    """List a case's findings; the exit code."""
    options = _options(
        argv, "findings", "List what was found in a case, by time, and how many transactions its packages disclose."
    )
    items, more = asyncio.run(_run(options, findings=True))
    rows = (
        (
            time_text(item["time_us"]),
            item["title"],
            item["package_sha256"],
            sum(len(each["transactions"]) for each in item["disclosed"]),
        )
        for item in items
    )
    return _say(options, ("recorded", "title", "package", "disclosed"), rows, items, more=more)


def _options(argv: list[str], name: str, description: str) -> argparse.Namespace:
    parser = new_parser(name, description, (f"{name} 2026-17", f"{name} 2026-17 --json"))
    parser.add_argument("case", metavar="CASE", help="the case's name")
    add_limit(parser)
    add_network(parser, "the network's first user")
    return parser.parse_args(argv)


def _say(options: argparse.Namespace, columns: tuple[str, ...], rows: Any, items: list[Any], *, more: bool) -> int:
    if options.as_json:
        say_json({"case": options.case, "items": items, "more": more})
    else:
        say_table(columns, rows)
    if more:
        note("note: there are more; raise --limit")
    return 0


async def _run(options: argparse.Namespace, *, findings: bool) -> tuple[list[dict[str, Any]], bool]:
    async with opened_cases(options) as ledger:
        found = ledger.findings(options.case) if findings else ledger.queries(options.case)
        return await up_to(options.limit, found)
