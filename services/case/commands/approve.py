"""``gridledger case approve``: the authority lets a case be searched."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_json
from services.case.callers import who
from services.case.commands.network_options import add_network, opened_cases
from services.case.commands.options import new_parser
from services.case.described import authority_identity


def main(argv: list[str]) -> int:
    """Approve a case; the exit code."""
    parser = new_parser(
        "approve",
        "Approve a case, so that investigators may search in its scope. Whoever opened it does not approve it. Look at "
        "it first: gridledger case show CASE.",
        ("approve 2026-17",),
    )
    parser.add_argument("case", metavar="CASE", help="its name")
    add_network(parser, "the authority, enrolled if need be")
    options = parser.parse_args(argv)
    approval = asyncio.run(_run(options))
    if options.as_json:
        say_json(approval)
    else:
        say(f"{approval['case']} is approved by {who(approval['by'])}")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with opened_cases(options, authority_identity) as ledger:
        return await ledger.approve(options.case)
