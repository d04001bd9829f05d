"""``gridledger vault abandon``: nobody reads an object any more, and its shares are deleted."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_json
from gridledger.client import load_profile
from services.vault.commands.network_options import add_network, first_user, opened
from services.vault.commands.options import new_parser
from services.vault.described import dealer_identity


def main(argv: list[str]) -> int:
    """Abandon an object; the exit code."""
    parser = new_parser(
        "abandon",
        "Give an object up, for good: its holders delete their shares and say so. Its owner may; the base where it was "
        "never stored.",
        ("abandon oil-2026.11 --reason 'kept for ten years'",),
    )
    parser.add_argument("object", metavar="OBJECT", help="its name")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands on the ledger")
    add_network(parser, "the dealer of its cluster, enrolled if need be")
    options = parser.parse_args(argv)
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        say(f"{told['object']} is abandoned; its holders delete their shares")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    if options.user is None and options.identity is None:
        async with opened(options, first_user) as session:
            cluster = str((await session.ledger.get_object(options.object))["cluster"])
        options.identity = (await dealer_identity(load_profile(options.directory), cluster)).directory
    async with opened(options) as session:
        return await session.ledger.abandon(options.object, options.reason)
