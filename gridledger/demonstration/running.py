"""Running a demonstration to its end, as a command does."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Coroutine
from typing import Any

import uvloop


def run_to_end(work: Coroutine[Any, Any, int]) -> int:
    """The exit code of ``work``; SIGTERM ends it as Ctrl-C does, with everything that was started stopped."""

    async def stoppable() -> int:
        task = asyncio.current_task()
        if task is not None:
            asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, task.cancel)
        return await work

    with asyncio.Runner(loop_factory=uvloop.new_event_loop) as runner:
        return runner.run(stoppable())
