"""The clock of a stream: it stands still while paused, and waits end when the stream does."""

from __future__ import annotations

import asyncio

from services.feeder.stream_clock import StreamClock


class Hands:
    """A clock that the test moves."""

    now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


async def test_time_begins_after_the_lead() -> None:
    hands = Hands()
    clock = StreamClock(2.0, hands)
    assert clock.at_s == -2.0
    hands.now_s += 5.0
    assert clock.at_s == 3.0
    assert clock.real(4.0) == 106.0


async def test_a_pause_is_left_out() -> None:
    hands = Hands()
    clock = StreamClock(0.0, hands)
    hands.now_s += 1.0
    assert clock.pause()
    assert not clock.pause()
    hands.now_s += 10.0
    assert clock.at_s == 1.0
    assert clock.resume()
    assert not clock.resume()
    hands.now_s += 1.0
    assert clock.at_s == 2.0


async def test_a_wait_does_not_end_while_paused() -> None:
    hands = Hands()
    clock = StreamClock(0.0, hands)
    clock.pause()
    waiting = asyncio.create_task(clock.until(0.5))
    hands.now_s += 60.0
    for _ in range(5):
        await asyncio.sleep(0)
    assert not waiting.done()
    clock.resume()
    hands.now_s += 0.5
    async with asyncio.timeout(5):
        assert await waiting


async def test_a_wait_ends_with_the_stream() -> None:
    clock = StreamClock(0.0, Hands())
    clock.pause()
    waiting = asyncio.create_task(clock.until(1e6))
    await asyncio.sleep(0)
    clock.end()
    async with asyncio.timeout(5):
        assert not await waiting
    assert not await clock.until(0.0)
