"""Running coroutines side by side, with a failure that is one error and no group."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine, Iterable
from typing import Any, TypeVar

_T = TypeVar("_T")


async def concurrently(work: Iterable[Coroutine[Any, Any, _T]]) -> list[_T]:
    """The results of all, in order. The first failure cancels the others and is raised as it is."""
    try:
        async with asyncio.TaskGroup() as tasks:
            running = [tasks.create_task(one) for one in work]
    except BaseExceptionGroup as failures:
        raise failures.exceptions[0] from None
    return [task.result() for task in running]
