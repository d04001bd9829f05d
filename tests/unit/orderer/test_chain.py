"""One channel's state machine: the same entries make the same blocks, and config transactions change what holds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

import pytest

from gridledger.errors import CorruptionError
from gridledger.protocol import BatchLimits
from gridledger.protocol.block import Block
from services.orderer.block_store import BlockStore
from services.orderer.chain import Chain, entry_of
from services.orderer.raft.interface import CommittedEntry, Membership, Snapshot
from tests.support.paper import NOW_US, PaperNetwork, genesis_block


async def nowhere(channel: str, first: int, height: int) -> Sequence[bytes]:
    raise AssertionError("nothing is to be fetched here")


def entry(index: int, timestamp_us: int, *envelopes: bytes) -> CommittedEntry:
    return CommittedEntry(index, 1, entry_of(timestamp_us, envelopes))


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


def open_chain(paper: PaperNetwork, path: Path, orderer: str = "orderer1", genesis: Block | None = None) -> Chain:
    return Chain.open(BlockStore.open(path), genesis or paper.genesis, paper.orderers[orderer], nowhere)


async def test_two_orderers_make_the_same_blocks_of_the_same_entries(paper: PaperNetwork, tmp_path: Path) -> None:
    one = open_chain(paper, tmp_path / "1", "orderer1")
    two = open_chain(paper, tmp_path / "2", "orderer2")
    entries = [entry(1, NOW_US + 5, b"a", b"b"), entry(3, NOW_US + 3, b"c"), entry(4, NOW_US + 9, b"d")]
    await one.apply(entries)
    for item in entries:
        await two.apply([item])
    assert [one.store.block(n) for n in range(4)] == [two.store.block(n) for n in range(4)]
    assert [one.store.block(n).header.timestamp_us - NOW_US for n in (1, 2, 3)] == [5, 5, 9]
    assert all(one.store.block(n).header.previous_hash == one.store.block(n - 1).header.hash for n in (1, 2, 3))


async def test_a_signed_update_holds_from_the_next_entry_and_is_kept(paper: PaperNetwork, tmp_path: Path) -> None:
    chain = open_chain(paper, tmp_path)
    update = paper.update(batch=BatchLimits(max_message_count=7))
    await chain.apply([entry(1, NOW_US, update.to_bytes()), entry(2, NOW_US, b"x")])
    assert chain.config.batch.max_message_count == 7
    chain.store.close()
    again = open_chain(paper, tmp_path)
    assert again.config.sequence == 1
    assert again.height == 3


@pytest.mark.parametrize("fault", ["too few signatures", "wrong sequence", "clients sign"])
async def test_an_update_that_does_not_follow_has_no_effect(paper: PaperNetwork, tmp_path: Path, fault: str) -> None:
    chain = open_chain(paper, tmp_path)
    signers = list(paper.admins.values())
    sequence = 1
    if fault == "too few signatures":
        signers = signers[:1]
    elif fault == "clients sign":
        signers = list(paper.clients.values())
    else:
        sequence = 2
    update = paper.update(signers, sequence=sequence)
    await chain.apply([entry(1, NOW_US, update.to_bytes())])
    assert (chain.height, chain.config.sequence) == (2, 0)


async def test_a_follower_far_behind_fetches_the_blocks_of_a_snapshot(paper: PaperNetwork, tmp_path: Path) -> None:
    ahead = open_chain(paper, tmp_path / "ahead")
    await ahead.apply([entry(n, NOW_US + n, f"e{n}".encode()) for n in range(1, 6)])
    snapshot = Snapshot(5, 1, Membership(frozenset(paper.orderers)), await ahead.take_snapshot())

    async def fetch(channel: str, first: int, height: int) -> Sequence[bytes]:
        return list(ahead.store.frames(first, max_bytes=10**6))[:2]

    behind = Chain.open(BlockStore.open(tmp_path / "behind"), paper.genesis, paper.orderers["orderer2"], fetch)
    await behind.install_snapshot(snapshot)
    assert behind.last_header == ahead.last_header
    assert behind.store.applied == 5


async def test_blocks_that_do_not_fit_are_not_taken(paper: PaperNetwork, tmp_path: Path) -> None:
    ahead = open_chain(paper, tmp_path / "ahead")
    await ahead.apply([entry(1, NOW_US, b"true")])
    forged = open_chain(paper, tmp_path / "forged")
    forged._signer = paper.clients["Org1MSP"]
    await forged.apply([entry(1, NOW_US, b"forged")])
    snapshot = Snapshot(1, 1, Membership(frozenset(paper.orderers)), await ahead.take_snapshot())

    async def fetch(channel: str, first: int, height: int) -> Sequence[bytes]:
        return list(forged.store.frames(first, max_bytes=10**6))

    behind = Chain.open(BlockStore.open(tmp_path / "behind"), paper.genesis, paper.orderers["orderer2"], fetch)
    with pytest.raises(CorruptionError, match="does not fit"):
        await behind.install_snapshot(snapshot)
    assert behind.height == 1


async def test_the_data_of_another_network_is_refused(paper: PaperNetwork, tmp_path: Path) -> None:
    open_chain(paper, tmp_path).store.close()
    with pytest.raises(CorruptionError, match="another network"):
        open_chain(paper, tmp_path, genesis=genesis_block(replace(paper.config, sequence=3)))


async def test_who_waits_for_a_block_is_told(paper: PaperNetwork, tmp_path: Path) -> None:
    chain = open_chain(paper, tmp_path)
    assert not await chain.wait_beyond(1, 0.0)
    await chain.apply([entry(1, NOW_US, b"x")])
    assert await chain.wait_beyond(1, 0.0)
