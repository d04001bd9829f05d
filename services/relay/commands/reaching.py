"""How the reading commands reach the ledger: as a user of the network, for one relay."""

from __future__ import annotations

import argparse
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from typing import Final

from gridledger.client import SigningIdentity
from gridledger.client.application import Answer, peers_of
from gridledger.client.profile import load_profile
from gridledger.errors import InputError, NotFoundError, UnavailableError
from gridledger.transport.node_client import ConnectionFailed
from services.relay.ledger import RelayLedger, application_of, relay_ledger

PAGE: Final = 500
"""The most captures that the contract lists at once."""

_US_PER_MINUTE: Final = 60_000_000


@asynccontextmanager
async def opened(options: argparse.Namespace) -> AsyncIterator[RelayLedger]:
    """The ledger, as the user that ``--user`` names, else the first one of an organisation with a peer there."""
    profile = load_profile(options.directory)
    channel, _ = application_of(profile)
    here = {name: profile.peers[name] for name in peers_of(profile, channel, "")}
    home = profile.model_copy(update={"peers": here}).user_folder(options.user)
    async with relay_ledger(profile, SigningIdentity.load(home)) as ledger:
        try:
            yield ledger
        except ConnectionFailed as error:
            # It lists every gateway's failure, which is mostly the same: the first one tells it.
            first = error.message.removeprefix("no gateway can be reached: ").partition("; ")[0]
            message = f"no peer answers; 'gridledger status' says which run. The first failure: {first}"
            raise UnavailableError(message, code=error.code) from None


async def relay_named(ledger: RelayLedger, wanted: str | None) -> str:
    """The relay that ``--relay`` names, or the only one that is registered."""
    if wanted is not None:
        return wanted
    names = [str(item["relay"]) for item in (await ledger.list_relays(limit=10))["items"]]
    if not names:
        raise NotFoundError("no relay is registered: gridledger relay register FILE")
    if len(names) > 1:
        raise InputError(f"there are several relays, name one with --relay: {', '.join(names)}")
    return names[0]


async def pages_of_captures(
    ledger: RelayLedger, relay: str, begin: int, end: int, *, texts: bool = False, limit: int = PAGE
) -> AsyncIterator[list[Answer]]:
    """All captures of a range, page by page: one page is held at a time."""
    bookmark: str | None = None
    while True:
        page = await ledger.list_captures(relay, begin, end, limit=limit, bookmark=bookmark, texts=texts or None)
        if page["items"]:
            yield page["items"]
        bookmark = page["bookmark"]
        if not bookmark:
            return


async def items_up_to(page_of: Callable[[str | None], Awaitable[Answer]], most: int) -> tuple[list[Answer], bool]:
    """The items of all pages, at most so many, and whether there are more. ``page_of`` takes a bookmark."""
    items: list[Answer] = []
    bookmark: str | None = None
    while True:
        page = await page_of(bookmark)
        items += page["items"]
        bookmark = page["bookmark"]
        if not bookmark or len(items) > most:
            return items[:most], bool(bookmark) or len(items) > most


async def latest_minute(ledger: RelayLedger, relay: str, end: int) -> int | None:
    """The minute of the last capture before ``end``, found by bisection; None where there is none."""

    async def first_from(minute: int) -> int | None:
        items = (await ledger.list_captures(relay, minute, end, limit=1))["items"]
        return int(items[0]["minute"]) if items else None

    reach = 1
    while (found := await first_from(max(0, end - reach))) is None:
        if reach >= end:
            return None
        reach *= 8
    low, high = found, end
    # A capture lies at low, none from high on.
    while high - low > 1:
        middle = (low + high) // 2
        later = await first_from(middle)
        low, high = (low, middle) if later is None else (later, high)
    return low


async def registered_minute(ledger: RelayLedger, record: Answer) -> int:
    """The first whole minute that a relay was registered, however often its record was put anew since."""
    first = record if record["revision"] == 1 else await ledger.get_relay(str(record["relay"]), revision=1)
    return -(-int(first["time_us"]) // _US_PER_MINUTE)


async def gaps_of(ledger: RelayLedger, relay: str, begin: int, end: int) -> AsyncIterator[tuple[int, int]]:
    """The ranges of minutes without a capture, page by page; those that touch are joined."""
    bookmark: str | None = None
    held: tuple[int, int] | None = None
    while True:
        page = await ledger.get_gaps(relay, begin, end, bookmark=bookmark)
        for first, behind in page["gaps"]:
            if held is not None and held[1] == first:
                held = (held[0], behind)
                continue
            if held is not None:
                yield held
            held = (first, behind)
        bookmark = page["bookmark"]
        if not bookmark:
            break
    if held is not None:
        yield held
