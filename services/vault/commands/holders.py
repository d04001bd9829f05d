"""``gridledger vault holders``: who holds shares, who waits to be admitted, who was revoked."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say_json, say_table
from services.vault.commands.network_options import add_network, opened
from services.vault.commands.options import new_parser


def main(argv: list[str]) -> int:
    """List holders; the exit code."""
    parser = new_parser("holders", "List the holders, those that wait included.", ("holders", "holders --cluster M1"))
    parser.add_argument("--cluster", metavar="NAME", help="of one cluster")
    add_network(parser, "the network's first user")
    options = parser.parse_args(argv)
    found = asyncio.run(_run(options))
    if options.as_json:
        say_json({"items": found})
        return 0
    columns = ("holder", "cluster", "id", "role", "state", "suspected by", "at")
    say_table(columns, (_row(each) for each in found))
    return 0


def _row(told: dict[str, Any]) -> tuple[Any, ...]:
    suspects = ", ".join(told["suspected_by"]) or "-"
    return (told["holder"], told["cluster"], told["id"], told["role"], told["state"], suspects, told["url"])


async def _run(options: argparse.Namespace) -> list[dict[str, Any]]:
    async with opened(options) as session:
        ledger = session.ledger
        records = [record async for record in ledger.holders(options.cluster)]
        waiting = [join async for join in ledger.joins() if options.cluster in (None, join["cluster"])]
        told = await asyncio.gather(*(ledger.get_holder(record["holder"]) for record in records))
    suspected = {each["holder"]: [said["by"] for said in each["suspicions"]] for each in told}
    known = {record["holder"] for record in records}
    found = [_told(record, _state(record), suspected[record["holder"]]) for record in records]
    found += [_told(join, "joins again" if join["holder"] in known else "joined", []) for join in waiting]
    return sorted(found, key=lambda each: (each["cluster"], each["holder"], each["state"]))


def _state(record: dict[str, Any]) -> str:
    if record["revoked"] is not None:
        return "revoked"
    return "active" if record["active"] else "admitted"


def _told(record: dict[str, Any], state: str, suspected_by: list[str]) -> dict[str, Any]:
    fields = ("holder", "cluster", "id", "role", "mspid", "url")
    return {**{field: record[field] for field in fields}, "state": state, "suspected_by": suspected_by}
