"""The page of one key: what it has held, the newest first, with what each write changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gridledger.client import Network
from gridledger.errors import GridLedgerError, InputError
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.world_state import HistoryEntry
from services.console.answers import page_or_export
from services.console.console import Console
from services.console.differences import ABSENT, in_words
from services.console.listing import Cell, Column, Filter, Listing, Row
from services.console.opened import open_envelope

PAGE: Final = 25
MAX_SHOWN: Final = 100_000
"""Characters of the present value that are shown."""

_AT_ONCE: Final = 8
_COLUMNS: Final = (
    Column("block", "block", numeric=True),
    Column("tx_id", "transaction"),
    Column("who", "who"),
    Column("when", "proposed at"),
    Column("code", "code", minor=True),
    Column("function", "function", minor=True),
    Column("change", "change"),
    Column("value", "value", minor=True),
)


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page."""

    @router.get("/channels/{name}/keys")
    async def keys(
        name: str,
        request: Request,
        chaincode: Annotated[str, Query(max_length=128)] = "",
        key: Annotated[str, Query(max_length=4096)] = "",
        bookmark: Annotated[str, Query(max_length=64)] = "",
    ) -> Response:
        viewer = console.viewers.of(name)
        network, config = viewer.network(name), viewer.configs[name]
        history = await network.get_history(chaincode, key) if chaincode and key else []
        items, following = page_of(history, bookmark)
        found = await _transactions(network, items[:PAGE])
        query = {"chaincode": chaincode, "key": key} | ({"bookmark": bookmark} if bookmark else {})
        rows = history_rows(name, items, found, config)
        listing = Listing(
            "history",
            _COLUMNS,
            rows,
            path=f"/channels/{name}/keys",
            query=query,
            filters=_filters(config, chaincode, key),
            next_query=None if following is None else {"bookmark": following},
            empty=f"{chaincode} has written no key {key!r:.200} on {name}." if key else "Choose a chaincode and a key.",
        )
        return page_or_export(
            console,
            request,
            "keys.html",
            listing,
            title=f"Key {key:.40}" if key else "Keys",
            here="Channels",
            channel=name,
            chaincode=chaincode,
            key=key,
            newest=history[0] if history else None,
            present=present_value(history),
            count=len(history),
            seen=viewer.label,
        )


def page_of(history: Sequence[HistoryEntry], bookmark: str) -> tuple[list[HistoryEntry], str | None]:
    """A page's entries and the one before them, with which the oldest of the page is compared; and the next page's
    bookmark. A bookmark is the block and place of the last entry that was shown, which new writes do not move."""
    older = list(history)
    if bookmark:
        block, _, place = bookmark.partition(".")
        if not (block.isascii() and block.isdigit() and place.isascii() and place.isdigit()):
            raise InputError("'bookmark' is one that a page of this list gave")
        older = [item for item in history if (item.block, item.index) < (int(block), int(place))]
    last = older[PAGE - 1] if len(older) > PAGE else None
    return older[: PAGE + 1], None if last is None else f"{last.block}.{last.index}"


def present_value(history: Sequence[HistoryEntry]) -> str | None:
    """What the key holds now, as text on several lines; None where it holds nothing."""
    if not history or history[0].is_delete:
        return None
    text = json.dumps(history[0].value, indent=1, ensure_ascii=False)
    return text if len(text) <= MAX_SHOWN else f"{text[:MAX_SHOWN]}\n… {len(text) - MAX_SHOWN:,} characters more"


async def _transactions(network: Network, items: Sequence[HistoryEntry]) -> list[ProvedTransaction | str]:
    """The transaction of each entry, or why it cannot be had."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(tx_id: str) -> ProvedTransaction | str:
        async with gate:
            try:
                return await network.get_transaction(tx_id)
            except GridLedgerError as error:
                return error.message

    return list(await asyncio.gather(*(one(item.tx_id) for item in items)))


def history_rows(
    channel: str,
    items: Sequence[HistoryEntry],
    found: Sequence[ProvedTransaction | str],
    config: ChannelConfig,
) -> list[Row]:
    """A row for each entry that has its transaction in ``found``; ``items`` may have one more, which is older."""
    rows = []
    for place, transaction in enumerate(found):
        item = items[place]
        before = items[place + 1].value if place + 1 < len(items) and not items[place + 1].is_delete else ABSENT
        after = ABSENT if item.is_delete else item.value
        code = "" if isinstance(transaction, str) else transaction.code.name
        cells = {
            "block": Cell(f"{item.block:,}", value=item.block, href=f"/channels/{channel}/blocks/{item.block}"),
            "tx_id": Cell(item.tx_id[:12], whole=item.tx_id, href=f"/channels/{channel}/transactions/{item.tx_id}"),
            "who": Cell(transaction if isinstance(transaction, str) else _who(transaction, config)),
            "when": Cell("", value=item.timestamp_us, at_us=item.timestamp_us),
            "code": Cell(code, state="" if code == "VALID" else "bad"),
            "function": Cell("" if isinstance(transaction, str) else open_envelope(transaction.envelope).what),
            "change": Cell("deleted" if item.is_delete else in_words(before, after)),
            "value": Cell("" if item.is_delete else json.dumps(item.value, ensure_ascii=False), value=item.value),
        }
        rows.append(Row(cells))
    return rows


def _who(transaction: ProvedTransaction, config: ChannelConfig) -> str:
    opened = open_envelope(transaction.envelope)
    if opened.creator is None:
        return opened.who
    try:
        mspid = config.msps.identify(opened.creator, transaction.header.timestamp_us).mspid
    except GridLedgerError:
        mspid = "no member now"
    return f"{opened.who}@{mspid}"


def _filters(config: ChannelConfig, chaincode: str, key: str) -> tuple[Filter, ...]:
    names = sorted({*config.chaincodes, *config.removed_chaincodes, *([chaincode] if chaincode else [])})
    return (
        Filter("chaincode", "chaincode", chaincode, choices=[(name, name) for name in names]),
        Filter("key", "key", key),
    )
