"""Waiting for the first of several futures."""

from __future__ import annotations

import asyncio

import pytest

from gridledger.waiting import first_done


@pytest.fixture
async def futures() -> list[asyncio.Future[int]]:
    return [asyncio.get_running_loop().create_future() for _ in range(3)]


async def test_it_returns_when_one_is_done(futures: list[asyncio.Future[int]]) -> None:
    waiting = asyncio.create_task(first_done(futures))
    await asyncio.sleep(0)
    assert not waiting.done()
    futures[1].set_result(7)
    await waiting
    assert [future.done() for future in futures] == [False, True, False]


async def test_an_error_stays_in_its_future(futures: list[asyncio.Future[int]]) -> None:
    futures[2].set_exception(ValueError("mine"))
    await first_done(futures)
    with pytest.raises(ValueError, match="mine"):
        futures[2].result()


async def test_it_returns_after_the_timeout(futures: list[asyncio.Future[int]]) -> None:
    await first_done(futures, 0.01)
    assert not any(future.done() for future in futures)


async def test_cancelling_the_caller_cancels_none(futures: list[asyncio.Future[int]]) -> None:
    waiting = asyncio.create_task(first_done(futures, 60.0))
    await asyncio.sleep(0)
    waiting.cancel()
    with pytest.raises(asyncio.CancelledError):
        await waiting
    assert not any(future.cancelled() for future in futures)
    # Nothing of it is left at the futures.
    for future in futures:
        assert not getattr(future, "_callbacks", None)
