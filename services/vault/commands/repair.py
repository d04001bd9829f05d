"""``gridledger vault repair``: put a holder's share together again."""

from __future__ import annotations

import argparse
import asyncio

from gridledger.cli.output import note, say, say_json
from services.vault.commands.network_options import add_network, opened_as_base
from services.vault.commands.options import new_parser
from services.vault.mending import Mended, mend


def main(argv: list[str]) -> int:
    """Repair a share; the exit code."""
    parser = new_parser(
        "repair",
        "Put a holder's share of an object together again, from what t others tell. Neither the base nor anybody else "
        "learns a key share by it. An object of the profile article is repaired by its owner, who reads it.",
        ("repair oil-2026.11 m2-current-1", "repair oil-2026.11 m2-current-1 --version 2 --json"),
    )
    parser.add_argument("object", metavar="OBJECT", help="its name")
    parser.add_argument("holder", metavar="HOLDER", help="whose share")
    parser.add_argument("--version", type=int, metavar="N", help="which version (default: the newest that is stored)")
    add_network(parser, "the base, enrolled if need be")
    options = parser.parse_args(argv)
    mended = asyncio.run(_run(options))
    if options.as_json:
        say_json(mended.to_dict())
    else:
        say(f"{mended.holder} has its share of {mended.object} again, by {', '.join(mended.contributors)}")
    for name in mended.named:
        note(f"warning: {name} sent a wrong message")
    for name in mended.suspects:
        note(f"warning: {name} may have told a wrong value; the repair went on without it")
    return 0


async def _run(options: argparse.Namespace) -> Mended:
    async with opened_as_base(options) as session:
        return await mend(session, options.object, options.holder, options.version)
