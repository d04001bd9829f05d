"""``gridledger anchor status``: how far each channel is anchored, and what is wrong."""

from __future__ import annotations

import argparse
import asyncio
import time
from typing import Any, Final

from gridledger.cli.output import note, say_json, say_table
from gridledger.client.anchors import AnchorStatus
from gridledger.command_line import EXIT_FAILED
from gridledger.errors import AuthenticationError, GridLedgerError, PermissionDeniedError
from gridledger.protocol.headers import HeadersPage
from services.anchor.anchoring import DAY_US
from services.anchor.commands.options import identity_of, new_parser
from services.anchor.commands.reaching import Reached, reached
from services.anchor.deciding import LATE_INTERVALS, Pace

_S: Final = 1_000_000


def main(argv: list[str]) -> int:
    """Print a line for each channel; 1 where an alarm is on."""
    parser = new_parser(
        "status",
        "Show how far each channel is anchored, as the anchoring channel and the channels' peers tell. A channel that "
        "the user may not read shows no height. The exit code is 1 where something is wrong: no anchor for three "
        "intervals, members other than the configuration's, a fork within a day, a chain that is not the anchored one.",
        ("status", "status --user ControlRoom/admin --json"),
    )
    pace = Pace()
    parser.add_argument(
        "--interval", type=float, default=pace.interval_s, metavar="S", help="the agents' interval_s (%(default)s)"
    )
    parser.add_argument(
        "--blocks", type=int, default=pace.interval_blocks, metavar="N", help="their interval_blocks (%(default)s)"
    )
    options: argparse.Namespace = parser.parse_args(argv)
    states = asyncio.run(_read(options))
    if options.as_json:
        say_json({"channels": states})
    else:
        say_table(("channel", "height", "anchored", "lag s", "by", "forks", "wrong"), map(_row, states))
    unread = [state["channel"] for state in states if state["height"] is None]
    if unread and not options.as_json:
        note(f"note: this user may not read {', '.join(unread)}; name a reader by --user")
    return EXIT_FAILED if any(state["alarms"] for state in states) else 0


async def _read(options: argparse.Namespace) -> list[dict[str, Any]]:
    profile, signer = await asyncio.to_thread(identity_of, options)
    pace = Pace(options.interval, options.blocks)
    async with reached(profile, signer) as network:
        return [await _state(network, channel, pace) for channel in network.channels()]


async def _state(network: Reached, channel: str, pace: Pace) -> dict[str, Any]:
    status = await network.ledger.status(channel)
    now_us = time.time_ns() // 1000
    state: dict[str, Any] = {
        "channel": channel,
        "height": None,
        "size": status.size,
        "lag_s": None,
        "organisations": [] if status.final is None else list(status.final.organisations),
        "forks": status.forks,
        "alarms": {},
    }
    alarms: dict[str, str] = state["alarms"]
    if status.fork_time_us is not None and now_us - status.fork_time_us < DAY_US:
        alarms["forked"] = f"its organisations attested different heads at {status.fork_size} blocks"
    try:
        async with network.channel(channel) as source:
            page = await source.get_headers(max(0, status.size - 1), limit=2)
            members = tuple((await source.get_config()).peer_organisations)
    except (PermissionDeniedError, AuthenticationError):
        return state
    except GridLedgerError as error:
        alarms["peer"] = error.message
        return state
    state["height"] = page.height
    later = [item for item in page.items if item.header.number >= status.size]
    state["lag_s"] = max(0.0, (now_us - later[0].header.timestamp_us) / _S) if later else 0.0
    if (told := rewritten_told(status, page)) is not None:
        alarms["rewritten"] = told
    blocks = page.height - status.size
    if state["lag_s"] > LATE_INTERVALS * pace.interval_s or blocks > LATE_INTERVALS * pace.interval_blocks:
        alarms["late"] = f"{blocks} blocks are not anchored, the oldest for {state['lag_s']:.0f} s"
    if (told := _members_told(status, members)) is not None:
        alarms["members"] = told
    return state


def rewritten_told(status: AnchorStatus, page: HeadersPage) -> str | None:
    """Why the peer's last anchored block is not the one that was anchored; None where it is, or the peer has none.

    Its header binds all headers before it, its commit hash all codes and values: a change anywhere shows there.
    """
    last = next((item for item in page.items if item.header.number == status.size - 1), None)
    if status.final is None or last is None:
        return None
    head = status.final.head
    if (last.header.hash, last.commit_hash) == (head.header_hash, head.commit_hash):
        return None
    return (
        f"the peer's block {last.header.number} is not the one that was anchored: gridledger anchor verify "
        f"{status.channel} tells which blocks were changed"
    )


def _members_told(status: AnchorStatus, members: tuple[str, ...]) -> str | None:
    if status.members is None:
        return "nothing says which organisations belong to it: no majority of its agents has started"
    if status.members.organisations == members:
        return None
    return f"the record has {', '.join(status.members.organisations)}, its configuration {', '.join(members)}"


def _row(state: dict[str, Any]) -> tuple[Any, ...]:
    height = "-" if state["height"] is None else state["height"]
    lag = "-" if state["lag_s"] is None else f"{state['lag_s']:.1f}"
    wrong = "; ".join(f"{kind}: {why}" for kind, why in state["alarms"].items())
    return state["channel"], height, state["size"], lag, ", ".join(state["organisations"]), state["forks"], wrong
