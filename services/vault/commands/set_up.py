"""``gridledger vault set-up``: the clusters of the description, their holders, and the first cycle."""

from __future__ import annotations

import argparse
import asyncio
from typing import Any

from gridledger.cli.output import say_fields, say_json
from gridledger.client import load_profile
from gridledger.errors import SettingsError
from services.vault.commands.network_options import add_network, opened_as_base
from services.vault.commands.options import new_parser, seconds
from services.vault.described import described_vault
from services.vault.setting_up import set_up


def main(argv: list[str]) -> int:
    """Set the vault up; the exit code."""
    parser = new_parser(
        "set-up",
        "Set the clusters that the network's description has, admit the holders that it names, and begin cycle 1. What "
        "is done already stays; call it again after an interruption.",
        ("set-up", "set-up --wait-s 120 --json"),
    )
    parser.add_argument(
        "--wait-s",
        type=seconds,
        default=60.0,
        metavar="S",
        help="wait so long for holders to join (default: %(default)s)",
    )
    add_network(parser, "the base, enrolled if need be")
    options = parser.parse_args(argv)
    done = asyncio.run(_run(options))
    if options.as_json:
        say_json(done)
        return 0
    changed = [name for name, what in done["clusters"].items() if what == "set"]
    say_fields(
        {
            "base": f"{done['base']['mspid']} at {done['base']['url']}",
            "clusters": f"{', '.join(done['clusters'])}; set now: {', '.join(changed) or 'none'}",
            "admitted": ", ".join(done["admitted"]) or "nobody new",
            "cycle": f"{done['cycle']} {'begun' if done['begun'] else 'is under way'}{_hint(done)}",
        }
    )
    return 0


def _hint(done: dict[str, Any]) -> str:
    waits = not done["begun"] and (done["admitted"] or "set" in done["clusters"].values())
    return "; what changed counts from the next one: gridledger vault cycle" if waits else ""


async def _run(options: argparse.Namespace) -> dict[str, Any]:
    profile = load_profile(options.directory)
    vault = described_vault(profile)
    if not vault.clusters:
        raise SettingsError(f"the description of {profile.name} has no applications.vault.clusters to set up")
    async with opened_as_base(options) as session:
        return await set_up(session.ledger, profile, vault, wait_s=options.wait_s)
