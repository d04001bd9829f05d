"""``gridledger relay serve``: runs a server beside a network that runs; its identity is enrolled if need be."""

from __future__ import annotations

import argparse
import asyncio
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, load_profile, profile_path
from gridledger.errors import NotFoundError, SettingsError
from gridledger.files import write_atomically
from services.relay.ledger import server_identity, server_user

_PORTS = 65536


def main(argv: list[str]) -> int:
    """Enrol the server, write its settings file, and run it; the exit code."""
    given = _parser().parse_args(argv)
    profile = load_profile(given.folder)
    organisation = _organisation_of(profile, given.server, given.organisation)
    host, port = _address(given.listen or f"127.0.0.1:{given.server}")
    asyncio.run(server_identity(profile, organisation, given.server, [host, "localhost", "127.0.0.1"]))
    home = (given.data or _folder_of(given.folder) / "relay" / given.server).resolve()
    settings = {
        "name": f"server{given.server}",
        "server": given.server,
        "connection": str(_connection(given.folder)),
        "identities": {organisation: str(profile.user(organisation, server_user(given.server)).resolve())},
        "host": host,
        "port": port,
        "data": str(home),
        "plain": given.plain,
        "stagger_ms": given.stagger_ms,
        **({} if given.operators is None else {"operators": given.operators}),
    }
    return _run(home, settings)


def _run(home: Path, settings: dict[str, Any]) -> int:
    from gridledger.web import run_service  # noqa: PLC0415 -- these take a while; --help does without
    from services.relay.app import open_server  # noqa: PLC0415
    from services.relay.settings import RelaySettings  # noqa: PLC0415

    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(home / "config.json", jsontext.dumps(settings), mode=0o600)
    return run_service("relay", RelaySettings, open_server, ["--config", str(home / "config.json")])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gridledger relay serve",
        description="Run a server: it reads the relays of its operators that name it, records, attests and concludes.",
    )
    parser.add_argument("--server", required=True, metavar="ID", help="its id, as relays' records name it: 5004")
    parser.add_argument("--dir", dest="folder", type=Path, help="the network's folder (default: out/network)")
    parser.add_argument("--as", dest="organisation", metavar="ORG", help="its organisation (default: ServerID)")
    parser.add_argument(
        "--operators", nargs="+", metavar="MSP", help="whose relays it follows (default: those of its own organisation)"
    )
    parser.add_argument("--listen", metavar="HOST:PORT", help="where its page is (default: 127.0.0.1:ID)")
    parser.add_argument("--data", type=Path, metavar="DIR", help="its own folder (default: relay/ID in the network's)")
    parser.add_argument("--plain", action="store_true", help="serve the page without TLS, on loopback only")
    parser.add_argument(
        "--stagger-ms", type=int, default=0, metavar="N", help="wait so long for each place in a minute's turns"
    )
    return parser


def _organisation_of(profile: ConnectionProfile, server: str, given: str | None) -> str:
    wanted = given or f"Server{server}"
    if wanted not in profile.ca.organisations:
        there = ", ".join(profile.ca.organisations)
        raise NotFoundError(f"there is no organisation {wanted!r}: name the server's by --as; there are: {there}")
    return wanted


def _address(text: str) -> tuple[str, int]:
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < _PORTS:
        raise SettingsError(f"{text!r} is no HOST:PORT: give --listen, such as 127.0.0.1:5004")
    return host.strip("[]"), int(port)


def _connection(folder: Path | None) -> Path:
    place = profile_path(folder).resolve()
    return place / "connection.json" if place.is_dir() else place


def _folder_of(folder: Path | None) -> Path:
    return _connection(folder).parent
