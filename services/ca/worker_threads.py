"""Threads for calls that block (on scrypt, on the disk), with a bound on how many wait for one."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from typing import ParamSpec, TypeVar

from gridledger.errors import BusyError

_Given = ParamSpec("_Given")
_Answer = TypeVar("_Answer")


class WorkerThreads:
    """Runs at most ``threads`` calls at once; ``max_waiting`` more wait, and the next is refused."""

    def __init__(self, threads: int, max_waiting: int) -> None:
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="ca")
        self._max_calls = threads + max_waiting
        self.calls = 0
        """How many calls run or wait now."""
        self._of_source: Counter[str] = Counter()

    async def run(self, call: Callable[_Given, _Answer], *given: _Given.args, **named: _Given.kwargs) -> _Answer:
        """Run a call in a thread and return its answer. :class:`BusyError` when too many wait already.

        A call that has begun or waits is run to its end, even when the one who asked for it is cancelled: what was
        granted stays granted, and its place is free only when its thread is.
        """
        return await self._run(partial(call, *given, **named), None)

    async def run_for(self, source: str, call: Callable[[], _Answer]) -> _Answer:
        """As :meth:`run`, for a caller of whom only the address is known: one source has half of the places at most."""
        if self._of_source[source] >= max(1, self._max_calls // 2):
            raise BusyError("too many requests from this address are waiting here already", retry_after_s=1.0)
        return await self._run(call, source)

    async def _run(self, call: Callable[[], _Answer], source: str | None) -> _Answer:
        if self.calls >= self._max_calls:
            raise BusyError(f"{self.calls} requests are waiting here already", retry_after_s=1.0)
        future = asyncio.get_running_loop().run_in_executor(self._pool, call)
        self.calls += 1
        if source is not None:
            self._of_source[source] += 1
        future.add_done_callback(partial(self._count_end, source))
        return await asyncio.shield(future)

    def close(self) -> None:
        """Let running calls end."""
        self._pool.shutdown(wait=True)

    def _count_end(self, source: str | None, future: asyncio.Future[_Answer]) -> None:
        self.calls -= 1
        if source is not None:
            self._of_source[source] -= 1
            if not self._of_source[source]:
                del self._of_source[source]
        if not future.cancelled():
            future.exception()  # seen, so that asyncio does not complain where nobody waits for the answer any more
