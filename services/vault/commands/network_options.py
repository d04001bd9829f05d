"""The options of commands that talk to a network, and how they reach it."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Final

from gridledger.client import ConnectionProfile, SigningIdentity, load_profile
from gridledger.client.profile import DEFAULT_PROFILE, PROFILE_VARIABLE
from gridledger.errors import InputError, UnavailableError
from gridledger.transport.node_client import ConnectionFailed
from services.vault.described import base_identity
from services.vault.session import Session, open_session

Enrols = Callable[[ConnectionProfile], Awaitable[SigningIdentity]]
"""The identity of a command where the user names none."""

_MOST: Final = 10_000


def add_network(parser: argparse.ArgumentParser, whom: str) -> None:
    """Which network, as whom, for whom the output is. ``whom`` says in words as whom without options."""
    parser.add_argument(
        "--dir",
        dest="directory",
        type=Path,
        metavar="FOLDER",
        default=Path(os.environ.get(PROFILE_VARIABLE) or DEFAULT_PROFILE),
        help=f"the network's folder, or its connection profile (default: %(default)s; {PROFILE_VARIABLE})",
    )
    parser.add_argument("--user", metavar="ORG/NAME", help=f"as whom (default: {whom})")
    parser.add_argument(
        "--identity", type=Path, metavar="FOLDER", help="as the identity in this folder, such as a holder's"
    )
    add_json(parser)


def add_json(parser: argparse.ArgumentParser) -> None:
    """Output for programs."""
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON, for programs")


def add_limit(parser: argparse.ArgumentParser) -> None:
    """How much is listed."""
    parser.add_argument(
        "--limit", type=_limit, default=1000, metavar="N", help="at most so many (default: %(default)s)"
    )


async def first_user(profile: ConnectionProfile) -> SigningIdentity:
    """The network's first user."""
    return SigningIdentity.load(profile.user_folder(None))


@asynccontextmanager
async def opened(options: argparse.Namespace, enrols: Enrols = first_user) -> AsyncIterator[Session]:
    """A session as the identity that ``--user`` or ``--identity`` names, else as the one that ``enrols`` gives."""
    profile = load_profile(options.directory)
    identity = await identity_of(options, profile, enrols)
    async with open_session(profile, identity) as session:
        try:
            yield session
        except ConnectionFailed as error:
            # It lists every gateway's failure, which is mostly the same: the first one tells it.
            first = error.message.removeprefix("no gateway can be reached: ").partition("; ")[0]
            message = f"no peer answers; 'gridledger status' says which run. The first failure: {first}"
            raise UnavailableError(message, code=error.code) from None


@asynccontextmanager
async def opened_as_base(options: argparse.Namespace) -> AsyncIterator[Session]:
    """A session as the base's operator, if the user names nobody else."""
    async with opened(options, base_identity) as session:
        yield session


async def identity_of(
    options: argparse.Namespace, profile: ConnectionProfile, enrols: Enrols = first_user
) -> SigningIdentity:
    """As whom a command is carried out."""
    if options.user is not None and options.identity is not None:
        raise InputError("give either --user or --identity")
    if options.identity is not None:
        return SigningIdentity.load(options.identity)
    if options.user is not None:
        return SigningIdentity.load(profile.user_folder(options.user))
    return await enrols(profile)


def key_value(text: str) -> tuple[str, str]:
    """NAME=VALUE, for argparse."""
    name, sign, value = text.partition("=")
    if not sign or not name or not value:
        raise argparse.ArgumentTypeError("NAME=VALUE is wanted")
    return name, value


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= _MOST):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {_MOST}")
    return int(text)
