"""``gridledger relay show``: one capture, what the servers say of it, and the verdict."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_fields, say_json, say_table, time_text
from gridledger.command_line import one_line
from gridledger.errors import NotFoundError
from gridledger.field.minutes import LATEST, minute_text
from services.relay.commands.clock import minute_now
from services.relay.commands.options import add_reading, minute_argument, new_parser
from services.relay.commands.reaching import latest_minute, opened, relay_named


def main(argv: list[str]) -> int:
    """Print a capture."""
    parser = new_parser(
        "show",
        "Show one minute's capture: its text, who recorded and attested it, and the verdict.",
        ("show latest", "show 2026-11-30T02:24Z", "show 29933424 --json"),
    )
    parser.add_argument(
        "minute", type=_minute, metavar="MINUTE", help="as 2026-11-30T02:24Z, an epoch minute, or latest"
    )
    add_reading(parser)
    options = parser.parse_args(argv)
    capture = asyncio.run(_read(options))
    if options.as_json:
        say_json(capture)
    else:
        _show(capture)
    return 0


def _minute(text: str) -> int | str:
    return LATEST if text == LATEST else minute_argument(text)


async def _read(options: argparse.Namespace) -> dict[str, Any]:
    async with opened(options) as ledger:
        relay = await relay_named(ledger, options.relay)
        minute: int | None = options.minute
        if options.minute == LATEST:
            minute = await latest_minute(ledger, relay, minute_now() + 3)
            if minute is None:
                raise NotFoundError(f"relay {relay} has no capture yet")
        return await ledger.get_capture(relay, int(minute or 0))


def _show(capture: dict[str, Any]) -> None:
    verdict, record = capture.get("verdict"), capture.get("record")
    say_fields(
        {
            "relay": capture["relay"],
            "minute": f"{minute_text(capture['minute'])} ({capture['minute']})",
            "recorded by": f"{capture['server']} at {time_text(capture['time_us'])} UTC",
            "source": f"{capture['source']['protocol']} {capture['source']['sha256']}",
            "sha256": capture["sha256"],
            "transaction": capture["tx_id"],
            "verdict": _verdict_text(verdict),
            "of record": f"{record['sha256']} of {record['server']}" if record else "none yet",
            "breaches": len(capture["breaches"]),
        }
    )
    for breach in capture["breaches"]:
        say(one_line(f"  reading {breach['reading']}: {breach['field']} {breach['value']} beyond {breach['limit']}"))
    say_table(
        ("attested by", "match", "at (UTC)", "sha256"),
        (
            (item["server"], "yes" if item["match"] else "NO", time_text(item["time_us"]), item["sha256"])
            for item in capture["attestations"]
        ),
    )
    say("")
    for line in (record or capture)["text"].splitlines():
        say(one_line(line))


def _verdict_text(verdict: dict[str, Any] | None) -> str:
    if verdict is None:
        return "open"
    against = f", against: {', '.join(verdict['against'])}" if verdict["against"] else ""
    return f"{verdict['status']}, for: {', '.join(verdict['for']) or 'none'}{against}"
