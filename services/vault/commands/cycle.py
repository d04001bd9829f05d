"""``gridledger vault cycle``: the next cycle begins."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say, say_json
from services.vault.commands.network_options import add_network, key_value, opened_as_base
from services.vault.commands.options import new_parser
from services.vault.cycling import begin_next
from services.vault.dealer import Dealer
from services.vault.resharing import reshare_each


def main(argv: list[str]) -> int:
    """Begin a cycle; exit code 1 where an object could not be reshared."""
    parser = new_parser(
        "cycle",
        "Begin the next cycle: admitted holders come in, revoked ones go. A head that was revoked is followed by the "
        "next holder of its cluster. Resharing reads objects as the base and gives them new keys and shares.",
        ("cycle", "cycle --rotate-heads --reshare changed", "cycle --head M1=m1-visible-1"),
    )
    parser.add_argument(
        "--rotate-heads", action="store_true", help="each cluster's next holder by name becomes its head"
    )
    parser.add_argument(
        "--head",
        type=key_value,
        action="append",
        default=[],
        metavar="CLUSTER=NAME",
        help="this holder becomes the head",
    )
    parser.add_argument(
        "--without",
        action="append",
        default=[],
        metavar="CLUSTER",
        help="this cluster takes no part in the cycle, as where it has too few holders: nothing is put in it meanwhile",
    )
    parser.add_argument(
        "--reshare",
        choices=("all", "changed"),
        help="then reshare all objects, or those with a holder that was revoked or has another id",
    )
    add_network(parser, "the base, enrolled if need be")
    options = parser.parse_args(argv)
    told = asyncio.run(_run(options))
    failed = [each for each in told["reshared"] if "error" in each]
    if options.as_json:
        say_json(told)
    else:
        counts = ", ".join(f"{each['cluster']} {len(each['holders'])}" for each in told["clusters"])
        say(f"cycle {told['cycle']} has begun: {counts} holders")
        for cluster, head in told["new_heads"].items():
            say(f"{cluster} has the head {head}")
        done = [f"{each['object']} (version {each['version']})" for each in told["reshared"] if "error" not in each]
        if options.reshare:
            say(f"reshared: {', '.join(done) or 'none'}")
    for each in failed:
        note(f"error: {each['object']} was not reshared: {each['error']}")
    return 1 if failed else 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    async with opened_as_base(options) as session, Dealer(session) as dealer:
        begun, heads = await begin_next(
            session.ledger, rotate=options.rotate_heads, heads=dict(options.head), without=options.without
        )
        reshared: list[dict[str, Any]] = []
        if options.reshare:
            reshared = [each async for each in reshare_each(session, dealer, options.reshare)]
            await dealer.finish()
    return {**begun, "new_heads": heads, "reshared": reshared}
