"""``gridledger case open``: say what is to be searched, and why."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_json
from gridledger.client.application import given
from services.case.commands.network_options import add_network, add_times, opened_cases
from services.case.commands.options import new_parser
from services.case.described import investigator_identity


def main(argv: list[str]) -> int:
    """Open a case; the exit code."""
    parser = new_parser(
        "open",
        "Open a case: its purpose, and the scope that its searches stay in. Nothing can be asked before the authority "
        "has approved it, by somebody else than who opened it.",
        (
            "open 2026-17 --purpose 'breakers opened' --channel access --from 2026-11-23T00:00Z --to 2026-11-30T00:00Z",
            "open 2026-18 --purpose theft --channel section-home --from 1796000000000000 --to 1796600000000000",
        ),
    )
    parser.add_argument("case", metavar="CASE", help="its name")
    parser.add_argument("--purpose", required=True, metavar="TEXT", help="why; it stands on the ledger")
    parser.add_argument("--channel", dest="channels", nargs="+", required=True, metavar="NAME", help="its channels")
    add_times(parser, required=True)
    for option, dest, what in (
        ("--device", "devices", "these devices alone"),
        ("--operator", "operators", "these operators alone"),
        ("--kind", "kinds", "these kinds of events alone, such as login or command"),
    ):
        parser.add_argument(option, dest=dest, nargs="+", metavar="NAME", help=what)
    add_network(parser, "an investigator, enrolled if need be")
    options = parser.parse_args(argv)
    record = asyncio.run(_run(options))
    if options.as_json:
        say_json(record)
    else:
        say(f"{record['case']} is open; the authority approves it: gridledger case approve {record['case']}")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    scope = {"channels": options.channels, "from_us": options.begin, "to_us": options.end}
    scope |= given(devices=options.devices, operators=options.operators, kinds=options.kinds)
    async with opened_cases(options, investigator_identity) as ledger:
        return await ledger.open_case(options.case, options.purpose, scope)
