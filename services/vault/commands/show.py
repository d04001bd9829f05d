"""``gridledger vault show``: one version of an object, as the ledger has it."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_fields, say_json, say_table, time_text
from services.vault.commands.network_options import add_network, opened
from services.vault.commands.options import new_parser


def main(argv: list[str]) -> int:
    """Show a manifest and who acknowledged; the exit code."""
    parser = new_parser(
        "show",
        "Show an object: what stands of it on the ledger. With --json the whole manifest, for an emergency.",
        ("show oil-2026.11", "show oil-2026.11 --json > manifest.json"),
    )
    parser.add_argument("object", metavar="OBJECT", help="its name")
    parser.add_argument("--version", type=int, metavar="N", help="which version (default: the newest)")
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    told, acks = asyncio.run(_run(options))
    if options.as_json:
        say_json({**told, "acks": acks})
        return 0
    say_fields(_fields(told))
    say("")
    acked = {ack["holder"]: ack for ack in acks}
    say_table(
        ("holder", "id", "bytes", "acknowledged", "root"),
        (
            (
                share["holder"],
                share["id"],
                share["bytes"],
                time_text(acked[share["holder"]]["time_us"]) if share["holder"] in acked else "no",
                share["root"],
            )
            for share in told["shares"]
        ),
    )
    return 0


def _fields(told: dict[str, Any]) -> dict[str, Any]:
    fields = {
        "object": f"{told['object']}, version {told['version']} of {told['newest']}, {told['status']}",
        "cluster": f"{told['cluster']}, layer {told['layer']}, cycle {told['cycle']}",
        "shares": f"{told['t']} of {told['n']} join, {told['t'] + told['spare']} must be there; {told['profile']}",
        "bytes": f"{told['length']} in {len(told['parts'])} part(s)",
        "owner": f"{told['owner']['mspid']} {told['owner']['certificate']}",
        "put": time_text(told["time_us"]),
        "readers": told["readers"],
    }
    if told["meta"]:
        fields["meta"] = ", ".join(f"{name}={value}" for name, value in told["meta"].items())
    if told["abandoned"]:
        fields["abandoned"] = told["abandoned"]["reason"]
    return fields


async def _run(options: argparse.Namespace) -> tuple[dict[str, Any], list[dict[str, Any]]]:
    async with opened(options) as session:
        told = await session.ledger.get_object(options.object, options.version)
        acks = await session.ledger.get_acks(options.object, told["version"])
    return told, acks["acks"]
