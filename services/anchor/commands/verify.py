"""``gridledger anchor verify``: the chains of a channel's peers beside what was anchored."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say, say_json
from gridledger.client.anchors import Anchor, NotAnchored, compare, read_tree
from gridledger.command_line import EXIT_FAILED
from gridledger.errors import GridLedgerError, NotFoundError
from services.anchor.commands.options import identity_of, new_parser
from services.anchor.commands.reaching import Reached, reached


def main(argv: list[str]) -> int:
    """Print what each peer's chain is worth; 1 where one is not the anchored chain."""
    parser = new_parser(
        "verify",
        "Read the headers of a channel from each of its peers, and compare the tree over them with every head that was "
        "anchored. It names the blocks that were changed after they were anchored, and by whose word they were. "
        "The exit code is 1 where a chain is not the anchored one, or no peer could be read.",
        ("verify shard1 --user ControlRoom/admin", "verify shard1 --peer peer2 --json"),
    )
    parser.add_argument(
        "channels", nargs="*", metavar="CHANNEL", help="which channels (default: all that are anchored)"
    )
    parser.add_argument("--peer", action="append", metavar="PEER", help="only this peer; may be given several times")
    options: argparse.Namespace = parser.parse_args(argv)
    found = asyncio.run(_verify(options))
    if options.as_json:
        say_json({"channels": found})
    else:
        for one in found:
            say(_told(one))
    good = [one for one in found if one["ok"]]
    return 0 if found and len(good) == len(found) else EXIT_FAILED


async def _verify(options: argparse.Namespace) -> list[dict[str, Any]]:
    profile, signer = await asyncio.to_thread(identity_of, options)
    async with reached(profile, signer) as network:
        found: list[dict[str, Any]] = []
        for channel in network.channels(options.channels or None):
            status = await network.ledger.status(channel)
            if status.final is None and not options.channels:
                continue
            anchors = [anchor async for anchor in network.ledger.anchors(channel)]
            peers = _peers(network, channel, options.peer)
            found += [await _compared(network, channel, peer, anchors) for peer in peers]
        return found


def _peers(network: Reached, channel: str, wanted: list[str] | None) -> list[str]:
    peers = network.peers(channel)
    if wanted is None:
        return peers
    chosen = [peer for peer in peers if peer in wanted]
    if not chosen:
        raise NotFoundError(f"{channel} has no peer {' or '.join(wanted)}; there are: {', '.join(peers)}")
    return chosen


async def _compared(network: Reached, channel: str, peer: str, anchors: list[Anchor]) -> dict[str, Any]:
    said: dict[str, Any] = {"channel": channel, "peer": peer, "ok": False, "anchors": len(anchors)}
    try:
        async with network.channel(channel, peer) as source:
            tree, _ = await read_tree(source)
        compared = compare(tree, anchors)
    except NotAnchored as error:
        return {**said, "blocks": error.details["blocks"], "why": error.message}
    except GridLedgerError as error:
        return {**said, "why": error.message}
    ok = compared.beyond == 0 and bool(anchors)
    why = None
    if not anchors:
        why = "nothing of it is anchored yet"
    elif not ok:
        why = (
            f"it has {tree.size} blocks only, and {anchors[-1].size} are anchored: it is behind, or blocks were cut off"
        )
    return {**said, "ok": ok, "height": tree.size, "agree": compared.agree, "size": compared.size, "why": why}


def _told(one: dict[str, Any]) -> str:
    name = f"{one['channel']} at {one['peer']}"
    if not one["ok"]:
        return f"{name}: {one['why']}"
    open_blocks = one["height"] - one["size"]
    return f"{name}: {one['agree']} anchors agree, up to block {one['size'] - 1}; {open_blocks} newer blocks are open"
