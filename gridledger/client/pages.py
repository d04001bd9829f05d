"""Paged queries of a chaincode, read to their end."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from typing import Any

from gridledger.client.data_frames import Items
from gridledger.errors import InputError

MAX_ITEMS = 1_000_000


async def all_items(
    ask: Callable[[dict[str, Any]], Awaitable[Any]], function: str, argument: Mapping[str, Any], max_items: int
) -> Items:
    """Every item that ``ask`` answers, page after page; the argument has the ``bookmark`` from the second one on."""
    items, bookmark = Items(), None
    while True:
        page = await ask({**argument, **({} if bookmark is None else {"bookmark": bookmark})})
        if not isinstance(page, Mapping) or not isinstance(page.get("items"), list) or "bookmark" not in page:
            raise InputError(f"{function} answers no pages: use evaluate_transaction", function=function)
        items += page["items"]
        if len(items) > max_items:
            raise InputError(f"{function} has more than {max_items} items: ask for less", function=function)
        if page["bookmark"] is None:
            return items
        if page["bookmark"] == bookmark:
            raise InputError(f"{function} answers the same page again and again", function=function)
        bookmark = page["bookmark"]
