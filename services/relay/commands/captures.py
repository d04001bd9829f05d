"""``gridledger relay captures``: the captures of a range of minutes."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import note, say_json, say_table
from gridledger.field.minutes import minute_text
from services.relay.commands.clock import minute_now
from services.relay.commands.options import add_range, add_reading, count_up_to, new_parser
from services.relay.commands.reaching import PAGE, latest_minute, opened, pages_of_captures, relay_named
from services.relay.ledger import RelayLedger

_MOST = 10_000
_DEFAULT = 60
_DEFAULT_LIMIT = 500
_HASH_SHOWN = 12


def main(argv: list[str]) -> int:
    """List captures, oldest first."""
    parser = new_parser(
        "captures",
        "List captures, the oldest first: who recorded each, and whether the servers agree on it.",
        ("captures", "captures --limit 10", "captures --from 2026-11-30T02:00Z --to 2026-11-30T03:00Z --json"),
    )
    add_reading(parser)
    add_range(parser, f"{_DEFAULT} minutes up to the last capture")
    parser.add_argument(
        "--limit",
        type=count_up_to(_MOST),
        metavar="N",
        help=f"at most so many: from --from on, else the newest (default: {_DEFAULT_LIMIT})",
    )
    options = parser.parse_args(argv)
    relay, items, more = asyncio.run(_read(options))
    if options.as_json:
        say_json({"relay": relay, "items": items, "more": more})
    else:
        say_table(("minute", "server", "faults", "breaches", "status", "sha256"), map(_row, items))
    if more:
        note(f"note: there are more; go on with --from {minute_text(items[-1]['minute'] + 1)}")
    return 0


def _row(item: dict[str, Any]) -> tuple[Any, ...]:
    sha256 = item.get("record_sha256") or item["sha256"]
    minute, breaches = minute_text(item["minute"]), len(item["breaches"])
    return minute, item["server"], f"{item['faults']:g}", breaches, item["status"], sha256[:_HASH_SHOWN]


async def _read(options: argparse.Namespace) -> tuple[str, list[dict[str, Any]], bool]:
    """The relay, its captures up to the limit, and whether there are more."""
    limit = options.limit or _DEFAULT_LIMIT
    async with opened(options) as ledger:
        relay = await relay_named(ledger, options.relay)
        end = options.end or minute_now() + 1
        if options.begin is None:
            return relay, await _newest(ledger, relay, end, options.limit), False
        items: list[dict[str, Any]] = []
        async for page in pages_of_captures(ledger, relay, options.begin, end, limit=min(PAGE, limit + 1)):
            items += page
            if len(items) > limit:
                return relay, items[:limit], True
    return relay, items, False


async def _newest(ledger: RelayLedger, relay: str, end: int, count: int | None) -> list[dict[str, Any]]:
    """The newest ``count`` captures before ``end``, the oldest of them first; without a count those of an hour."""
    last = await latest_minute(ledger, relay, end)
    if last is None:
        return []
    span = count or _DEFAULT
    while True:
        begin = max(0, last + 1 - span)
        pages = [page async for page in pages_of_captures(ledger, relay, begin, last + 1)]
        items = [item for page in pages for item in page]
        if count is None or len(items) >= count or begin == 0:
            return items if count is None else items[-count:]
        span *= 4  # there are gaps, or its periods are longer
