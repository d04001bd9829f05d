"""Questions to the ledger that several holders of one process have at once, asked once.

A put sends a share to each holder at the same moment, and each needs the same manifest, which is long. Holders of one
organisation ask the same peers, and so they believe one answer as they would their own.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Hashable
from typing import Generic, TypeVar

_T = TypeVar("_T")


class Shared(Generic[_T]):
    """Who asks what another is asking gets the same answer, or the same error. Nothing is kept: an answer that has come
    is asked for anew."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, asyncio.Task[_T]] = {}

    async def ask(self, question: Hashable, ask: Callable[[], Awaitable[_T]]) -> _T:
        """The answer. One who leaves takes nobody's answer away."""
        task = self._under_way.get(question)
        if task is None:
            task = self._under_way[question] = asyncio.create_task(self._asked(question, ask))
            task.add_done_callback(_seen)
        return await asyncio.shield(task)

    async def _asked(self, question: Hashable, ask: Callable[[], Awaitable[_T]]) -> _T:
        try:
            return await ask()
        finally:
            del self._under_way[question]


def _seen(task: asyncio.Task[_T]) -> None:
    """Keep asyncio from telling of an error that nobody waits for any more."""
    if not task.cancelled():
        task.exception()
