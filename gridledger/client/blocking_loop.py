"""The one event loop, in a thread, on which all blocking gateways of a process run."""

from __future__ import annotations

import asyncio
import threading
from collections.abc import AsyncIterator, Coroutine, Iterator
from typing import Any, TypeVar

_T = TypeVar("_T")


class _LoopThread:
    """One daemon thread with a running event loop, started when first needed."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._loop: asyncio.AbstractEventLoop | None = None

    def run(self, work: Coroutine[Any, Any, _T]) -> _T:
        """Run a coroutine there and wait for it."""
        future = asyncio.run_coroutine_threadsafe(work, self._started())
        try:
            return future.result()
        except BaseException:
            future.cancel()
            raise

    def _started(self) -> asyncio.AbstractEventLoop:
        with self._lock:
            if self._loop is None:
                self._loop = asyncio.new_event_loop()
                threading.Thread(target=self._loop.run_forever, name="gridledger-client", daemon=True).start()
            return self._loop


_thread = _LoopThread()
run = _thread.run
"""Runs a coroutine on the loop, and waits for it; may be called from any thread."""


def iterate(events: AsyncIterator[_T]) -> Iterator[_T]:
    """What an asynchronous iterator gives, as it comes."""

    async def following() -> _T:
        return await anext(events)

    async def close() -> None:
        aclose = getattr(events, "aclose", None)
        if aclose is not None:
            await aclose()

    try:
        while True:
            try:
                event = run(following())
            except StopAsyncIteration:
                return
            yield event
    finally:
        run(close())
