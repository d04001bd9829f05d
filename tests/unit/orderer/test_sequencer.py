"""Batches into a real log of one orderer: receipts, pacing, and what becomes of who waits at the end."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from copy import copy
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger.errors import BusyError
from gridledger.protocol import BatchLimits, ConfigUpdate
from services.orderer.block_store import BlockStore
from services.orderer.catching_up import Fetched
from services.orderer.chain import Chain
from services.orderer.raft.interface import CommittedEntry, Link, RaftSettings
from services.orderer.raft.node import RaftNode
from services.orderer.sequencer import BroadcastReceipt, Sequencer
from services.orderer.settings import OrdererLimits, Pacing
from tests.support.paper import NOW_US, PaperNetwork, genesis_block
from tests.support.waiting import eventually

MINUTE_MS = 60_000


class Nobody:
    """No other orderer."""

    def link(self, _group: str, to: str) -> Link:
        return Link(to)

    async def send(self, link: Link, payload: bytes) -> None:
        raise ConnectionError(link.to)


async def nowhere(
    channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
) -> Fetched:
    raise AssertionError("nothing is fetched here")


class GatedNode(RaftNode):
    """A node whose log takes an entry only while its gate is open."""

    gate: asyncio.Event

    async def propose(self, group: str, data: bytes, *, timeout_s: float | None = None) -> int:
        await self.gate.wait()
        return await super().propose(group, data, timeout_s=timeout_s)


@asynccontextmanager
async def sequencing(
    folder: Path,
    *,
    batch: BatchLimits | None = None,
    limits: OrdererLimits | None = None,
    raft: RaftSettings | None = None,
    gate: asyncio.Event | None = None,
    paper: PaperNetwork | None = None,
) -> AsyncIterator[tuple[Chain, Sequencer]]:
    paper = paper or PaperNetwork()
    genesis = genesis_block(replace(paper.config, batch=batch or BatchLimits()))
    store = BlockStore.open(folder / "blocks")
    chain = Chain.open(store, genesis, paper.orderers["orderer1"], nowhere)
    node = await GatedNode.open("orderer1", folder / "raft", Nobody(), raft or RaftSettings(tick_s=0.01))
    assert isinstance(node, GatedNode)
    node.gate = gate or asyncio.Event()
    if gate is None:
        node.gate.set()
    await node.add_group(paper.channel, ["orderer1"], chain)
    sequencer = Sequencer(
        chain,
        node,
        limits=limits or OrdererLimits(),
        pacing=Pacing(max_interval_ms=MINUTE_MS),
        clock_us=lambda: NOW_US,
    )
    running = asyncio.create_task(sequencer.run())

    async def leading() -> bool:
        return chain.leadership is not None and chain.leadership.is_self

    try:
        await eventually(leading, within_s=10, what="a leader")
        yield chain, sequencer
    finally:
        running.cancel()
        await asyncio.gather(running, return_exceptions=True)
        await node.stop()
        store.close()


async def make_first_block(chain: Chain, sequencer: Sequencer) -> None:
    """Block 1: what comes behind it waits for the interval between blocks."""
    receipt = BroadcastReceipt()
    sequencer.submit(b"0", receipt, 0)
    await receipt.wait()
    assert await chain.wait_beyond(1, 5)


async def test_a_receipt_tells_of_each_envelope(tmp_path: Path) -> None:
    async with sequencing(tmp_path, limits=OrdererLimits(max_queued=3)) as (chain, sequencer):
        receipt = BroadcastReceipt()
        for number in range(3):
            sequencer.submit(b"%d" % number, receipt, number)
        try:
            sequencer.submit(b"3", receipt, 3)
        except BusyError as error:
            receipt.errors[3] = error
        await receipt.wait()
        assert receipt.errors.keys() == {3}
        await receipt.wait()
        assert await chain.wait_beyond(1, 5)
        assert chain.store.block(1).envelopes == (b"0", b"1", b"2")


async def test_a_peer_is_behind_by_what_it_lacks(tmp_path: Path) -> None:
    async with sequencing(tmp_path) as (chain, sequencer):
        await make_first_block(chain, sequencer)
        for height, behind in ((chain.height, 0), (chain.height + 5, 0), (0, chain.height)):
            sequencer.report_height("peer1", height)
            assert sequencer.backlog() == behind


async def test_nothing_is_acknowledged_before_the_log_has_it(tmp_path: Path) -> None:
    gate = asyncio.Event()
    async with sequencing(tmp_path, gate=gate) as (chain, sequencer):
        receipt = BroadcastReceipt()
        sequencer.submit(b"0", receipt, 0)
        waiting = asyncio.create_task(receipt.wait())
        done, _ = await asyncio.wait((waiting,), timeout=0.1)
        assert (len(done), sequencer.queued, chain.height) == (0, 0, 1)
        gate.set()
        async with asyncio.timeout(5):
            await waiting
        assert receipt.errors == {}


async def test_what_the_log_refuses_is_told_as_not_ordered(tmp_path: Path) -> None:
    async with sequencing(tmp_path, raft=RaftSettings(tick_s=0.01, max_entry_bytes=64)) as (chain, sequencer):
        receipt = BroadcastReceipt()
        sequencer.submit(b"x" * 100, receipt, 0)
        async with asyncio.timeout(5):
            await receipt.wait()
        assert {place: error.code for place, error in receipt.errors.items()} == {0: "ENTRY_TOO_LARGE"}
        assert chain.height == 1


async def test_no_batch_waits_longer_than_the_channels_timeout(tmp_path: Path) -> None:
    """However slow a peer says that it is, and whatever the orderer's own settings allow."""
    batch = BatchLimits(min_interval_ms=10, batch_timeout_ms=20)
    async with sequencing(tmp_path, batch=batch) as (chain, sequencer):
        sequencer.report_height("peer1", -100_000)
        await make_first_block(chain, sequencer)
        receipt = BroadcastReceipt()
        sequencer.submit(b"1", receipt, 0)
        async with asyncio.timeout(10):
            await receipt.wait()
        assert receipt.errors == {}


async def test_a_whole_batch_does_not_wait_for_its_time(tmp_path: Path) -> None:
    async with sequencing(
        tmp_path, batch=BatchLimits(max_message_count=3, min_interval_ms=MINUTE_MS, batch_timeout_ms=MINUTE_MS)
    ) as (
        chain,
        sequencer,
    ):
        await make_first_block(chain, sequencer)
        rest = BroadcastReceipt()
        sequencer.submit(b"1", rest, 0)
        sequencer.submit(b"2", rest, 1)
        assert not await chain.wait_beyond(2, 0.05)
        sequencer.submit(b"3", rest, 2)
        await rest.wait()
        assert await chain.wait_beyond(2, 5)
        assert chain.store.block(2).envelopes == (b"1", b"2", b"3")


async def test_a_whole_batch_waits_for_a_peer_that_is_behind(tmp_path: Path) -> None:
    async with sequencing(
        tmp_path, batch=BatchLimits(max_message_count=1, min_interval_ms=MINUTE_MS, batch_timeout_ms=MINUTE_MS)
    ) as (
        chain,
        sequencer,
    ):
        await make_first_block(chain, sequencer)
        sequencer.report_height("peer1", 0)
        sequencer.submit(b"1", BroadcastReceipt(), 0)
        assert not await chain.wait_beyond(2, 0.05)


async def test_who_waits_at_the_end_is_told(tmp_path: Path) -> None:
    async with sequencing(tmp_path, batch=BatchLimits(min_interval_ms=MINUTE_MS, batch_timeout_ms=MINUTE_MS)) as (
        chain,
        sequencer,
    ):
        await make_first_block(chain, sequencer)
        late = BroadcastReceipt()
        sequencer.submit(b"1", late, 7)
        waiting = asyncio.create_task(late.wait())
    async with asyncio.timeout(5):
        await waiting
    assert {place: error.code for place, error in late.errors.items()} == {7: "ORDERER_STOPPING"}


def with_orderers(paper: PaperNetwork, *numbers: int) -> bytes:
    """The update of the present configuration after which these are the orderers."""
    nodes = _EVERY_ORDERER.config.orderers
    after = paper.config.with_orderers({f"orderer{number}": nodes[f"orderer{number}"] for number in numbers})
    return paper.update(orderers=after.orderers, departing_orderers=after.departing_orderers).to_bytes()


_EVERY_ORDERER = PaperNetwork()


def lone() -> PaperNetwork:
    """A network of which orderer1 is the only orderer."""
    paper = copy(_EVERY_ORDERER)
    paper.config = replace(paper.config, orderers={"orderer1": paper.config.orderers["orderer1"]})
    return paper


async def outcome_of(sequencer: Sequencer, *envelopes: bytes) -> dict[int, str]:
    """The codes of those that are refused, of envelopes that are submitted at once."""
    receipt = BroadcastReceipt()
    for place, envelope in enumerate(envelopes):
        sequencer.submit(envelope, receipt, place)
    async with asyncio.timeout(10):
        await receipt.wait()
    return {place: error.code for place, error in receipt.errors.items()}


async def test_orderers_are_changed_once_raft_has_followed(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Of an update that comes right behind another one, too: it is judged when that one is applied."""
    paper, asked = lone(), asyncio.Event()
    apply, wait_applied = Chain.apply, Chain.wait_applied

    async def apply_late(chain: Chain, entries: Sequence[CommittedEntry]) -> None:
        await asked.wait()
        await apply(chain, entries)

    async def wait(chain: Chain, index: int, timeout_s: float) -> bool:
        if index:
            asked.set()
        return await wait_applied(chain, index, timeout_s)

    monkeypatch.setattr(Chain, "apply", apply_late)
    monkeypatch.setattr(Chain, "wait_applied", wait)
    first = with_orderers(paper, 1, 2)
    later = copy(paper)
    later.config = ConfigUpdate.parse(first).config
    async with sequencing(tmp_path, paper=paper) as (chain, sequencer):
        second = with_orderers(later, 1, 2, 3)
        assert await outcome_of(sequencer, first, second, second, b"x") == {
            1: "ORDERERS_CHANGING",
            2: "ORDERERS_CHANGING",
        }
        assert await chain.wait_beyond(2, 5)
        assert (chain.config.sequence, chain.height) == (1, 3)
        other = later.update(batch=BatchLimits(max_message_count=7)).to_bytes()
        assert await outcome_of(sequencer, other) == {}
        assert await chain.wait_beyond(3, 5)
        later.config = chain.config
        back = with_orderers(later, 1)
        assert await outcome_of(sequencer, back) == {}
        assert await chain.wait_beyond(4, 5)
        assert chain.config.orderers.keys() == {"orderer1"}
