"""``gridledger case show``: a case as the ledger has it."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say_fields, say_json, time_text
from services.case.callers import who
from services.case.commands.network_options import add_network, opened_cases
from services.case.commands.options import new_parser


def main(argv: list[str]) -> int:
    """Show a case; the exit code."""
    parser = new_parser("show", "Show a case: purpose, scope, who opened and approved it.", ("show 2026-17",))
    parser.add_argument("case", metavar="CASE", help="its name")
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        say_fields(_fields(told))
    return 0


def _fields(told: dict[str, Any]) -> dict[str, str]:
    scope = told["scope"]
    fields = {
        "case": f"{told['case']}, {told['status']}",
        "purpose": told["purpose"],
        "channels": ", ".join(scope["channels"]),
        "time": f"{time_text(scope['from_us'])} to {time_text(scope['to_us'])}",
        **{name: ", ".join(scope[name]) if scope[name] else "all" for name in ("devices", "operators", "kinds")},
        "opened": f"{time_text(told['opened_us'])} by {who(told['by'])}",
    }
    for what in ("approved", "closed"):
        if told[what]:
            fields[what] = f"{time_text(told[what]['time_us'])} by {who(told[what]['by'])}"
    if told["closed"] and told["closed"]["reason"]:
        fields["reason"] = told["closed"]["reason"]
    return fields


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with opened_cases(options) as ledger:
        return await ledger.get_case(options.case)
