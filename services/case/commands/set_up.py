"""``gridledger case set-up``: the authority, and the devices that the description's light nodes hold."""

from __future__ import annotations

import argparse
import asyncio
from collections import Counter
from typing import Any

from gridledger.cli.output import note, say_fields, say_json
from gridledger.client import load_profile
from services.case.commands.network_options import add_directory, add_json, seconds, told_once
from services.case.commands.options import new_parser
from services.case.light_nodes import light_nodes_of
from services.case.setting_up import set_up


def main(argv: list[str]) -> int:
    """Set forensics up; the exit code."""
    parser = new_parser(
        "set-up",
        "Make the description's authority that of cases and devices, register the devices that the network's light "
        "nodes hold, and admit each on its section. It enrols who it acts as: the authority, and each organisation's "
        "registrar of devices. What is done already stays; call it again after an interruption.",
        ("set-up", "set-up --wait-s 120 --json"),
    )
    parser.add_argument(
        "--wait-s",
        type=seconds,
        default=60.0,
        metavar="S",
        help="wait so long for light nodes to answer (default: %(default)s)",
    )
    add_directory(parser)
    add_json(parser)
    options = parser.parse_args(argv)
    done = asyncio.run(_run(options))
    if options.as_json:
        say_json(done)
        return 0
    counted = Counter(each["done"] for each in done["devices"])
    founded = ", ".join(done["founded"]) or "nothing new"
    say_fields(
        {
            "authority": f"{done['authority']}; founded now: {founded}",
            "devices": ", ".join(f"{number} {what}" for what, number in sorted(counted.items())) or "none",
        }
    )
    if not done["devices"]:
        note("note: the network has no light nodes; its description names them among the companions")
    return 0


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    profile = load_profile(options.directory)
    nodes = light_nodes_of(options.directory)
    async with told_once():
        return await set_up(profile, nodes, wait_s=options.wait_s)
