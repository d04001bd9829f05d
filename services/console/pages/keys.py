"""The page of one key: what it has held, the newest first, with what each write changed."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import Response

from gridledger.client import Network
from gridledger.errors import GridLedgerError
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.world_state import HistoryEntry, HistoryPage
from services.console.answers import page_or_export
from services.console.console import Console
from services.console.differences import ABSENT, in_words
from services.console.listing import Cell, Column, Filter, Listing, Row
from services.console.opened import open_envelope
from services.console.rendering import pretty_bounded

PAGE: Final = 25
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
        bookmark: Annotated[str, Query(max_length=128)] = "",
    ) -> Response:
        viewer = console.viewers.of(name)
        network, config = viewer.network(name), viewer.configs[name]
        asked = await _ask(network, chaincode, key, bookmark) if chaincode and key else _NOTHING
        found = await _transactions(network, asked.page.items)
        query = {"chaincode": chaincode, "key": key} | ({"bookmark": bookmark} if bookmark else {})
        rows = history_rows(name, (*asked.page.items, *asked.before), found, config)
        listing = Listing(
            "history",
            _COLUMNS,
            rows,
            path=f"/channels/{name}/keys",
            query=query,
            filters=_filters(config, chaincode, key),
            next_query=None if asked.page.bookmark is None else {"bookmark": asked.page.bookmark},
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
            newest=asked.newest,
            present=present_value(asked.newest),
            seen=viewer.label,
        )


@dataclass(frozen=True, slots=True)
class _Asked:
    """A page of a history, the entry before its oldest (with which that one is compared), and the key's newest."""

    page: HistoryPage
    before: tuple[HistoryEntry, ...] = ()
    newest: HistoryEntry | None = None


_NOTHING: Final = _Asked(HistoryPage((), None))


async def _ask(network: Network, chaincode: str, key: str, bookmark: str) -> _Asked:
    page = await network.get_history_page(chaincode, key, limit=PAGE, bookmark=bookmark or None)
    before: tuple[HistoryEntry, ...] = ()
    if page.bookmark is not None:
        before = (await network.get_history_page(chaincode, key, limit=1, bookmark=page.bookmark)).items
    newest = page.items[:1] if not bookmark else (await network.get_history_page(chaincode, key, limit=1)).items
    return _Asked(page, before, newest[0] if newest else None)


def present_value(newest: HistoryEntry | None) -> str | None:
    """What the key holds now, as text on several lines; None where it holds nothing."""
    if newest is None or newest.is_delete:
        return None
    return pretty_bounded(newest.value)


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
