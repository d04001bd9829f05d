"""``gridledger vault reshare``: new keys and shares for objects, within a cycle."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say, say_json
from gridledger.errors import GridLedgerError
from services.vault.commands.network_options import add_network, opened_as_base
from services.vault.commands.options import new_parser
from services.vault.dealer import Dealer
from services.vault.resharing import reshare
from services.vault.session import why


def main(argv: list[str]) -> int:
    """Reshare objects; exit code 1 where one could not be."""
    parser = new_parser(
        "reshare",
        "Read objects and share them anew among the present holders. Old and new shares never combine; the data pass "
        "through whoever calls: the owner, or the base.",
        ("reshare oil-2026.11", "reshare oil-2026.11 --user Transformer/vault-dealer-M2"),
    )
    parser.add_argument("objects", nargs="+", metavar="OBJECT", help="their names")
    add_network(parser, "the base, enrolled if need be")
    options = parser.parse_args(argv)
    done = asyncio.run(_run(options))
    failed = [each for each in done if "error" in each]
    if options.as_json:
        say_json({"reshared": done})
    else:
        for each in done:
            if "error" not in each:
                say(f"{each['object']} has version {each['version']}: {', '.join(each['acked'])}")
    for each in failed:
        note(f"error: {each['object']} was not reshared: {each['error']}")
    return 1 if failed else 0


async def _run(options: argparse.Namespace) -> list[dict[str, Any]]:
    done: list[dict[str, Any]] = []
    async with opened_as_base(options) as session, Dealer(session) as dealer:
        for name in options.objects:
            try:
                sending = await reshare(session, dealer, name)
                await dealer.finish()
            except GridLedgerError as error:
                done.append({"object": name, "error": why(error)})
            else:
                done.append(sending.to_dict())
    return done
