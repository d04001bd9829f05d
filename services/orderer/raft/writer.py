"""The thread that writes the log, so that the event loop never waits for the disk.

A plain thread and a queue, not an executor: what is on the way of every proposal should cost one wake-up each way.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Protocol

from gridledger.disk import SYSTEM_DISK, Disk
from services.orderer.raft.wal import Wal
from services.orderer.raft.wal_records import GroupRecord, GroupWrite


class Writer(Protocol):
    """Makes batches durable, one at a time."""

    groups: dict[str, GroupRecord]

    def submit(self, writes: Sequence[GroupWrite], done: Callable[[Exception | None], None]) -> None:
        """Begin to make a batch durable; ``done`` is called on the event loop when it is, or with the error. The next
        batch may be submitted only then."""

    def crowded(self) -> list[str]:
        """Groups that should take a snapshot so that the log can shrink. Not to be asked while a batch is under way."""

    async def close(self) -> None:
        """Finish what was submitted, and close."""


class WalWriter:
    """A ``Wal`` behind a thread."""

    def __init__(self, wal: Wal, max_segments: int) -> None:
        self.groups = wal.groups
        self._wal = wal
        self._max_segments = max_segments
        self._loop = asyncio.get_running_loop()
        self._closed = asyncio.Event()
        self._queue: queue.SimpleQueue[tuple[Sequence[GroupWrite], Callable[[Exception | None], None]] | None]
        self._queue = queue.SimpleQueue()
        self._thread = threading.Thread(target=self._run, name="raft-wal", daemon=True)
        self._thread.start()

    @classmethod
    async def open(cls, directory: Path, segment_bytes: int, max_segments: int, disk: Disk = SYSTEM_DISK) -> WalWriter:
        """Open the log (which reads it) without holding up the event loop."""
        return cls(await asyncio.to_thread(Wal, directory, segment_bytes, disk), max_segments)

    def submit(self, writes: Sequence[GroupWrite], done: Callable[[Exception | None], None]) -> None:
        """See ``Writer``."""
        self._queue.put((writes, done))

    def crowded(self) -> list[str]:
        """See ``Writer``."""
        return self._wal.holding_back() if self._wal.segment_count > self._max_segments else []

    async def close(self) -> None:
        """See ``Writer``."""
        self._queue.put(None)
        await self._closed.wait()
        self._thread.join()
        self._wal.close()

    def _run(self) -> None:
        while (job := self._queue.get()) is not None:
            writes, done = job
            error: Exception | None = None
            try:
                self._wal.write(writes)
            except Exception as failed:
                error = failed
            self._loop.call_soon_threadsafe(done, error)
        self._loop.call_soon_threadsafe(self._closed.set)
