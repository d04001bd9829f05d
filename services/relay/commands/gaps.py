"""``gridledger relay gaps``: minutes without a capture."""

from __future__ import annotations

import argparse
import asyncio

from gridledger.cli.output import note, say_json, say_table
from gridledger.field.minutes import minute_text
from services.relay.commands.clock import minute_now
from services.relay.commands.options import add_range, add_reading, new_parser
from services.relay.commands.reaching import gaps_of, opened, registered_minute, relay_named

_DAY = 24 * 60
_MOST = 10_000


def main(argv: list[str]) -> int:
    """List the gaps, oldest first."""
    parser = new_parser(
        "gaps",
        "List the ranges of minutes that have no capture.",
        ("gaps", "gaps --from 2026-11-01T00:00Z --to 2026-12-01T00:00Z --json"),
    )
    add_reading(parser)
    add_range(parser, "a day before, or its registration")
    options = parser.parse_args(argv)
    # The minute that runs is not complete, and the one before is on its way.
    end = minute_now() - 1 if options.end is None else options.end
    begin = max(0, end - _DAY) if options.begin is None else options.begin
    relay, begin, gaps, more = asyncio.run(_read(options, begin, end))
    if options.as_json:
        say_json({"relay": relay, "from": begin, "to": end, "gaps": gaps, "more": more})
        return 0
    say_table(
        ("from", "to", "minutes"),
        ((minute_text(first), minute_text(behind), behind - first) for first, behind in gaps),
    )
    note(f"{sum(behind - first for first, behind in gaps)} of {end - begin} minutes without a capture of {relay}")
    if options.begin is None and end - begin < _DAY:
        note(f"note: from its registration on, {minute_text(begin)}")
    if more:
        note(f"note: there are more; go on with --from {minute_text(gaps[-1][1])}")
    return 0


async def _read(options: argparse.Namespace, begin: int, end: int) -> tuple[str, int, list[list[int]], bool]:
    """The relay, the first minute that counts, the gaps, and whether there are more."""
    gaps: list[list[int]] = []
    async with opened(options) as ledger:
        relay = await relay_named(ledger, options.relay)
        if options.begin is None:  # what lies before its registration is told to who asks for it
            since = await registered_minute(ledger, await ledger.get_relay(relay))
            begin = min(end, max(begin, since))
        async for first, behind in gaps_of(ledger, relay, begin, end):
            if len(gaps) == _MOST:
                return relay, begin, gaps, True
            gaps.append([first, behind])
    return relay, begin, gaps, False
