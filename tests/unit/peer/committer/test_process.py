"""The committer's parts: buffer, source with failover, commits into a real ledger."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger.backoff import Backoff
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.ledger import Ledger, StorageFull
from gridledger.ledger.committer import BlockCommitter
from gridledger.protocol.block import SignedBlock
from gridledger.protocol.config import ChannelConfig
from gridledger.protocol.events import CommittedBlock
from services.peer.committer.buffer import BlockBuffer, Delivered
from services.peer.committer.chain_committer import ChainCommitter
from services.peer.committer.messages import BlockCommitted, CommitterReport
from services.peer.committer.source import BlockSource
from tests.simulation import virtual_loop
from tests.support.paper import PaperChain, PaperNetwork, PaperOrganisation, signed_block
from tests.support.waiting import until


class Orderers:
    """Orderers that hold a chain each, and serve it as the test says."""

    def __init__(self, chain: list[SignedBlock]) -> None:
        self.chains = {name: list(chain) for name in ("o1", "o2", "o3")}
        self.broken: set[str] = set()
        self.opened: list[str] = []
        self.grown = asyncio.Event()
        self.configs: list[int] = []
        self.reports: list[tuple[str, int]] = []

    def names(self) -> Sequence[str]:
        return list(self.chains)

    async def deliver(self, orderer: str, start: int) -> AsyncIterator[bytes]:
        self.opened.append(orderer)
        number = start
        while True:
            if orderer in self.broken:
                raise UnavailableError(f"{orderer} is down", code="CONNECTION_FAILED")
            if number - 1 < len(self.chains[orderer]):
                yield self.chains[orderer][number - 1].to_bytes()
                number += 1
            else:
                await self.grown.wait()
                self.grown.clear()

    async def height(self, orderer: str) -> int:
        return len(self.chains[orderer]) + 1

    async def progress(self, orderer: str, height: int) -> None:
        self.reports.append((orderer, height))
        if orderer == "o2":
            raise UnavailableError("down")

    async def follow(self, config: ChannelConfig) -> None:
        self.configs.append(config.sequence)


class House:
    """A chain of ``count`` blocks at the orderers, and a peer's committer that has block 0."""

    def __init__(self, folder: Path, count: int = 5, **options: Any) -> None:
        self.paper = PaperNetwork()
        self.chain = PaperChain(self.paper)
        self.transactions = [self.paper.transaction({"k": number}) for number in range(1, count + 1)]
        self.orderers = Orderers([self.chain.next(transaction) for transaction in self.transactions])
        self.ledger = Ledger.create(folder, self.paper.genesis, map_bytes=64 * 1024 * 1024)
        self.reports: list[CommitterReport] = []
        self.sources: list[str | None] = []
        self.executor = ThreadPoolExecutor(1)
        self.buffer = BlockBuffer(options.pop("max_buffered_bytes", 1024 * 1024))
        clock = asyncio.get_running_loop().time
        self.source = BlockSource(
            self.ledger.channel,
            self.ledger.height,
            self.orderers,
            self.buffer,
            backoff=Backoff(0.001, 0.01, Random(1)),
            stall_s=0.05,
            clock=clock,
            random=Random(2),
            tell=lambda orderer, _: self.sources.append(orderer),
        )
        self.block_committer = BlockCommitter(self.ledger)
        self.committer = ChainCommitter(
            self.block_committer,
            self.source,
            self.buffer,
            self.orderers,
            self.executor,
            tell=self.tell,
            clock=clock,
            backoff=Backoff(0.001, 0.01, Random(1)),
            max_blocks=options.get("max_blocks", 32),
            max_bytes=1024 * 1024,
            progress_interval_s=0.0,
        )

    async def tell(self, report: CommitterReport) -> None:
        self.reports.append(report)

    def numbers(self) -> list[int]:
        return [report.block.number for report in self.reports if isinstance(report, BlockCommitted)]

    async def reach(self, height: int) -> None:
        await until(lambda: len(self.numbers()) >= height - 1)


async def run(house: House, test: Callable[[], Awaitable[None]]) -> None:
    running = asyncio.create_task(house.committer.run())
    try:
        await test()
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        house.executor.shutdown()
        house.ledger.close()


async def test_blocks_are_committed_in_order_and_told(tmp_path: Path) -> None:
    house = House(tmp_path)

    async def test() -> None:
        await house.reach(6)
        assert house.numbers() == [1, 2, 3, 4, 5]
        assert house.ledger.height == 6
        last = house.reports[-1]
        assert isinstance(last, BlockCommitted)
        assert (last.block.codes, last.block.commit_hash) == ((0,), house.ledger.commit_hash)
        assert last.block.tx_ids == (house.transactions[-1].tx_id,)
        more = house.chain.next(house.paper.transaction({"more": 1}))
        for chain in house.orderers.chains.values():
            chain.append(more)
        house.orderers.grown.set()
        await house.reach(7)

    await run(house, test)


async def test_another_orderer_takes_over(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.orderers.broken = {"o1", "o2"}

    async def test() -> None:
        await house.reach(6)
        assert house.sources[-1] == "o3"

    await run(house, test)


async def test_orderer_that_falls_behind_in_silence_is_left(tmp_path: Path) -> None:
    house = House(tmp_path)
    for name in ("o1", "o2"):
        house.orderers.chains[name] = house.orderers.chains[name][:2]

    async def test() -> None:
        await house.reach(6)
        assert house.orderers.opened[-1] == "o3"

    await run(house, test)


def test_orderer_that_hangs_is_left_a_while_after_its_last_block() -> None:
    """And not at the end of the next whole interval, which may be nearly twice as long after it."""
    chain = PaperChain(PaperNetwork())
    blocks = [chain.next(chain.paper.transaction({"k": number})) for number in range(1, 4)]
    left_after_s: list[float] = []

    async def main() -> None:
        orderers, buffer, loop = Orderers(blocks), BlockBuffer(1024 * 1024), asyncio.get_running_loop()
        orderers.chains["o1"] = []
        orderers.names = lambda: ["o1"] if not orderers.opened else ["o1", "o2"]  # type: ignore[method-assign]
        source = BlockSource(
            "shard1",
            1,
            orderers,
            buffer,
            backoff=Backoff(0.001, 0.01, Random(1)),
            stall_s=3.0,
            clock=loop.time,
            random=Random(2),
            tell=lambda *_: None,
        )
        running = asyncio.create_task(source.run())
        await asyncio.sleep(0.5)
        orderers.chains["o1"] = blocks[:1]
        orderers.grown.set()
        assert len(await buffer.head(1, 1)) == 1
        buffer.drop(1)
        fed_at = loop.time()
        assert [item.orderer for item in await buffer.head(1, 1_000_000)] == ["o2"]
        left_after_s.append(loop.time() - fed_at)
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)

    virtual_loop.run(main)
    assert left_after_s[0] == pytest.approx(3.0, abs=0.1)


def _forged(blocks: list[SignedBlock], number: int) -> SignedBlock:
    return signed_block(blocks[number - 1].block, PaperOrganisation("OrdererMSP").issue("eve", "orderer"))


async def test_forged_block_is_rejected_and_fetched_from_another(tmp_path: Path) -> None:
    house = House(tmp_path)
    for name in ("o1", "o2"):
        house.orderers.chains[name][2] = _forged(house.orderers.chains[name], 3)

    async def test() -> None:
        await house.reach(6)
        assert house.numbers() == [1, 2, 3, 4, 5]
        assert house.orderers.opened[-1] == "o3"

    await run(house, test)


async def test_orderer_that_skips_a_block_is_left(tmp_path: Path) -> None:
    house = House(tmp_path)
    for name in ("o1", "o2"):
        del house.orderers.chains[name][1]

    async def test() -> None:
        await house.reach(6)
        assert house.numbers() == [1, 2, 3, 4, 5]

    await run(house, test)


async def test_catching_up_is_bounded_and_reported_to_the_orderers(tmp_path: Path) -> None:
    house = House(tmp_path, count=40, max_blocks=5, max_buffered_bytes=30_000)

    async def test() -> None:
        await house.reach(41)
        assert house.numbers() == list(range(1, 41))
        assert house.orderers.reports
        assert {name for name, _ in house.orderers.reports} == {"o1", "o2", "o3"}

    await run(house, test)


async def test_config_block_changes_the_orderers(tmp_path: Path) -> None:
    house = House(tmp_path, count=1)
    block = house.chain.next(house.paper.update())
    for chain in house.orderers.chains.values():
        chain.append(block)

    async def test() -> None:
        await house.reach(3)
        report = house.reports[-1]
        assert isinstance(report, BlockCommitted)
        assert report.block.config_changed
        assert house.orderers.configs == [0, 1]

    await run(house, test)


async def test_full_disk_is_waited_for(tmp_path: Path) -> None:
    house = House(tmp_path)
    process, full = house.block_committer.process, iter([True, True])

    def failing(blocks: Sequence[SignedBlock]) -> list[CommittedBlock]:
        if next(full, False):
            raise StorageFull("the disk is full")
        return process(blocks)

    house.block_committer.process = failing  # type: ignore[method-assign]

    async def test() -> None:
        await house.reach(6)

    await run(house, test)


async def test_other_faults_end_the_committer(tmp_path: Path) -> None:
    house = House(tmp_path)

    def failing(blocks: Sequence[SignedBlock]) -> list[CommittedBlock]:
        raise GridLedgerError("the ledger is damaged", code="CORRUPTION")

    house.block_committer.process = failing  # type: ignore[method-assign]
    with pytest.raises(GridLedgerError, match="damaged"):
        async with asyncio.timeout(10):
            await house.committer.run()
    house.executor.shutdown()
    house.ledger.close()


async def test_defect_in_fetching_ends_the_committer_too(tmp_path: Path) -> None:
    house = House(tmp_path)

    def broken() -> list[str]:
        raise ZeroDivisionError

    house.orderers.names = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(10):
            await house.committer.run()
    house.executor.shutdown()
    house.ledger.close()


async def test_buffer_takes_one_oversized_block_and_then_waits(tmp_path: Path) -> None:
    house = House(tmp_path, count=2)
    first, second = (Delivered(block, "o1", 100) for block in house.orderers.chains["o1"])
    buffer = BlockBuffer(50)
    await buffer.put(first)
    putting = asyncio.create_task(buffer.put(second))
    await asyncio.sleep(0)
    assert not putting.done()
    assert list(await buffer.head(10, 1000)) == [first]
    buffer.drop(1)
    await putting
    assert list(await buffer.head(10, 1)) == [second]
    house.executor.shutdown()
    house.ledger.close()
