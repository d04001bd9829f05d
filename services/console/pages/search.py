"""The page of the search: one field for numbers, hashes, ids, clients, buses and keys. It tells where it looked."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Annotated, Final

from fastapi import APIRouter, Query, Request
from starlette.responses import RedirectResponse, Response

from gridledger.client import Network
from gridledger.errors import GridLedgerError, NotFoundError
from gridledger.protocol.search import TransactionFilter
from services.console.answers import page_or_export
from services.console.console import Console
from services.console.listing import Cell, Column, Listing, Row, url
from services.console.pages.found import NO_INDEX
from services.console.searching import MAX_QUERY, WORDS, Reading, readings
from services.console.viewers import Viewer

MAX_HITS: Final = 20
"""Transactions that one question shows; the list of the channel has all."""

MAX_QUESTIONS: Final = 200
QUESTION_S: Final = 8.0
_AT_ONCE: Final = 8
_WHAT_TO_WRITE: Final = (
    "Write a block's number or hash, the beginning of a transaction's id (4 digits at least), a client (NAME or "
    "NAME@MSPID), a bus (bus 3), or a key (CHAINCODE/KEY, or KEY)."
)
_HITS: Final = (
    Column("what", "what"),
    Column("found", "found"),
    Column("channel", "channel"),
    Column("more", "more"),
    Column("seen_as", "seen as", minor=True),
)
_LOOKED: Final = (
    Column("what", "looked for"),
    Column("text", "text"),
    Column("where", "where"),
    Column("seen_as", "as"),
    Column("answer", "answer"),
)


@dataclass(frozen=True, slots=True)
class Hit:
    """Something that was found; ``at_us`` its time, where it has one."""

    text: str
    href: str
    more: str = ""
    whole: str | None = None
    exact: bool = True


@dataclass(frozen=True, slots=True)
class Looked:
    """One question to one channel, or to what the console has seen: its hits, or the fault."""

    reading: Reading
    where: str
    viewer: str
    hits: Sequence[Hit] = ()
    fault: str = ""


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page."""

    @router.get("/search")
    async def search(request: Request, q: Annotated[str, Query(max_length=MAX_QUERY)] = "") -> Response:
        await console.viewers.looked()
        looked = await _look(console, readings(q))
        hits = [(one, hit) for one in looked for hit in one.hits]
        if len(hits) == 1 and hits[0][1].exact and "format" not in request.query_params:
            return RedirectResponse(hits[0][1].href, 303)
        listing = Listing(
            "hits",
            _HITS,
            [_hit_row(one, hit) for one, hit in hits],
            path="/search",
            query={"q": q},
            empty="Nothing was found."
            if looked
            else "Write a block's number or hash, the beginning of a transaction's id, "
            "a client (NAME or NAME@MSPID), a bus (bus 3), or a key (CHAINCODE/KEY, or KEY).",
        )
        return page_or_export(
            console,
            request,
            "search.html",
            listing,
            title=f"Search {q:.40}",
            searched=q,
            looked=Listing("looked", _LOOKED, looked_rows(looked)),
        )


async def _look(console: Console, wanted: Sequence[Reading]) -> list[Looked]:
    """Ask every channel for every reading; the buses are those of the frames that the console has seen."""
    gate = asyncio.Semaphore(_AT_ONCE)

    async def one(reading: Reading, channel: str, viewer: Viewer) -> Looked:
        async with gate:
            try:
                async with asyncio.timeout(QUESTION_S):
                    return Looked(reading, channel, viewer.label, await _ask(viewer, channel, reading))
            except TimeoutError:
                fault = f"it did not answer within {QUESTION_S:g} s"
            except GridLedgerError as error:
                fault = error.message
        return Looked(reading, channel, viewer.label, fault=fault)

    questions = [
        one(reading, channel, viewer)
        for reading in wanted
        if reading.kind != "bus"
        for channel, viewer in console.viewers.channels.items()
    ]
    for left_out in questions[MAX_QUESTIONS:]:
        left_out.close()
    asked = list(await asyncio.gather(*questions[:MAX_QUESTIONS]))
    buses = [_look_for_bus(console, reading) for reading in wanted if reading.kind == "bus"]
    return [*buses, *asked]


def _look_for_bus(console: Console, reading: Reading) -> Looked:
    bus = int(reading.text)
    home = console.grid.homes.get(bus)
    hits = [
        Hit(f"bus {bus}", f"/groups/{state.channel}/{state.group}", f"in group {state.group} on {state.channel}")
        for channel in console.grid.channels()
        for state in channel.groups.values()
        if state.group == home or (state.latest is not None and bus in state.latest.vsi)
    ]
    return Looked(reading, "frames on all channels", ", ".join(one.label for one in console.viewers.all), hits)


async def _ask(viewer: Viewer, channel: str, reading: Reading) -> Sequence[Hit]:
    network, here = viewer.network(channel), f"/channels/{channel}"
    match reading.kind:
        case "block":
            height = (await network.get_chain_info()).height
            number = int(reading.text)
            return [Hit(f"block {number:,}", f"{here}/blocks/{number}")] if number < height else ()
        case "hash":
            return await _block_by_hash(network, here, reading.text)
        case "transaction":
            return await _transactions_by_id(network, here, reading.text)
        case "identity":
            return await _transactions_of(network, here, reading)
        case "key":
            return await _keys(viewer, channel, reading)
        case _:
            return ()


async def _block_by_hash(network: Network, here: str, block_hash: str) -> Sequence[Hit]:
    try:
        number = (await network.get_block_by_hash(block_hash)).header.number
    except NotFoundError:
        return ()
    return [Hit(f"block {number:,}", f"{here}/blocks/{number}", block_hash[:16], block_hash)]


async def _transactions_by_id(network: Network, here: str, prefix: str) -> Sequence[Hit]:
    try:
        found = (await network.find_transactions(prefix, limit=MAX_HITS)).items
    except NotFoundError:
        if len(prefix) < 64:  # noqa: PLR2004 - digits of a SHA-256
            raise NotFoundError(NO_INDEX) from None
        return await _transaction(network, here, prefix)
    return [
        Hit(
            f"transaction {item.tx_id[:16]}",
            f"{here}/transactions/{item.tx_id}",
            f"{item.code.name}, block {item.block:,}, "
            + (item.kind if item.chaincode is None else f"{item.chaincode}.{item.function} by {item.creator}"),
            item.tx_id,
        )
        for item in found
    ]


async def _transaction(network: Network, here: str, tx_id: str) -> Sequence[Hit]:
    """Of a peer without an index: the transaction of this whole id."""
    try:
        proved = await network.get_transaction(tx_id)
    except NotFoundError:
        return ()
    text = f"{proved.code.name}, block {proved.block:,}"
    return [Hit(f"transaction {tx_id[:16]}", f"{here}/transactions/{tx_id}", text, tx_id)]


async def _transactions_of(network: Network, here: str, reading: Reading) -> Sequence[Hit]:
    wanted = TransactionFilter(creator=reading.text, mspid=reading.within or None)
    try:
        found = await network.search_transactions(wanted, limit=1)
    except NotFoundError:
        raise NotFoundError(NO_INDEX) from None
    if not found.items:
        return ()
    newest = found.items[0]
    name = f"{reading.text}@{reading.within}" if reading.within else reading.text
    more = f"the newest in block {newest.block:,}, {newest.chaincode}.{newest.function}"
    return [Hit(f"transactions of {name}", url(f"{here}/transactions", {"creator": name}), more, exact=False)]


async def _keys(viewer: Viewer, channel: str, reading: Reading) -> Sequence[Hit]:
    network, config = viewer.network(channel), viewer.configs[channel]
    if reading.within:
        names = [reading.within] if reading.within in config.chaincodes else []
    else:
        names = sorted(config.chaincodes)
    hits = []
    for chaincode in names:
        newest = (await network.get_history_page(chaincode, reading.text, limit=1)).items
        if newest:
            where = url(f"/channels/{channel}/keys", {"chaincode": chaincode, "key": reading.text})
            state = "deleted" if newest[0].is_delete else "written"
            hits.append(Hit(f"{chaincode}/{reading.text}", where, f"{state} in block {newest[0].block:,}"))
    return hits


def _hit_row(one: Looked, hit: Hit) -> Row:
    return Row(
        {
            "what": Cell(WORDS[one.reading.kind]),
            "found": Cell(hit.text, href=hit.href, whole=hit.whole),
            "channel": Cell(one.where),
            "more": Cell(hit.more),
            "seen_as": Cell(one.viewer),
        }
    )


def looked_rows(looked: Sequence[Looked]) -> list[Row]:
    """Where was looked: faults first."""
    rows = []
    for one in looked:
        what = WORDS[one.reading.kind] + (f", {one.reading.within}" if one.reading.within else "")
        count = len(one.hits)
        cells = {
            "what": Cell(what),
            "text": Cell(one.reading.text),
            "where": Cell(one.where),
            "seen_as": Cell(one.viewer),
            "answer": Cell(one.fault, state="warn") if one.fault else Cell(f"{count} found" if count else "nothing"),
        }
        rows.append(Row(cells, "warn" if one.fault else ""))
    return sorted(rows, key=lambda row: row.state != "warn")
