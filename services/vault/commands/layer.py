"""``gridledger vault layer``: a head shares its share of a layer 1 object again among its cluster."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_json
from services.vault.commands.network_options import add_network, opened
from services.vault.commands.options import new_parser
from services.vault.dealer import Dealer
from services.vault.layering import layer_below


def main(argv: list[str]) -> int:
    """Share a head's share again; the exit code."""
    parser = new_parser(
        "layer",
        "As a head: read the own share of a layer 1 object, and share it among the own cluster as OBJECT.HEAD. "
        "'get --layered' takes it from there where the head does not serve.",
        ("layer plan --head m1-head --identity companions/m1/identities/m1-head",),
    )
    parser.add_argument("object", metavar="OBJECT", help="the layer 1 object")
    parser.add_argument("--head", required=True, metavar="NAME", help="the head's name as a holder")
    add_network(parser, "the network's first user, which is none: give the head's")
    options = parser.parse_args(argv)
    if options.user is None and options.identity is None:
        parser.error("give the head's identity by --identity or --user")
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        say(f"{told['object']} stored by {len(told['acked'])} of {told['n']} holders: {', '.join(told['acked'])}")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with opened(options) as session, Dealer(session) as dealer:
        sending = await layer_below(session, dealer, options.object, options.head)
        await dealer.finish()
    return sending.to_dict()
