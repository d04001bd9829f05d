"""``gridledger vault health``: how many holders of an object can be counted on."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_fields, say_json, say_table
from services.vault.commands.network_options import add_network, opened
from services.vault.commands.options import new_parser


def main(argv: list[str]) -> int:
    """Show health; exit code 1 where fewer holders than t + spare are live."""
    parser = new_parser(
        "health",
        "Show how objects are: acknowledgements, audits, reports. Exit code 1 where one has fewer live holders than "
        "t + spare. What the ledger knows counts: a holder that died since its last audit still counts as live.",
        ("health oil-2026.11", "health --json"),
    )
    parser.add_argument("object", nargs="?", metavar="OBJECT", help="its name (default: all that are not abandoned)")
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    found = asyncio.run(_run(options))
    if options.as_json:
        say_json({"objects": found})
    elif options.object is None:
        columns = ("object", "state", "live", "needed", "of", "readable", "reshare due")
        say_table(columns, (_row(each) for each in found))
    else:
        _say_one(found[0])
    return 0 if all(each["enough"] for each in found) else 1


def _row(told: dict[str, Any]) -> tuple[Any, ...]:
    return (
        told["object"],
        told["status"],
        told["live"],
        told["needed"],
        told["n"],
        "yes" if told["readable"] else "no",
        "yes" if told["reshare_due"] else "no",
    )


def _say_one(told: dict[str, Any]) -> None:
    say_fields(
        {
            "object": f"{told['object']}, version {told['version']}, {told['status']}",
            "live": f"{told['live']} of {told['n']}; {told['t']} join, {told['needed']} are wanted",
            "reshare": "due: a holder was revoked, or has another id" if told["reshare_due"] else "not due",
        }
    )
    say("")
    say_table(
        (
            "holder",
            "live",
            "acknowledged",
            "bad",
            "revoked",
            "repairs",
            "audits passed",
            "failed",
            "unanswered",
            "left",
        ),
        (
            (
                each["holder"],
                *("yes" if each[field] else "no" for field in ("live", "acked", "bad", "revoked")),
                each["repairs"],
                *(each["audits"][field] for field in ("passed", "failed", "unanswered", "left")),
            )
            for each in told["holders"]
        ),
    )


async def _run(options: argparse.Namespace) -> list[dict[str, Any]]:
    async with opened(options) as session:
        if options.object is not None:
            return [await session.ledger.get_health(options.object)]
        names = [item["object"] async for item in session.ledger.objects() if item["abandoned"] is None]
        return [await session.ledger.get_health(name) for name in names]
