"""``gridledger vault audit``: have the base ask holders to prove that they have their shares."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger import jsontext
from gridledger.cli.output import note, say_json, say_table
from gridledger.client import load_profile
from gridledger.client.profile import read_roots
from gridledger.transport.node_client import NodeClient, path_of
from services.vault.commands.network_options import add_network, opened_as_base
from services.vault.commands.options import new_parser

_TIMEOUT_S = 60.0


def main(argv: list[str]) -> int:
    """Audit; exit code 1 where a holder did not pass."""
    parser = new_parser(
        "audit",
        "Audit the holders of an object: each gives a hash that only one who has the whole share can give. The base "
        "does it, as it alone has the dealers' commitments; it must run. Exit code 1 where one did not pass.",
        ("audit oil-2026.11", "audit oil-2026.11 --holder m2-head --json"),
    )
    parser.add_argument("object", metavar="OBJECT", help="its name")
    parser.add_argument("--holder", metavar="NAME", help="one holder (default: all that are live and have audits left)")
    add_network(parser, "the base's operator, enrolled if need be")
    options = parser.parse_args(argv)
    told = asyncio.run(_run(options))
    if options.as_json:
        say_json(told)
    else:
        columns = ("holder", "number", "outcome", "finding", "why")
        say_table(columns, (_row(each) for each in told["audits"]))
    for each in told["failed"]:
        note(f"error: {each['holder']} was not audited: {each['why']}")
    passed = all(each["outcome"] == "passed" for each in told["audits"])
    return 0 if passed and not told["failed"] else 1


def _row(each: dict[str, Any]) -> tuple[Any, ...]:
    outcome = each["outcome"] or ("open" if each["finding"] is None else "none")
    return (each["holder"], each["number"], outcome, each["finding"] or "-", each["why"] or "-")


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    profile = load_profile(options.directory)
    async with opened_as_base(options) as session:
        url = str((await session.ledger.get_base())["url"])
        async with NodeClient(url, session.identity, read_roots(profile.roots)) as base:
            path = path_of("objects", options.object, "audit")
            answer = await base.post(path, jsontext.dumps({"holder": options.holder}), timeout_s=_TIMEOUT_S)
    told: dict[str, Any] = jsontext.loads(answer)
    return told
