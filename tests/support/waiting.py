"""Waiting in tests: for a condition, with a deadline, never for a time."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable
from typing import TypeVar

_T = TypeVar("_T")


async def until(condition: Callable[[], object], within_s: float = 10.0) -> None:
    """Wait for a condition inside this process that no event tells of."""
    async with asyncio.timeout(within_s):
        while not condition():  # noqa: ASYNC110
            await asyncio.sleep(0.005)


async def eventually(
    condition: Callable[[], Awaitable[_T]], *, within_s: float, what: str, ignore: tuple[type[Exception], ...] = ()
) -> _T:
    """The first answer of ``condition`` that is true; fails with ``what`` and the last answer after ``within_s``."""
    deadline = time.monotonic() + within_s
    last: object = None
    pause_s = 0.005
    while time.monotonic() < deadline:
        try:
            answer = await condition()
            if answer:
                return answer
            last = answer
        except ignore as error:
            last = error
        await asyncio.sleep(pause_s)
        pause_s = min(2 * pause_s, 0.05)
    raise AssertionError(f"not within {within_s} s: {what}; last seen: {last!r}")
