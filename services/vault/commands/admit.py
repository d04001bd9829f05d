"""``gridledger vault admit``: let holders in that asked to join."""

from __future__ import annotations

import argparse
import asyncio

from gridledger.cli.output import say, say_json
from services.vault.commands.network_options import add_network, opened_as_base
from services.vault.commands.options import new_parser
from services.vault.setting_up import admit_all


def main(argv: list[str]) -> int:
    """Admit holders; the exit code."""
    parser = new_parser(
        "admit",
        "Admit holders that have joined: they are active from the next cycle. A holder that joined again with another "
        "key or address under its old id is active with it at once.",
        ("admit m1-infrared-3", "admit m1-infrared-3 m1-infrared-4 --json"),
    )
    parser.add_argument("holders", nargs="+", metavar="NAME", help="their names")
    add_network(parser, "the base, enrolled if need be")
    options = parser.parse_args(argv)
    admitted = asyncio.run(_run(options))
    if options.as_json:
        say_json({"admitted": admitted})
    else:
        say(f"admitted: {', '.join(admitted)}; active from the next cycle: gridledger vault cycle")
    return 0


async def _run(options: argparse.Namespace) -> list[str]:
    async with opened_as_base(options) as session:
        return await admit_all(session.ledger, options.holders)
