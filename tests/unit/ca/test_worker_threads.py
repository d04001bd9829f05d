"""Threads for what blocks: bounded, and what they have begun they finish."""

from __future__ import annotations

import asyncio
import threading
import time
from collections.abc import Iterator

import pytest

from gridledger.errors import BusyError
from services.ca.worker_threads import WorkerThreads
from tests.support.waiting import until


@pytest.fixture
def threads() -> Iterator[WorkerThreads]:
    made = WorkerThreads(1, 2)
    yield made
    made.close()


async def test_one_too_many_is_sent_away(threads: WorkerThreads) -> None:
    gate = threading.Event()
    waiting = [asyncio.create_task(threads.run(gate.wait, 10)) for _ in range(3)]
    await until(lambda: threads.calls == 3)
    with pytest.raises(BusyError):
        await threads.run(time.time)
    # A client that goes away does not free the thread that is still at work for it.
    waiting[2].cancel()
    await asyncio.wait(waiting[2:])
    with pytest.raises(BusyError):
        await threads.run(time.time)
    gate.set()
    assert await asyncio.gather(*waiting[:2]) == [True, True]
    await until(lambda: threads.calls == 0)
    assert await threads.run(time.time) > 0


async def test_one_address_has_half_of_the_places_at_most() -> None:
    threads, gate = WorkerThreads(1, 3), threading.Event()
    try:
        waiting = [asyncio.create_task(threads.run_for("192.0.2.1", lambda: gate.wait(10))) for _ in range(2)]
        await until(lambda: threads.calls == 2)
        with pytest.raises(BusyError, match="this address"):
            await threads.run_for("192.0.2.1", time.time)
        waiting.append(asyncio.create_task(threads.run_for("192.0.2.2", lambda: gate.wait(10))))
        gate.set()
        assert await asyncio.gather(*waiting) == [True] * 3
        assert await threads.run_for("192.0.2.1", time.time) > 0
    finally:
        gate.set()
        threads.close()


async def test_an_error_of_a_call_is_raised_where_it_was_asked_for(threads: WorkerThreads) -> None:
    with pytest.raises(ValueError, match="invalid literal"):
        await threads.run(int, "many")
    assert threads.calls == 0
