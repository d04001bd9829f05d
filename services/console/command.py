"""``gridledger console``: the console on this machine, for one person, as this person's own identities."""

from __future__ import annotations

import argparse
import asyncio
import secrets
import socket
import tempfile
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop

from gridledger import logs
from gridledger.client import SigningIdentity
from gridledger.client.profile import PROFILE_VARIABLE, ConnectionProfile, load_profile, profile_path
from gridledger.errors import SettingsError
from gridledger.network.descriptions import network_now
from gridledger.network.folder import NetworkFolder
from gridledger.web import WebServer, background, serve
from services.console.app import Address, open_console
from services.console.console import REPORTS, Console, Options
from services.console.opening import open_browser

HOST: Final = "127.0.0.1"
_NAME_BYTES: Final = 16
_DESK: Final = "case-desk"
"""The kind of the companion."""


def main(arguments: Sequence[str]) -> int:
    """Run it until Ctrl-C; the exit code."""
    options = _parser().parse_args(list(arguments))
    profile = load_profile(options.directory)
    identities = identities_of(profile, options.user, options.identity)
    logs.setup("console", "console", options.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(options, profile, identities))
    return 0


def identities_of(
    profile: ConnectionProfile, users: Sequence[str] | None, folders: Sequence[Path] | None
) -> list[SigningIdentity]:
    """The identities of these users and folders, or of the network's first user where none is given."""
    named: list[str | None] = list(users or ())
    if not named and not folders:
        named = [None]
    places = [*(profile.user_folder(user) for user in named), *(folders or ())]
    return [SigningIdentity.load(folder) for folder in places]


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gridledger console",
        description="Serve the console on this machine, as your own identity, and open it in the browser.",
    )
    parser.add_argument("--user", action="append", metavar="ORG/NAME", help="as whom; may be repeated")
    parser.add_argument(
        "--identity",
        action="append",
        type=Path,
        metavar="FOLDER",
        help="as this folder's identity; may be repeated",
    )
    parser.add_argument(
        "--dir",
        dest="directory",
        type=Path,
        default=profile_path(),
        metavar="FOLDER",
        help=f"the network's folder, or its connection profile (default: %(default)s; {PROFILE_VARIABLE})",
    )
    parser.add_argument("--port", type=int, default=0, metavar="N", help="the port (default: a free one)")
    parser.add_argument("--no-browser", action="store_true", help="print the address, open no browser")
    parser.add_argument("--case", type=Path, metavar="FILE", help="the grid's case, for the one-line diagram")
    parser.add_argument(
        "--reports", type=Path, default=REPORTS, metavar="FOLDER", help="benchmark reports (default: %(default)s)"
    )
    parser.add_argument("--desk", metavar="URL", help="where the case desk is (default: the network's)")
    parser.add_argument("--log-level", default="warning", help=argparse.SUPPRESS)
    return parser


async def _run(options: argparse.Namespace, profile: ConnectionProfile, identities: list[SigningIdentity]) -> None:
    port = options.port or _free_port()
    # Cookies are not separated by port: under a name that nobody else knows, no other server of this machine gets ours.
    address = Address(HOST, port, (f"{secrets.token_hex(_NAME_BYTES)}.localhost",))
    chosen = Options(options.case, options.reports, options.desk or _desk_of(options.directory))
    opening = _opened(profile, identities, address, chosen, browser=not options.no_browser)
    await serve(HOST, port, opening)


@asynccontextmanager
async def _opened(
    profile: ConnectionProfile,
    identities: list[SigningIdentity],
    address: Address,
    options: Options,
    *,
    browser: bool,
) -> AsyncIterator[WebServer]:
    async with open_console(profile, identities, address, options) as (server, console):
        with tempfile.TemporaryDirectory(prefix="gridledger-console-") as folder:
            async with background(_invite(server, console, address, Path(folder) if browser else None)):
                yield server


async def _invite(server: WebServer, console: Console, address: Address, folder: Path | None) -> None:
    """Say where the console is, or open the browser there, once it listens."""
    await server.listening()
    token = console.sessions.invite(console.viewers.first.person)
    who = ", ".join(viewer.label for viewer in console.viewers.all)
    print(f"The console runs at {address.origin} as {who}. Ctrl-C ends it.", flush=True)  # noqa: T201
    if folder is not None and await asyncio.to_thread(open_browser, folder / "login.html", address.origin, token):
        return
    print(f"Log in once, within five minutes: {address.origin}/login?t={token}", flush=True)  # noqa: T201


def _desk_of(directory: Path) -> str | None:
    """Where the desk is of the network in a folder; None where it has none, or its description is not there."""
    try:
        config = network_now(NetworkFolder(directory if directory.is_dir() else directory.parent))
    except SettingsError:
        return None
    return next((config.url(spec) for spec in config.companions if spec.kind == _DESK), None)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
