"""The options of commands that talk to a network, and as whom they do."""

from __future__ import annotations

import argparse
import os
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any, Final

from gridledger.client import ConnectionProfile, SigningIdentity, load_profile
from gridledger.client.profile import DEFAULT_PROFILE, PROFILE_VARIABLE
from gridledger.errors import InputError, UnavailableError
from gridledger.transport.node_client import ConnectionFailed
from services.case.ledger import AccessLedger, CasesLedger, access_ledger, cases_ledger

Enrols = Callable[[ConnectionProfile], Awaitable[SigningIdentity]]
"""The identity of a command where the user names none."""

_MOST: Final = 10_000
_MICROSECOND: Final = timedelta(microseconds=1)
_DAY_S: Final = 86_400
_TIME_DIGITS: Final = 16


def add_network(parser: argparse.ArgumentParser, whom: str) -> None:
    """Which network, as whom, for whom the output is. ``whom`` says in words as whom without options."""
    add_directory(parser)
    parser.add_argument("--user", metavar="ORG/NAME", help=f"as whom (default: {whom})")
    parser.add_argument("--identity", type=Path, metavar="FOLDER", help="as the identity in this folder")
    add_json(parser)


def add_directory(parser: argparse.ArgumentParser) -> None:
    """Which network."""
    parser.add_argument(
        "--dir",
        dest="directory",
        type=Path,
        metavar="FOLDER",
        default=Path(os.environ.get(PROFILE_VARIABLE) or DEFAULT_PROFILE),
        help=f"the network's folder, or its connection profile (default: %(default)s; {PROFILE_VARIABLE})",
    )


def add_json(parser: argparse.ArgumentParser) -> None:
    """Output for programs."""
    parser.add_argument("--json", dest="as_json", action="store_true", help="print JSON, for programs")


def add_limit(parser: argparse.ArgumentParser) -> None:
    """How much is listed."""
    parser.add_argument(
        "--limit", type=_limit, default=1000, metavar="N", help="at most so many (default: %(default)s)"
    )


def add_times(parser: argparse.ArgumentParser, *, required: bool = False) -> None:
    """From when to when: ``begin`` and ``end``, microseconds since 1970."""
    for option, dest, what in (("--from", "begin", "from then on"), ("--to", "end", "before then")):
        parser.add_argument(
            option,
            dest=dest,
            type=time_us,
            required=required,
            metavar="TIME",
            help=f"{what}, as 2026-11-30T15:30Z or microseconds since 1970",
        )


async def first_user(profile: ConnectionProfile) -> SigningIdentity:
    """The network's first user."""
    return SigningIdentity.load(profile.user_folder(None))


async def identity_of(
    options: argparse.Namespace, profile: ConnectionProfile, enrols: Enrols = first_user
) -> SigningIdentity:
    """As whom a command is carried out: as ``--user`` or ``--identity`` says, else as ``enrols`` gives."""
    if options.user is not None and options.identity is not None:
        raise InputError("give either --user or --identity")
    if options.identity is not None:
        return SigningIdentity.load(options.identity)
    if options.user is not None:
        return SigningIdentity.load(profile.user_folder(options.user))
    return await enrols(profile)


@asynccontextmanager
async def opened_cases(options: argparse.Namespace, enrols: Enrols = first_user) -> AsyncIterator[CasesLedger]:
    """The contract of cases."""
    profile = load_profile(options.directory)
    with_identity = await identity_of(options, profile, enrols)
    async with told_once(), cases_ledger(profile, with_identity) as ledger:
        yield ledger


@asynccontextmanager
async def opened_access(options: argparse.Namespace) -> AsyncIterator[AccessLedger]:
    """The contract of sessions and commands."""
    profile = load_profile(options.directory)
    identity = await identity_of(options, profile)
    async with told_once(), access_ledger(profile, identity) as ledger:
        yield ledger


@asynccontextmanager
async def told_once() -> AsyncIterator[None]:
    """Tell of unreachable peers in one line."""
    try:
        yield
    except ConnectionFailed as error:
        # It lists every gateway's failure, which is mostly the same: the first one tells it.
        first = error.message.removeprefix("no gateway can be reached: ").partition("; ")[0]
        message = f"no peer answers; 'gridledger status' says which run. The first failure: {first}"
        raise UnavailableError(message, code=error.code) from None


async def up_to(limit: int, found: AsyncIterator[dict[str, Any]]) -> tuple[list[dict[str, Any]], bool]:
    """The first ``limit`` items, and whether there are more."""
    items: list[dict[str, Any]] = []
    async for item in found:
        if len(items) == limit:
            return items, True
        items.append(item)
    return items, False


def time_us(text: str) -> int:
    """A time, for argparse: ISO 8601 with its zone, or microseconds since 1970."""
    if text.isascii() and text.isdigit() and len(text) <= _TIME_DIGITS:
        return int(text)
    try:
        when = datetime.fromisoformat(text)
    except ValueError:
        when = None
    if when is None or when.tzinfo is None or when.timestamp() < 0:
        raise argparse.ArgumentTypeError(
            f"a time such as 2026-11-30T15:30Z (say the zone) or microseconds since 1970, not {text!r:.40}"
        )
    return (when - datetime(1970, 1, 1, tzinfo=UTC)) // _MICROSECOND


def seconds(text: str) -> float:
    """A time from 0 s to a day, for argparse: what is waited for has an end."""
    try:
        value = float(text)
    except ValueError:
        value = -1.0
    if not 0 <= value <= _DAY_S:
        raise argparse.ArgumentTypeError(f"seconds from 0 to {_DAY_S}")
    return value


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and 1 <= int(text[:20]) <= _MOST):
        raise argparse.ArgumentTypeError(f"a whole number from 1 to {_MOST}")
    return int(text)
