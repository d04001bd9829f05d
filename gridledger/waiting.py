"""Waiting for the first of several futures, at half the cost of :func:`asyncio.wait`: every transaction does it."""

from __future__ import annotations

import asyncio
from collections.abc import Collection
from typing import Any


async def first_done(futures: Collection[asyncio.Future[Any]], timeout_s: float | None = None) -> None:
    """Return when one of ``futures`` is done, or after ``timeout_s``. Results and errors stay in the futures.

    Cancelling the caller cancels none of them.
    """
    for future in futures:  # any() with a generator would take longer than all the rest of this
        if future.done():
            return
    loop = asyncio.get_running_loop()
    woken: asyncio.Future[None] = loop.create_future()

    def wake(_: object = None) -> None:
        if not woken.done():
            woken.set_result(None)

    timer = None if timeout_s is None else loop.call_later(timeout_s, wake)
    for future in futures:
        future.add_done_callback(wake)
    try:
        await woken
    finally:
        if timer is not None:
            timer.cancel()
        for future in futures:
            if not future.done():
                future.remove_done_callback(wake)
