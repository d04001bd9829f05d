"""What the page reads of the ledger, few at once: however many ask, the server's own work at its gateway goes on."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any, Final, TypeVar

from gridledger.errors import BusyError
from services.relay.server.capture_queries import CaptureQueries

AT_ONCE: Final = 8
WAIT_S: Final = 20.0
"""How long a read waits for its turn and its answer, before the caller is told that the page is busy."""

_T = TypeVar("_T")


class PageReads:
    """The same queries of ``ledger``, at most so many at once."""

    def __init__(self, ledger: CaptureQueries, at_once: int = AT_ONCE, wait_s: float = WAIT_S) -> None:
        self._ledger = ledger
        self._turns = asyncio.Semaphore(at_once)
        self._wait_s = wait_s

    async def get_relay(self, relay: str) -> dict[str, Any]:
        """GetRelay."""
        return await self._in_turn(lambda: self._ledger.get_relay(relay))

    async def get_capture(self, relay: str, minute: int) -> dict[str, Any]:
        """GetCapture."""
        return await self._in_turn(lambda: self._ledger.get_capture(relay, minute))

    async def list_captures(
        self,
        relay: str,
        first: int,
        end: int,
        *,
        limit: int | None = None,
        bookmark: str | None = None,
        texts: bool | None = None,
    ) -> dict[str, Any]:
        """ListCaptures."""
        return await self._in_turn(
            lambda: self._ledger.list_captures(relay, first, end, limit=limit, bookmark=bookmark, texts=texts)
        )

    async def _in_turn(self, read: Callable[[], Awaitable[_T]]) -> _T:
        try:
            async with asyncio.timeout(self._wait_s), self._turns:
                return await read()
        except TimeoutError:
            raise BusyError("the page has too much to read from the ledger now", retry_after_s=1.0) from None
