"""``gridledger relay status``: the relays, their last captures, and what is open."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_fields, say_json
from gridledger.command_line import one_line
from gridledger.field.minutes import minute_text
from services.relay.commands.clock import minute_now
from services.relay.commands.options import add_reading, new_parser
from services.relay.commands.reaching import PAGE, items_up_to, latest_minute, opened, registered_minute
from services.relay.ledger import RelayLedger

_MOST_RELAYS = 1000
_RECENT = 60


def main(argv: list[str]) -> int:
    """Print each relay's state."""
    parser = new_parser(
        "status",
        "Show the relays: their servers, the last capture, silence, disputes, and what the last hour lacks.",
        ("status", "status --relay Rele_1 --json"),
    )
    add_reading(parser)
    options = parser.parse_args(argv)
    states = asyncio.run(_read(options))
    if options.as_json:
        say_json({"relays": states})
    else:
        if not states:
            say("no relay is registered: gridledger relay register FILE")
        for index, state in enumerate(states):
            if index:
                say("")
            say_fields(_fields(state))
    return 0


async def _read(options: argparse.Namespace) -> list[dict[str, Any]]:
    async with opened(options) as ledger:
        if options.relay is not None:
            records = [await ledger.get_relay(options.relay)]
        else:
            listed, _ = await items_up_to(lambda mark: ledger.list_relays(bookmark=mark), _MOST_RELAYS)
            records = [await ledger.get_relay(str(item["relay"])) for item in listed]
        return [await state_of(ledger, record, minute_now()) for record in records]


async def state_of(ledger: RelayLedger, record: dict[str, Any], now: int) -> dict[str, Any]:
    """A relay's record with ``last`` (its last capture or null), ``recent`` (counts of the hour up to it: captures,
    open, and missing since it was registered), ``disputes``, and ``unread_min``: for how many minutes it has been
    registered, where no server has brought a capture although it is time (null else)."""
    relay = str(record["relay"])
    last = await latest_minute(ledger, relay, now + 3)
    since = await registered_minute(ledger, record)
    disputes, more = await items_up_to(lambda mark: ledger.get_disputes(relay, bookmark=mark), PAGE)
    state = {**record, "last": None, "recent": None, "disputes": len(disputes), "more_disputes": more}
    # The first whole period, and one more for its way here.
    state["unread_min"] = now - since if last is None and now - since > 2 * record["period_s"] // 60 else None
    if last is None:
        return state
    begin, end = max(0, last + 1 - _RECENT), last + 1
    captures = (await ledger.list_captures(relay, begin, end, limit=_RECENT))["items"]
    gaps = (await ledger.get_gaps(relay, min(last, max(begin, since)), end))["gaps"]
    state["last"] = captures[-1]
    state["recent"] = {
        "captures": len(captures),
        "missing": sum(behind - first for first, behind in gaps),
        "open": sum(item["status"] == "open" for item in captures),
    }
    return state


def _fields(state: dict[str, Any]) -> dict[str, Any]:
    last, recent, silence = state["last"], state["recent"], state["silence"]
    servers = ", ".join(server["id"] for server in state["servers"])
    fields = {
        "relay": f"{state['relay']} ({state['name']}, {state['substation']})",
        "read by": f"{state['protocol']} at {state['address']}, every {state['period_s']} s",
        "servers": f"{servers}; {state['quorum']} of {len(state['servers'])} confirm",
        "last": f"{minute_text(last['minute'])} by {last['server']}, {last['status']}" if last else _unread(state),
        "disputes": f"{state['disputes']}{' and more' if state['more_disputes'] else ''}",
        "silence": one_line(f"since {minute_text(silence['from'])}: {silence['reason']}") if silence else "none",
    }
    if recent:
        fields["hour"] = f"{recent['captures']} captures, {recent['missing']} missing, {recent['open']} not concluded"
    return fields


def _unread(state: dict[str, Any]) -> str:
    if state["unread_min"] is None:
        return "no capture yet; the first comes within two periods"
    return (
        f"no capture in the {state['unread_min']} min since it was registered: its servers do not reach it, or do not "
        "follow it (their pages and logs say why)"
    )
