"""``gridledger console``: the console on this machine, for one person, as this person's own identities."""

from __future__ import annotations

import argparse
import asyncio
import html
import secrets
import socket
import sys
import tempfile
import webbrowser
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

import uvloop

from gridledger import logs
from gridledger.client import SigningIdentity
from gridledger.client.profile import PROFILE_VARIABLE, ConnectionProfile, load_profile, profile_path
from gridledger.command_line import one_line
from gridledger.extras import require_extra, require_server
from gridledger.web import WebServer, background, serve
from services.console.app import Address, open_console
from services.console.console import REPORTS, Console, Options

HOST: Final = "127.0.0.1"
_NAME_BYTES: Final = 16


def main(arguments: Sequence[str]) -> int:
    """Run it until Ctrl-C; the exit code."""
    require_server("gridledger console")
    require_extra("console", "gridledger console")
    options = _parser().parse_args(list(arguments))
    profile = load_profile(options.directory)
    identities = [SigningIdentity.load(profile.user_folder(user)) for user in options.user or [None]]
    identities += [SigningIdentity.load(folder) for folder in options.identity or ()]
    if options.identity and not options.user:
        identities.pop(0)
    logs.setup("console", "console", options.log_level)
    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        runner.run(_run(options, profile, identities))
    return 0


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
    parser.add_argument("--log-level", default="warning", help=argparse.SUPPRESS)
    return parser


async def _run(options: argparse.Namespace, profile: ConnectionProfile, identities: list[SigningIdentity]) -> None:
    port = options.port or _free_port()
    # Cookies are not separated by port: under a name that nobody else knows, no other server of this machine gets ours.
    address = Address(HOST, port, f"{secrets.token_hex(_NAME_BYTES)}.localhost")
    chosen = Options(options.case, options.reports)
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
    if folder is not None and await asyncio.to_thread(_open_browser, folder / "login.html", address, token):
        return
    print(f"Log in once, within five minutes: {address.origin}/login?t={token}", flush=True)  # noqa: T201


def _open_browser(file: Path, address: Address, token: str) -> bool:
    """Open a file that posts the token: an address with it would stand in the browser's command line for every user."""
    action, value = html.escape(f"{address.origin}/login", quote=True), html.escape(token, quote=True)
    file.touch(mode=0o600)
    file.write_text(
        "<!doctype html><meta charset=utf-8><title>GridLedger console</title>"
        f'<form method=post action="{action}"><input type=hidden name=token value="{value}">'
        "<button>Log in to the GridLedger console</button></form><script>document.forms[0].submit()</script>",
        encoding="utf-8",
    )
    try:
        return webbrowser.open(file.as_uri())
    except (OSError, webbrowser.Error) as error:
        sys.stderr.write(f"no browser: {one_line(str(error))}\n")
        return False


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port
