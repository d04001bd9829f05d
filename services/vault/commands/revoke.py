"""``gridledger vault revoke``: a holder serves and gets nothing any more, or a reader reads nothing."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_json
from services.vault.commands.network_options import add_network, opened_as_base
from services.vault.commands.options import new_parser


def main(argv: list[str]) -> int:
    """Revoke; the exit code."""
    parser = new_parser(
        "revoke",
        "Revoke a holder, or a reader by the SHA-256 of its certificate, for good. It gets no share and no read "
        "any more. What it was given it can keep: reshare its objects (gridledger vault cycle --reshare changed).",
        ("revoke m1-visible-2 --reason 'found opened'", "revoke --certificate 5f... --reason 'left the company'"),
    )
    parser.add_argument("holder", nargs="?", metavar="NAME", help="the holder")
    parser.add_argument(
        "--certificate", metavar="SHA256", help="the certificate of a reader, dealer or base in place of it"
    )
    parser.add_argument("--reason", required=True, metavar="TEXT", help="why; it stands on the ledger")
    add_network(parser, "the base, enrolled if need be")
    options = parser.parse_args(argv)
    if (options.holder is None) == (options.certificate is None):
        parser.error("name a holder, or give --certificate")
    record = asyncio.run(_run(options))
    if options.as_json:
        say_json(record)
    else:
        say(f"{options.holder or options.certificate} is revoked; its objects are due for resharing (vault health)")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with opened_as_base(options) as session:
        return await session.ledger.revoke(options.reason, holder=options.holder, certificate=options.certificate)
