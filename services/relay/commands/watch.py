"""``gridledger relay watch``: the relays' events as they come."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import json_text, say, say_json, time_text
from gridledger.client import ChaincodeEvent
from gridledger.command_line import one_line
from gridledger.field.minutes import minute_text
from services.relay.commands.options import add_reading, count_up_to, new_parser
from services.relay.commands.reaching import opened

_MOST = 1_000_000_000
_HASH_DIGITS, _HASH_SHOWN = 64, 12


def main(argv: list[str]) -> int:
    """Print events until interrupted."""
    parser = new_parser(
        "watch",
        "Print the relays' events as they come, until Ctrl-C: captures with their breaches, verdicts, silences, hours.",
        ("watch", "watch --relay Rele_1 --event CaptureDisputed --json", "watch --from 0 --count 10"),
    )
    add_reading(parser)
    parser.add_argument("--event", metavar="NAME", help="only events of this name, as CaptureDisputed")
    parser.add_argument("--from", dest="start", type=int, metavar="BLOCK", help="the first block (default: the next)")
    parser.add_argument("--count", type=count_up_to(_MOST), metavar="N", help="end after so many")
    asyncio.run(_watch(parser.parse_args(argv)))
    return 0


async def _watch(options: argparse.Namespace) -> None:
    shown = 0
    async with opened(options) as ledger:
        chaincode = ledger.contract.chaincode
        stream = ledger.network.chaincode_events(chaincode, start_block=options.start, name=options.event)
        async for event in stream:
            if options.relay is not None and _member(event.payload, "relay") != options.relay:
                continue
            if options.as_json:
                say_json(event.to_dict())
            else:
                say(line_of(event))
            shown += 1
            if shown == options.count:
                return


def line_of(event: ChaincodeEvent) -> str:
    """An event in one line: when, what, of which relay and minute, by whom, and what else matters."""
    payload = event.payload if isinstance(event.payload, dict) else {}
    words = [time_text(event.timestamp_us), event.name, str(payload.get("relay", ""))]
    if isinstance(payload.get("minute"), int):
        words.append(minute_text(payload["minute"]))
    words += [f"{name} {_shown(payload[name])}" for name in _TOLD if payload.get(name) not in (None, [], "")]
    return "  ".join(one_line(word) for word in words)


_TOLD = ("server", "by", "for", "against", "breaches", "reason", "hour", "revision", "sha256")


def _shown(value: Any) -> str:
    if isinstance(value, str):
        return value[:_HASH_SHOWN] if len(value) == _HASH_DIGITS else value
    if isinstance(value, list):
        return ",".join(value) if all(isinstance(item, str) for item in value) else str(len(value))
    return json_text(value)


def _member(payload: Any, name: str) -> Any:
    return payload.get(name) if isinstance(payload, dict) else None
