"""Judging config updates beside the event loop.

A configuration has many certificates and revocation lists, each with a signature: to read one takes longer than the
loop, which Raft's heartbeats need, may be held. One thread does it, for one update at a time.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, Protocol, TypeVar

from gridledger.protocol import ChannelConfig, ConfigUpdate, verify_update

_T = TypeVar("_T")


class OffLoop(Protocol):
    """Runs a function where it does not hold the event loop, as :func:`asyncio.to_thread` does."""

    async def __call__(self, work: Callable[..., _T], /, *args: Any) -> _T: ...


class ConfigThread:
    """The one thread. ``OffLoop``."""

    def __init__(self) -> None:
        self._pool = ThreadPoolExecutor(1, "config")

    async def __call__(self, work: Callable[..., _T], /, *args: Any) -> _T:
        """The result of ``work``, after what was asked for before."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, work, *args)

    def close(self) -> None:
        """Take no more work."""
        self._pool.shutdown(wait=False, cancel_futures=True)


def judge_update(envelope: bytes, current: ChannelConfig, at_us: int) -> ChannelConfig:
    """The configuration that follows ``current`` by the update in an envelope; raises as :func:`verify_update`."""
    return verify_update(current, ConfigUpdate.parse(envelope), at_us)
