"""``gridledger vault report-lost``: say that a holder is suspected."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_json
from services.vault.commands.network_options import add_network, opened_as_base
from services.vault.commands.options import new_parser


def main(argv: list[str]) -> int:
    """Report a holder; the exit code."""
    parser = new_parser(
        "report-lost",
        "Say on the ledger that a holder is lost or suspected: as the base, or as a holder of its cluster. Nothing "
        "follows of itself; the base decides whether to revoke it.",
        ("report-lost m1-visible-2 --reason 'does not answer since Tuesday' --identity /etc/vault/m1-head",),
    )
    parser.add_argument("holder", metavar="NAME", help="the holder")
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands on the ledger")
    add_network(parser, "the base, enrolled if need be")
    options = parser.parse_args(argv)
    said = asyncio.run(_run(options))
    if options.as_json:
        say_json(said)
    else:
        say(f"{said['by']} suspects {said['holder']}: {said['reason']}")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with opened_as_base(options) as session:
        return await session.ledger.report_lost(options.holder, options.reason)
