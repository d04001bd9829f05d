"""The outbox of one link: the messages that its groups have for a node, one batch at a time."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Callable

from services.orderer.raft.interface import Link, RaftSettings, Transport
from services.orderer.raft.messages import pack_batch_header

_log = logging.getLogger(__name__)


class Outbox:
    """Bounded queue of one link and the task that empties it. While a batch is being sent, the next one fills."""

    def __init__(
        self,
        node_id: str,
        link: Link,
        transport: Transport,
        settings: RaftSettings,
        unreachable: Callable[[Link], None],
    ) -> None:
        self.link = link
        self.batches = 0
        self._header = pack_batch_header(node_id)
        self._transport = transport
        self._settings = settings
        self._unreachable = unreachable
        self._parts: list[bytes] = []
        self._bytes = 0
        self._reachable = True
        self._filled = asyncio.Event()
        self._task = asyncio.create_task(self._run(), name=f"raft-outbox-{link.to}")

    def put(self, message: bytes) -> bool:
        """Queue one packed message; False when the queue is full and it was dropped."""
        if self._bytes + len(message) > self._settings.max_node_outbox_bytes:
            return False
        self._parts.append(message)
        self._bytes += len(message)
        self._filled.set()
        return True

    def _take(self) -> bytes:
        """The next batch: all that waits, as far as it fits a batch."""
        size = len(self._header)
        count = 0
        for part in self._parts:
            size += len(part)
            if count and size > self._settings.max_batch_bytes:
                break
            count += 1
        batch = b"".join((self._header, *self._parts[:count]))
        del self._parts[:count]
        self._bytes -= len(batch) - len(self._header)
        return batch

    async def _run(self) -> None:
        while True:
            await self._filled.wait()
            self._filled.clear()
            while self._parts:
                await self._send(self._take())

    async def _send(self, batch: bytes) -> None:
        try:
            async with asyncio.timeout(self._settings.send_timeout_s):
                await self._transport.send(self.link, batch)
            self.batches += 1
            if not self._reachable:
                self._reachable = True
                _log.info("orderer %s is reachable again", self.link.to)
        except Exception as error:
            if self._reachable:
                self._reachable = False
                reason = str(error) or type(error).__name__
                _log.warning("orderer %s is not reachable: %s", self.link.to, reason)
            self._parts.clear()
            self._bytes = 0
            self._unreachable(self.link)

    async def close(self) -> None:
        """Drop what waits and stop."""
        self._task.cancel()
        await asyncio.gather(self._task, return_exceptions=True)
