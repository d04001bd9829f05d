"""Following the contract's events: several at a time, and each at least once, over restarts too."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncIterator, Awaitable, Callable, Collection
from pathlib import Path
from typing import Final

from gridledger.client import ChaincodeEvent
from gridledger.client.checkpoints import Checkpointer, FileCheckpointer

AT_ONCE: Final = 16
"""Events that are taken at a time; further ones wait."""
KEEP_EVERY_S: Final = 5.0
"""How often the place in the stream is kept, at most: an event that comes again does no harm."""

_log = logging.getLogger(__name__)

EventSource = Callable[[Checkpointer], AsyncIterator[ChaincodeEvent]]
"""The events behind a checkpoint."""


class Following:
    """Follows the events of these ``names``; the place is kept in ``file``."""

    def __init__(
        self,
        events: EventSource,
        names: Collection[str],
        take: Callable[[ChaincodeEvent], Awaitable[None]],
        file: Path,
    ) -> None:
        """Raises :class:`SettingsError` where the file is no checkpoint."""
        self._events = events
        self._names = frozenset(names)
        self._take = take
        self._kept = FileCheckpointer(file)
        self._places = asyncio.Semaphore(AT_ONCE)
        self._next_keep_s = 0.0
        self._keeps = True

    async def run(self) -> None:
        """Until this is cancelled. What ``take`` raises ends it."""
        async with asyncio.TaskGroup() as group:
            async for event in self._events(self._kept):
                if event.name in self._names:
                    await self._places.acquire()
                    group.create_task(self._taken(event))
                await self._keep(event)

    async def _taken(self, event: ChaincodeEvent) -> None:
        try:
            await self._take(event)
        finally:
            self._places.release()

    async def _keep(self, event: ChaincodeEvent) -> None:
        """Keep the place now and then, once everything before it is done.

        Where the disk is full it is kept later: holders serve what they have all the same, and what comes again after a
        restart does no harm.
        """
        now = asyncio.get_running_loop().time()
        if now < self._next_keep_s:
            return
        for _ in range(AT_ONCE):
            await self._places.acquire()
        for _ in range(AT_ONCE):
            self._places.release()
        try:
            await asyncio.to_thread(self._kept.checkpoint_transaction, event.block, event.tx_id)
        except OSError as error:
            if self._keeps:
                _log.error("the place in the ledger's events cannot be kept, and is tried again: %s", error)
            self._keeps = False
        else:
            self._keeps = True
        self._next_keep_s = asyncio.get_running_loop().time() + KEEP_EVERY_S
