"""Lines from a file descriptor, read by a thread of their own: standard input may be a terminal, a pipe or a file."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import CancelledError
from threading import Thread

from services.feeder.control.commands import MAX_LINE

_READ = 4096
_WAITING = 100


async def lines_of(descriptor: int) -> AsyncIterator[str]:
    """The lines until the end; one longer than a command may be comes cut, so that it is refused.

    The thread reads no further while 100 lines wait. It ends with the process, for a read of a terminal cannot be
    interrupted.
    """
    loop, waiting = asyncio.get_running_loop(), asyncio.Queue[str | None](_WAITING)

    def read() -> None:
        try:
            for line in _split(descriptor):
                asyncio.run_coroutine_threadsafe(waiting.put(line), loop).result()
            asyncio.run_coroutine_threadsafe(waiting.put(None), loop).result()
        except (RuntimeError, CancelledError, OSError):
            return  # the loop is closed, or the descriptor: nobody waits for lines any more

    Thread(target=read, name="control", daemon=True).start()
    while (line := await waiting.get()) is not None:
        yield line


def _split(descriptor: int) -> Iterator[str]:
    left = b""
    while chunk := os.read(descriptor, _READ):
        *whole, left = (left + chunk).split(b"\n")
        for line in whole:
            yield line[: MAX_LINE + 1].decode("utf-8", "replace").strip()
        # What is longer than a line may be is told once, when its end comes.
        left = left[: MAX_LINE + 1]
    if left:
        yield left.decode("utf-8", "replace").strip()
