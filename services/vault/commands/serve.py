"""``gridledger vault serve holders``: a process of holders beside a network that runs."""

from __future__ import annotations

import argparse
import asyncio
import importlib
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.client.profile import ConnectionProfile, load_profile, profile_path
from gridledger.errors import NotFoundError, SettingsError
from gridledger.files import write_atomically
from gridledger.network.users import enroll_user
from services.vault.attributes import CLUSTER, HEAD, ID, ROLE, SENSOR

_PORTS: Final = 65536
_BASE: Final = "services.vault.commands.serve_base"
_HOLDING: Final = "services.vault.holding.__main__"


@dataclass(frozen=True, slots=True)
class _Asked:
    """A holder to host: its name, its id, and the role in its certificate."""

    name: str
    x: str
    role: str


def main(argv: list[str]) -> int:
    """Serve what the first argument names; the exit code."""
    what = argv[0] if argv else ""
    if what == "holders":
        return serve_holders(argv[1:])
    if what == "base":
        serve_base: Callable[[Sequence[str]], int] = importlib.import_module(_BASE).main
        return serve_base(argv[1:])
    raise SettingsError("say what to serve: gridledger vault serve holders ..., or gridledger vault serve base ...")


def serve_holders(argv: Sequence[str]) -> int:
    """Enrol the holders that are not yet, write the settings file, and run the process."""
    given = _parser().parse_args(argv)
    profile = load_profile(given.folder)
    organisation = _organisation(profile, given.organisation)
    host, port = address(given.listen)
    holders = [_holder(text, given.head) for text in given.holders]
    asyncio.run(_enrol(profile, organisation, given.cluster, holders, host))
    home = (given.data or connection(given.folder).parent / "vault" / f"{given.cluster}-{port}").resolve()
    settings = {
        "name": f"{given.cluster}-{port}",
        "connection": str(connection(given.folder)),
        "identities": {one.name: str(profile.user(organisation, one.name).resolve()) for one in holders},
        "host": host,
        "port": port,
        "data": str(home),
        "kem": given.kem,
    }
    return run(_HOLDING, home, settings)


def run(module: str, home: Path, settings: dict[str, Any]) -> int:
    """Run a process's module with these settings, which are kept in its folder; its exit code."""
    home.mkdir(parents=True, exist_ok=True, mode=0o700)
    write_atomically(home / "config.json", jsontext.dumps(settings), mode=0o600)
    # It is imported here, as that takes a while, and --help does without.
    serve: Callable[[Sequence[str]], int] = importlib.import_module(module).main
    return serve(["--config", str(home / "config.json")])


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="gridledger vault serve holders",
        description="Run holders of a cluster in one process. They ask to join where the ledger does not know them; "
        "the base admits them.",
    )
    parser.add_argument("holders", nargs="+", metavar="NAME=ID", help="a holder and its id: m1-infrared-3=106")
    parser.add_argument("--cluster", required=True, metavar="C", help="their cluster: M1")
    parser.add_argument("--as", dest="organisation", required=True, metavar="ORG", help="the cluster's organisation")
    parser.add_argument("--head", metavar="NAME", help="which of them may be the cluster's head")
    parser.add_argument("--listen", required=True, metavar="HOST:PORT", help="where they are reached")
    parser.add_argument("--dir", dest="folder", type=Path, help="the network's folder (default: out/network)")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="their folder (default: vault/C-PORT in the network's)"
    )
    parser.add_argument(
        "--kem",
        choices=("x25519", "mlkem768-x25519"),
        default="x25519",
        help="how shares are sealed to holders that have no key yet (default: x25519)",
    )
    return parser


async def _enrol(
    profile: ConnectionProfile, organisation: str, cluster: str, holders: Sequence[_Asked], host: str
) -> None:
    for one in holders:
        attributes = {ROLE: one.role, CLUSTER: cluster, ID: one.x}
        await enroll_user(profile, organisation, one.name, "client", attributes, hosts=[host, "localhost", "127.0.0.1"])


def _holder(text: str, head: str | None) -> _Asked:
    name, _, x = text.partition("=")
    if not name or not x.isascii() or not x.isdigit():
        raise SettingsError(f"{text!r:.60} is no NAME=ID: give a holder's name and its id, such as m1-infrared-3=106")
    return _Asked(name, x, HEAD if name == head else SENSOR)


def _organisation(profile: ConnectionProfile, wanted: str) -> str:
    if wanted not in profile.ca.organisations:
        there = ", ".join(profile.ca.organisations)
        raise NotFoundError(f"there is no organisation {wanted!r}; there are: {there}")
    return wanted


def address(text: str) -> tuple[str, int]:
    """Host and port of HOST:PORT."""
    host, _, port = text.rpartition(":")
    if not host or not port.isascii() or not port.isdigit() or not 0 < int(port) < _PORTS:
        raise SettingsError(f"{text!r:.60} is no HOST:PORT: give --listen, such as 127.0.0.1:5213")
    return host.strip("[]"), int(port)


def connection(folder: Path | None) -> Path:
    """The connection profile of a network's folder."""
    place = profile_path(folder).resolve()
    return place / "connection.json" if place.is_dir() else place
