"""``gridledger case close``: nothing more is asked in a case."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_json
from services.case.commands.network_options import add_network, opened_cases
from services.case.commands.options import new_parser
from services.case.described import investigator_identity


def main(argv: list[str]) -> int:
    """Close a case; the exit code."""
    parser = new_parser(
        "close",
        "Close a case for good: it takes no more queries and findings. So a case that is not approved is turned down.",
        ("close 2026-17 --reason 'handed to the court'", "close 2026-18 --user Authority/forensics-authority"),
    )
    parser.add_argument("case", metavar="CASE", help="its name")
    parser.add_argument("--reason", metavar="TEXT", help="why; it stands on the ledger")
    add_network(parser, "an investigator, enrolled if need be")
    options = parser.parse_args(argv)
    closed = asyncio.run(_run(options))
    if options.as_json:
        say_json(closed)
    else:
        say(f"{closed['case']} is closed")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with opened_cases(options, investigator_identity) as ledger:
        return await ledger.close_case(options.case, options.reason)
