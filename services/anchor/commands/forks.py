"""``gridledger anchor forks``: sizes at which organisations attested different heads, with both."""

from __future__ import annotations

import argparse
import asyncio
from datetime import UTC, datetime
from typing import Any

from gridledger.cli.output import say, say_json, say_table
from services.anchor.commands.options import identity_of, new_parser
from services.anchor.commands.reaching import reached

_HASH_SHOWN = 16
_US = 1_000_000


def main(argv: list[str]) -> int:
    """Print each fork, a line for each of its heads."""
    parser = new_parser(
        "forks",
        "List the sizes at which a channel's organisations attested different heads: who said which. What was said "
        "stays on the ledger.",
        ("forks shard1",),
    )
    parser.add_argument("channel", metavar="CHANNEL")
    options: argparse.Namespace = parser.parse_args(argv)
    found = asyncio.run(_read(options))
    if options.as_json:
        say_json({"channel": options.channel, "forks": found})
    elif not found:
        say(f"{options.channel} has no fork")
    else:
        rows = [
            (
                datetime.fromtimestamp(fork["time_us"] / _US, UTC).isoformat(timespec="seconds"),
                fork["size"],
                *_head(head),
            )
            for fork in found
            for head in fork["heads"]
        ]
        say_table(("time", "blocks", "root", "said by"), rows)
    return 0


async def _read(options: argparse.Namespace) -> list[dict[str, Any]]:
    profile, signer = await asyncio.to_thread(identity_of, options)
    async with reached(profile, signer) as network:
        network.channels([options.channel])
        return await network.ledger.forks(options.channel)


def _head(head: dict[str, Any]) -> tuple[str, str]:
    return head["root"][:_HASH_SHOWN], ", ".join(head["organisations"])
