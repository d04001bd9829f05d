"""Blocks from the orderers committed to a real ledger: in order, bounded, past forgeries and a full disk."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager
from pathlib import Path
from random import Random
from typing import Any

import pytest

from gridledger.backoff import Backoff
from gridledger.errors import CorruptionError, GridLedgerError
from gridledger.ledger import Ledger, StorageFull
from gridledger.ledger.codec import Table
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.index import INDEX
from gridledger.ledger.store import CommitBatch
from gridledger.protocol.block import Block, SignedBlock
from gridledger.protocol.errors import CapabilityUnknown
from gridledger.protocol.events import CommittedBlock
from gridledger.protocol.joining import ConfigBlock
from services.peer.committer.buffer import BlockBuffer
from services.peer.committer.chain_committer import ChainCommitter
from services.peer.committer.messages import BlockCommitted, CommitterReport, SourceChanged
from services.peer.committer.source import BlockSource
from tests.support.paper import PaperChain, PaperNetwork, PaperOrganisation, signed_block
from tests.support.waiting import until
from tests.unit.peer.committer.scripted_orderers import ScriptedOrderers


class House:
    """A chain of ``count`` blocks at the orderers, and a peer's committer that has block 0."""

    def __init__(self, folder: Path, count: int = 5, **options: Any) -> None:
        self.paper = PaperNetwork()
        self.chain = PaperChain(self.paper)
        self.transactions = [self.paper.transaction({"k": number}) for number in range(1, count + 1)]
        self.orderers = ScriptedOrderers([self.chain.next(transaction) for transaction in self.transactions])
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
            given=options.get("given"),
        )

        self.batches: list[int] = []
        self.faults: list[GridLedgerError] = []
        self._process = self.block_committer.process
        self.block_committer.process = self.process  # type: ignore[method-assign]

    def process(self, blocks: Sequence[SignedBlock]) -> list[CommittedBlock]:
        """As the ledger's committer, once the faults that a test has queued are over."""
        if self.faults:
            raise self.faults.pop(0)
        self.batches.append(len(blocks))
        return self._process(blocks)

    async def tell(self, report: CommitterReport) -> None:
        self.reports.append(report)

    def numbers(self) -> list[int]:
        return [report.block.number for report in self.reports if isinstance(report, BlockCommitted)]

    def close(self) -> None:
        self.executor.shutdown()
        self.ledger.close()

    async def reach(self, height: int) -> None:
        await until(lambda: len(self.numbers()) >= height - 1)


@asynccontextmanager
async def committing(house: House) -> AsyncIterator[House]:
    """A committer at work; that it still is at the end is part of the test."""
    running = asyncio.create_task(house.committer.run())
    try:
        yield house
        assert not running.done()
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        house.close()


async def test_blocks_are_committed_in_order_and_told(tmp_path: Path) -> None:
    house = House(tmp_path)
    async with committing(house):
        await house.reach(6)
        assert house.numbers() == [1, 2, 3, 4, 5]
        assert house.ledger.height == 6
        last = house.reports[-1]
        assert isinstance(last, BlockCommitted)
        assert (last.block.codes, last.block.commit_hash) == ((0,), house.ledger.commit_hash)
        assert last.block.tx_ids == (house.transactions[-1].tx_id,)
        house.orderers.add(house.chain.next(house.paper.transaction({"more": 1})))
        await house.reach(7)


async def test_forged_block_is_rejected_and_fetched_from_another(tmp_path: Path) -> None:
    house = House(tmp_path)
    eve = PaperOrganisation("OrdererMSP").issue("eve", "orderer")
    for name in ("o1", "o2"):
        house.orderers.chains[name][2] = signed_block(house.chain.blocks[3], eve)
    async with committing(house):
        await house.reach(6)
        assert house.numbers() == [1, 2, 3, 4, 5]
        assert house.orderers.opened[-1] == "o3"


async def test_catching_up_is_bounded_and_reported_to_the_orderers(tmp_path: Path) -> None:
    house = House(tmp_path, count=40, max_blocks=5, max_buffered_bytes=30_000)
    async with committing(house):
        await house.reach(41)
        assert house.numbers() == list(range(1, 41))
        assert 1 < max(house.batches) <= 5
        assert {name for name, _ in house.orderers.reports} == {"o1", "o2", "o3"}


async def test_config_block_changes_the_orderers(tmp_path: Path) -> None:
    house = House(tmp_path, count=1)
    house.orderers.add(house.chain.next(house.paper.update()))
    async with committing(house):
        await house.reach(3)
        report = house.reports[-1]
        assert isinstance(report, BlockCommitted)
        assert report.block.config_changed
        assert house.orderers.configs == [0, 1]


async def test_full_disk_is_waited_for(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.faults = [StorageFull("the disk is full"), StorageFull("the disk is full")]
    async with committing(house):
        await house.reach(6)


async def test_other_faults_end_the_committer(tmp_path: Path) -> None:
    house = House(tmp_path)
    house.faults = [GridLedgerError("the ledger is damaged", code="CORRUPTION")]
    with pytest.raises(GridLedgerError, match="damaged"):
        async with asyncio.timeout(10):
            await house.committer.run()
    house.close()


async def test_defect_in_fetching_ends_the_committer_too(tmp_path: Path) -> None:
    house = House(tmp_path)

    def broken() -> list[str]:
        raise ZeroDivisionError

    house.orderers.names = broken  # type: ignore[method-assign]
    with pytest.raises(ZeroDivisionError):
        async with asyncio.timeout(10):
            await house.committer.run()
    house.close()


async def test_a_capability_that_is_not_known_stops_this_channel_alone(tmp_path: Path) -> None:
    """The process, which other channels use too, goes on; the peer's status says what is to be done."""
    house = House(tmp_path, count=2)
    house.faults.append(CapabilityUnknown("the channel 'shard1' asks for V2: upgrade this node"))
    async with committing(house):
        await until(lambda: any(isinstance(report, SourceChanged) for report in house.reports))
        await asyncio.sleep(0.05)
        assert house.batches == []
    (told,) = (report for report in house.reports if isinstance(report, SourceChanged))
    assert told == SourceChanged("shard1", None, "the channel 'shard1' asks for V2: upgrade this node")


def _given(house: House, block: Block) -> ConfigBlock:
    return ConfigBlock(block, house.paper.config)


async def test_a_chain_leads_to_the_config_block_that_was_given(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    house = House(tmp_path)
    other = Block.build(channel="shard1", number=3, previous_hash="0" * 64, timestamp_us=1, envelopes=[b"x"])
    house.committer._given = _given(house, other)
    async with committing(house):
        await house.reach(3)
        await until(lambda: len([name for name in house.sources if name is not None]) > 3)
        assert house.numbers() == [1, 2]
        # Whichever orderer has the right one is found: the next one asked.
        house.committer._given = _given(house, house.chain.blocks[3])
        await house.reach(6)
    assert caplog.text.count("stops before block 3") == 1


async def test_a_ledger_with_another_block_than_was_given_stops(tmp_path: Path) -> None:
    house = House(tmp_path, count=0)
    other = Block.build(channel="shard1", number=0, previous_hash="0" * 64, timestamp_us=1, envelopes=[b"x"])
    house.committer._given = _given(house, other)
    async with committing(house):
        await until(lambda: bool(house.reports))
    (told,) = house.reports
    assert isinstance(told, SourceChanged)
    assert "is not the config block that this node was given" in told.reason


async def test_the_index_of_an_earlier_versions_ledger_is_built_beside_the_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("INFO")
    monkeypatch.setattr("gridledger.ledger.index_writer.MAX_BLOCKS", 1)
    house = House(tmp_path)
    forget_index(house.ledger)
    async with committing(house):
        await house.reach(6)
        await until(lambda: indexed(house.ledger) == 6)
        await until(lambda: "index of transactions has all blocks" in caplog.text)


def forget_index(ledger: Ledger) -> None:
    """Make a ledger with block 0 one that an earlier version wrote."""
    batch = CommitBatch(ledger.head.to_bytes())
    with ledger.store.reader() as reader:
        batch.changes[Table.INDEX].update((key, None) for key, _ in reader.scan(Table.INDEX, b"", b"\xff" * 64))
    batch.changes[Table.META][INDEX] = None
    ledger.store.commit(batch)


def indexed(ledger: Ledger) -> int:
    with ledger.snapshot() as snapshot:
        return snapshot.index_head.height


async def test_a_damaged_block_stops_the_index_and_not_the_commits(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def damaged() -> None:
        raise CorruptionError("block 0 is damaged")

    house = House(tmp_path)
    forget_index(house.ledger)
    monkeypatch.setattr(house.block_committer, "build_index", damaged)
    async with committing(house):
        await house.reach(6)
        assert indexed(house.ledger) == 0
    assert "the index of transactions stops at 0 blocks: block 0 is damaged" in caplog.text
