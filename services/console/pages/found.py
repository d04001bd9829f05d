"""The page of a channel's transactions, by client, chaincode, function, code, time: what the peer's index finds."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import Any, Final

from fastapi import APIRouter, Request
from starlette.responses import Response

from gridledger.errors import InputError, NotFoundError
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.search import INVALID, FoundTransaction, TransactionFilter, TransactionsPage
from services.console.answers import page_or_export
from services.console.console import Console
from services.console.listing import Cell, Column, Filter, Listing, Row

PAGE: Final = 50
NO_INDEX: Final = "The peer at the gateway is of an earlier version and cannot search: look through its blocks."
COLUMNS: Final = (
    Column("tx_id", "transaction"),
    Column("code", "code"),
    Column("block", "block", numeric=True),
    Column("time", "ordered at"),
    Column("what", "function"),
    Column("who", "client"),
)
_DIGITS_OF_A_DAY: Final = 8
_MOST_DIGITS: Final = 16
"""Of a time in microseconds: those of 2^53."""

_FIELDS: Final = ("creator", "mspid", "certificate", "chaincode", "function", "code", "kind", "from", "to")


def add_to(router: APIRouter, console: Console) -> None:
    """Add this page."""

    @router.get("/channels/{name}/transactions")
    async def transactions(name: str, request: Request) -> Response:
        viewer = console.viewers.of(name)
        config = viewer.configs[name]
        query = {field: value.strip() for field in (*_FIELDS, "bookmark") if (value := request.query_params.get(field))}
        bookmark = query.get("bookmark")
        wanted, missing = read_filter(query), ""
        try:
            found = await viewer.network(name).search_transactions(wanted, limit=PAGE, bookmark=bookmark)
        except NotFoundError:
            found, missing = TransactionsPage((), None, 0, 0, 0), NO_INDEX
        listing = Listing(
            f"transactions-{name}",
            COLUMNS,
            [found_row(name, item) for item in found.items],
            path=f"/channels/{name}/transactions",
            query=query,
            filters=_filters(query, sorted(config.chaincodes)),
            next_query=None if found.bookmark is None else {"bookmark": found.bookmark},
            empty=missing or told_empty(found),
        )
        return page_or_export(
            console,
            request,
            "found.html",
            listing,
            title=f"Transactions of {name}",
            here="Channels",
            channel=name,
            newest=bookmark is None,
            missing=missing,
            behind=max(0, found.height - found.indexed),
            seen=viewer.label,
        )


def read_filter(query: Mapping[str, str]) -> TransactionFilter:
    """What a query asks for. ``creator`` may be ``NAME@MSPID``; times are ISO 8601 (UTC where they name no zone) or
    microseconds since 1970."""
    params: dict[str, Any] = {name: query[name] for name in _FIELDS if query.get(name)}
    creator, at, mspid = params.get("creator", "").rpartition("@")
    if at:
        params |= {"creator": creator, "mspid": mspid}
    for name in ("from", "to"):
        if name in params:
            params[f"{name}_us"] = read_time(params.pop(name))
    return TransactionFilter.of(params)


def read_time(text: str) -> int:
    """A time in microseconds since 1970."""
    if text.isascii() and text.isdigit() and _DIGITS_OF_A_DAY < len(text) <= _MOST_DIGITS:
        return int(text)
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        raise InputError(f"{text!r:.60} is no time: write one such as 2026-12-01 14:30") from None
    moment = moment if moment.tzinfo is not None else moment.replace(tzinfo=UTC)
    return round(moment.timestamp() * 1e6)


def told_empty(found: TransactionsPage) -> str:
    """Why a page has nothing."""
    if found.bookmark is None:
        return "No transaction fits."
    return f"None fits down to block {found.reached:,}, as far as the peer looks for one page: the next page looks on."


def found_row(channel: str, item: FoundTransaction) -> Row:
    """A transaction that a search found."""
    valid = item.code is TxValidationCode.VALID
    who = "" if item.creator is None else f"{item.creator}@{item.mspid or 'no member then'}"
    what = item.kind if item.chaincode is None else f"{item.chaincode}.{item.function}"
    tx_id = Cell("no id: it cannot be read")
    if item.tx_id:
        tx_id = Cell(item.tx_id[:16], whole=item.tx_id, href=f"/channels/{channel}/transactions/{item.tx_id}")
    cells = {
        "tx_id": tx_id,
        "code": Cell(item.code.name, state="" if valid else "bad"),
        "block": Cell(
            f"{item.block:,}, place {item.index}", value=item.block, href=f"/channels/{channel}/blocks/{item.block}"
        ),
        "time": Cell("", value=item.timestamp_us, at_us=item.timestamp_us),
        "what": Cell(what),
        "who": Cell(who),
    }
    return Row(cells, "" if valid else "bad")


def _filters(query: Mapping[str, str], chaincodes: list[str]) -> tuple[Filter, ...]:
    given = query.get("chaincode", "")
    names = sorted({*chaincodes, *([given] if given else [])})
    codes = [code.name for code in TxValidationCode]
    return (
        Filter("creator", "client (NAME or NAME@MSPID)", query.get("creator", "")),
        Filter("chaincode", "chaincode", given, choices=[("", "any"), *((name, name) for name in names)]),
        Filter("function", "function", query.get("function", "")),
        Filter(
            "code",
            "code",
            query.get("code", ""),
            choices=[("", "any"), (INVALID, "any but VALID"), *((name, name) for name in codes)],
        ),
        Filter("from", "from (UTC)", query.get("from", "")),
        Filter("to", "before (UTC)", query.get("to", "")),
    )
