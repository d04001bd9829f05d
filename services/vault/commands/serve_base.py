"""``gridledger vault serve base``: the base beside a network that runs; its identity is enrolled if need be."""

from __future__ import annotations

import argparse
import asyncio
from collections.abc import Sequence
from pathlib import Path

from gridledger.client.profile import ConnectionProfile, load_profile
from gridledger.errors import SettingsError
from gridledger.network.users import enroll_user
from services.vault.attributes import BASE, ROLE
from services.vault.commands.options import seconds
from services.vault.commands.serve import address, connection, run
from services.vault.described import described_vault

_USER = "vault-base-server"
_SERVICE = "services.vault.base.__main__"


def main(argv: Sequence[str]) -> int:
    """Enrol the base, write its settings file, and run it; the exit code."""
    given = _parser().parse_args(argv)
    profile = load_profile(given.folder)
    organisation = given.organisation or described_vault(profile).base
    if organisation is None:
        raise SettingsError("the network's description names no base: name its organisation by --as")
    host, port = address(given.listen)
    asyncio.run(_enrol(profile, organisation, host))
    home = (given.data or connection(given.folder).parent / "vault" / "base").resolve()
    settings = {
        "name": "base",
        "connection": str(connection(given.folder)),
        "identities": {organisation: str(profile.user(organisation, _USER).resolve())},
        "host": host,
        "port": port,
        "data": str(home),
        "audit_every_s": given.audit_every_s,
        "repair": not given.no_repair,
    }
    return run(_SERVICE, home, settings)


async def _enrol(profile: ConnectionProfile, organisation: str, host: str) -> None:
    hosts = [host, "localhost", "127.0.0.1"]
    await enroll_user(profile, organisation, _USER, "client", {ROLE: BASE}, hosts=hosts)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gridledger vault serve base",
        description="Run the base: it settles objects, abandons what stays incomplete, audits and repairs.",
    )
    parser.add_argument("--dir", dest="folder", type=Path, help="the network's folder (default: out/network)")
    parser.add_argument("--as", dest="organisation", metavar="ORG", help="its organisation (default: as described)")
    parser.add_argument("--listen", default="127.0.0.1:5200", metavar="HOST:PORT", help="default: %(default)s")
    parser.add_argument("--data", type=Path, metavar="DIR", help="its folder (default: vault/base in the network's)")
    parser.add_argument(
        "--audit-every-s",
        type=seconds,
        default=3600.0,
        metavar="S",
        help="audit a share of each object so often (0: never)",
    )
    parser.add_argument("--no-repair", action="store_true", help="repair nothing by itself")
    return parser
