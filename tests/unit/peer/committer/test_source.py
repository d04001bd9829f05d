"""Where blocks come from: one orderer at a time, another when it fails, lags or skips; on a clock that is virtual."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from random import Random
from typing import Any

import pytest

from gridledger.backoff import Backoff
from services.peer.committer.buffer import BlockBuffer, Delivered
from services.peer.committer.source import ANSWER_WITHIN_S, DOUBT_S, GRACE_S, BlockSource
from tests.simulation import virtual_loop
from tests.support.paper import PaperChain, PaperNetwork
from tests.unit.peer.committer.scripted_orderers import ScriptedOrderers

CHAIN = PaperChain(PaperNetwork())
BLOCKS = [CHAIN.next() for _ in range(6)]
STALL_S = 3.0


class House:
    """A source of the channel's blocks from block 1 on, with an empty buffer behind it."""

    def __init__(self) -> None:
        self.orderers = ScriptedOrderers(BLOCKS[:5])
        self.buffer = BlockBuffer(1024 * 1024)
        self.told: list[tuple[str | None, str]] = []
        self.now = asyncio.get_running_loop().time
        self.source = BlockSource(
            "shard1",
            1,
            self.orderers,
            self.buffer,
            backoff=Backoff(0.001, 0.01, Random(1)),
            stall_s=STALL_S,
            clock=self.now,
            random=Random(2),
            tell=lambda orderer, reason: self.told.append((orderer, reason)),
        )

    async def take(self, count: int) -> list[Delivered]:
        """The next blocks, taken out of the buffer."""
        taken: list[Delivered] = []
        while len(taken) < count:
            found = await self.buffer.head(count - len(taken), 1 << 30)
            taken.extend(found)
            self.buffer.drop(len(found))
        return taken


def drive(test: Callable[[House], Awaitable[Any]]) -> None:
    """Run a test beside the source, in virtual time."""

    async def main() -> None:
        house = House()
        running = asyncio.create_task(house.source.run())
        try:
            async with asyncio.timeout(1000):
                await test(house)
        finally:
            running.cancel()
            await asyncio.gather(running, return_exceptions=True)

    virtual_loop.run(main)


def numbers(taken: list[Delivered]) -> list[int]:
    return [item.block.block.header.number for item in taken]


def test_blocks_come_in_order_and_go_on_as_they_are_made() -> None:
    async def test(house: House) -> None:
        assert numbers(await house.take(5)) == [1, 2, 3, 4, 5]
        await asyncio.sleep(61)
        house.orderers.add(BLOCKS[5])
        assert numbers(await house.take(1)) == [6]
        assert len(house.orderers.opened) == 1

    drive(test)


def test_another_orderer_takes_over_from_those_that_fail() -> None:
    async def test(house: House) -> None:
        house.orderers.broken = {"o1", "o2"}
        assert {item.orderer for item in await house.take(5)} == {"o3"}
        assert house.told[-1][0] == "o3"
        assert (None, "o1: o1 is down") in house.told or (None, "o2: o2 is down") in house.told

    drive(test)


def test_orderers_without_a_place_are_left_alone_for_a_while() -> None:
    """Another one is asked, again and again if need be, and not those that answered 429 a moment ago."""

    async def test(house: House) -> None:
        house.orderers.busy, house.orderers.broken = {"o1", "o2"}, {"o3"}
        await asyncio.sleep(2)
        house.orderers.broken = set()
        assert {item.orderer for item in await house.take(5)} == {"o3"}
        asked = house.orderers.opened
        assert asked.count("o1") <= 1
        assert asked.count("o2") <= 1
        assert asked.count("o3") > 10

    drive(test)


def test_an_orderer_that_falls_behind_in_silence_is_left() -> None:
    async def test(house: House) -> None:
        for name in ("o1", "o2"):
            del house.orderers.chains[name][2:]
        taken = await house.take(5)
        assert numbers(taken) == [1, 2, 3, 4, 5]
        assert taken[-1].orderer == "o3"

    drive(test)


def test_an_orderer_that_skips_a_block_is_left() -> None:
    async def test(house: House) -> None:
        for name in ("o1", "o2"):
            del house.orderers.chains[name][1]
        assert numbers(await house.take(5)) == [1, 2, 3, 4, 5]
        reasons = {reason.partition(": ")[2] for orderer, reason in house.told if orderer is None}
        assert reasons == {"it delivered block 3 where 2 follows"}

    drive(test)


def fed_by_o1(house: House) -> None:
    """The source begins at o1, which has no block yet."""
    house.orderers.chains["o1"] = []
    house.orderers.names = lambda: ["o1", "o2"] if house.orderers.opened else ["o1"]  # type: ignore[method-assign]


def test_an_orderer_that_stops_delivering_is_left_within_1_s() -> None:
    """Under load: another one has the next block."""

    async def test(house: House) -> None:
        fed_by_o1(house)
        await asyncio.sleep(0.2)
        house.orderers.add(BLOCKS[0], "o1")
        assert numbers(await house.take(1)) == [1]
        fed_at = house.now()
        assert (await house.take(1))[0].orderer == "o2"
        assert house.now() - fed_at == pytest.approx(DOUBT_S + GRACE_S, abs=0.05)

    drive(test)


def test_an_orderer_that_hangs_is_left_before_there_is_a_block() -> None:
    """It leads: no other has more, until it is left and another one is elected."""

    async def test(house: House) -> None:
        fed_by_o1(house)
        del house.orderers.chains["o2"][1:]
        house.orderers.hung = {"o1"}
        await asyncio.sleep(0.2)
        house.orderers.add(BLOCKS[0], "o1")
        assert numbers(await house.take(1)) == [1]
        await asyncio.sleep(0.95)  # of virtual time
        assert house.orderers.opened == ["o1", "o2"]
        assert house.told[-1] == (None, f"o1: it does not answer within {ANSWER_WITHIN_S} s")
        house.orderers.hung = set()

    drive(test)


def test_an_idle_channel_is_asked_about_ever_less() -> None:
    async def test(house: House) -> None:
        await house.take(5)
        await asyncio.sleep(2 * STALL_S)
        house.orderers.asked.clear()
        await asyncio.sleep(20 * STALL_S)
        assert len(house.orderers.asked) in range(15, 22)
        assert len(house.orderers.opened) == 1

    drive(test)


def test_a_slow_peer_does_not_leave_its_orderer() -> None:
    """Blocks in the buffer say that it is the peer who is behind."""

    async def test(house: House) -> None:
        await house.buffer.head(5, 1 << 30)
        for name in house.orderers.chains:
            if name not in house.orderers.opened:
                house.orderers.add(BLOCKS[5], name)
        await asyncio.sleep(5 * STALL_S)
        assert len(house.orderers.opened) == 1

    drive(test)


def test_a_rejected_block_is_fetched_again_from_another() -> None:
    async def test(house: House) -> None:
        first = (await house.take(3))[0].orderer
        house.source.reject(first, 2)
        again = await house.take(4)
        assert numbers(again) == [2, 3, 4, 5]
        # It is not trusted again so soon, whoever else fails.
        house.orderers.broken = set(house.orderers.chains) - {first}
        house.orderers.add(BLOCKS[5])
        await asyncio.sleep(1)
        assert house.orderers.opened.count(first) == 1

    drive(test)
