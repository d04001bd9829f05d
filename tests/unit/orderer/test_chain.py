"""One channel's state machine: the same entries make the same blocks, and config transactions change what holds."""

from __future__ import annotations

from collections.abc import Callable, Collection
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import CorruptionError
from gridledger.formats import BLOCK_STORE
from gridledger.protocol import BatchLimits, capabilities
from gridledger.protocol.block import Block, SignedBlock
from gridledger.protocol.errors import CapabilityUnknown
from gridledger.sealed import unseal
from services.orderer.block_store import BlockStore
from services.orderer.catching_up import Fetched
from services.orderer.chain import Chain, entry_of, fetched_block
from services.orderer.raft.interface import CommittedEntry, Membership, Snapshot
from tests.support.paper import NOW_US, PaperChain, PaperNetwork, genesis_block, signed_block


async def nowhere(
    channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
) -> Fetched:
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


async def test_an_agreed_capability_that_is_not_known_stops_the_channel(
    paper: PaperNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """No block is made of it: an upgraded orderer makes it of the same entry, and goes on."""
    update = paper.update(capabilities=("V1", "V2"))
    few = paper.update(list(paper.admins.values()), capabilities=("V1", "V2"))
    chain = open_chain(paper, tmp_path)
    await chain.apply([entry(1, NOW_US, few.to_bytes())])
    with pytest.raises(CapabilityUnknown, match="upgrade this node"):
        await chain.apply([entry(2, NOW_US, update.to_bytes())])
    assert (chain.height, chain.config.sequence) == (2, 0)
    monkeypatch.setattr(capabilities, "KNOWN_CAPABILITIES", frozenset(("V1", "V2")))
    await chain.apply([entry(2, NOW_US, update.to_bytes())])
    assert (chain.height, chain.config.sequence) == (3, 1)


async def test_a_follower_far_behind_fetches_the_blocks_of_a_snapshot(paper: PaperNetwork, tmp_path: Path) -> None:
    ahead = open_chain(paper, tmp_path / "ahead")
    await ahead.apply([entry(n, NOW_US + n, f"e{n}".encode()) for n in range(1, 6)])
    snapshot = Snapshot(5, 1, Membership(frozenset(paper.orderers)), await ahead.take_snapshot())

    async def fetch(
        channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
    ) -> Fetched:
        return Fetched("orderer1", list(ahead.store.frames(first, max_bytes=10**6))[:2])

    behind = Chain.open(BlockStore.open(tmp_path / "behind"), paper.genesis, paper.orderers["orderer2"], fetch)
    await behind.install_snapshot(snapshot)
    assert behind.last_header == ahead.last_header
    assert behind.store.applied == 5


class Serving:
    """Other orderers' chains, asked in order; who was asked for what."""

    def __init__(self, **chains: Chain) -> None:
        self.chains = chains
        self.asked: list[tuple[str, int]] = []
        self.at_once = 2

    async def fetch(
        self, channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
    ) -> Fetched:
        assert len(self.asked) < 50, "it asks without end"
        for name, chain in self.chains.items():
            if name not in avoid and chain.height > first:
                self.asked.append((name, first))
                return Fetched(name, list(chain.store.frames(first, max_bytes=10**6))[: self.at_once])
        return Fetched("", ())


async def agreed(paper: PaperNetwork, folder: Path, orderer: str, length: int, word: str = "e") -> Chain:
    """An orderer's chain of so many entries."""
    chain = open_chain(paper, folder / orderer, orderer)
    await chain.apply([entry(n, NOW_US + n, f"{word}{n}".encode()) for n in range(1, length + 1)])
    return chain


def behind_of(paper: PaperNetwork, folder: Path, serving: Serving) -> Chain:
    store = BlockStore.open(folder / "behind")
    return Chain.open(store, paper.genesis, paper.orderers["orderer3"], serving.fetch)


async def test_a_rotten_orderer_does_not_end_one_that_joins(paper: PaperNetwork, tmp_path: Path) -> None:
    """Its blocks are signed by nobody of the channel: another one is asked. It ended the orderer that joined."""
    good = await agreed(paper, tmp_path, "orderer1", 5)
    rotten = open_chain(paper, tmp_path / "rotten", "orderer2")
    rotten._signer = paper.clients["Org1MSP"]
    await rotten.apply([entry(n, NOW_US + n, b"forged") for n in range(1, 6)])
    serving = Serving(orderer2=rotten, orderer1=good)
    behind = behind_of(paper, tmp_path, serving)
    await behind.install_snapshot(Snapshot(5, 1, Membership(frozenset(paper.orderers)), await good.take_snapshot()))
    assert behind.last_header == good.last_header
    assert [name for name, _ in serving.asked] == ["orderer2", "orderer1", "orderer1", "orderer1"]


@pytest.mark.parametrize("records", [[b""], [b"\xff" * 60], [b"\0\0\0\2{}\0\0\0\2{}"]])
async def test_unreadable_records_are_another_orderers_turn(
    paper: PaperNetwork, tmp_path: Path, records: list[bytes]
) -> None:
    good = await agreed(paper, tmp_path, "orderer1", 3)

    async def fetch(
        channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
    ) -> Fetched:
        if "orderer2" not in avoid:
            return Fetched("orderer2", records)
        return Fetched("orderer1", list(good.store.frames(first, max_bytes=10**6)))

    behind = Chain.open(BlockStore.open(tmp_path / "behind"), paper.genesis, paper.orderers["orderer3"], fetch)
    await behind.install_snapshot(Snapshot(3, 1, Membership(frozenset(paper.orderers)), await good.take_snapshot()))
    assert behind.last_header == good.last_header


async def test_what_was_verified_is_kept_when_another_is_asked(paper: PaperNetwork, tmp_path: Path) -> None:
    good = await agreed(paper, tmp_path, "orderer1", 6)
    half = open_chain(paper, tmp_path / "half", "orderer2")
    await half.apply([entry(n, NOW_US + n, f"e{n}".encode()) for n in range(1, 4)])
    half._signer = paper.clients["Org1MSP"]
    await half.apply([entry(n, NOW_US + n, f"e{n}".encode()) for n in range(4, 7)])
    serving = Serving(orderer2=half, orderer1=good)
    serving.at_once = 10
    behind = behind_of(paper, tmp_path, serving)
    await behind.install_snapshot(Snapshot(6, 1, Membership(frozenset(paper.orderers)), await good.take_snapshot()))
    assert serving.asked == [("orderer2", 1), ("orderer1", 4)]
    assert behind.last_header == good.last_header


@pytest.mark.parametrize("more", [0, 1, 2])
async def test_a_forked_orderers_blocks_are_cut_off_again(paper: PaperNetwork, tmp_path: Path, more: int) -> None:
    """They follow one another and are signed: only the snapshot's hash shows that they lead nowhere."""
    good = await agreed(paper, tmp_path, "orderer1", 5)
    forked = await agreed(paper, tmp_path, "orderer2", 5, "other")
    update = paper.update(batch=BatchLimits(max_message_count=7))
    await forked.apply([entry(6, NOW_US + 9, update.to_bytes()), entry(7, NOW_US + 10, b"x")])
    await forked.apply([entry(n, NOW_US + 10, b"x") for n in range(8, 8 + more)])
    await good.apply([entry(n, NOW_US + 10, b"y") for n in (6, 7, 8)])
    serving = Serving(orderer2=forked, orderer1=good)
    behind = behind_of(paper, tmp_path, serving)
    snapshot = Snapshot(8, 1, Membership(frozenset(paper.orderers)), await good.take_snapshot())
    await behind.install_snapshot(snapshot)
    assert behind.last_header == good.last_header
    assert behind.config.sequence == 0
    behind.store.close()
    again = BlockStore.open(tmp_path / "behind")
    assert [again.block(n) for n in range(9)] == [good.store.block(n) for n in range(9)]
    assert again.applied == 8


async def test_an_own_chain_that_forked_stops_its_channel(paper: PaperNetwork, tmp_path: Path) -> None:
    good = await agreed(paper, tmp_path, "orderer1", 3)
    own = await agreed(paper, tmp_path, "orderer3", 3, "other")
    with pytest.raises(CorruptionError, match="block 3 here is not the one that the orderers agreed on"):
        await own.install_snapshot(Snapshot(9, 1, Membership(frozenset(paper.orderers)), await good.take_snapshot()))


async def test_the_data_of_another_network_is_refused(paper: PaperNetwork, tmp_path: Path) -> None:
    open_chain(paper, tmp_path).store.close()
    with pytest.raises(CorruptionError, match="another network"):
        open_chain(paper, tmp_path, genesis=genesis_block(replace(paper.config, sequence=3)))


async def test_who_waits_for_a_block_is_told(paper: PaperNetwork, tmp_path: Path) -> None:
    chain = open_chain(paper, tmp_path)
    assert not await chain.wait_beyond(1, 0.0)
    await chain.apply([entry(1, NOW_US, b"x")])
    assert await chain.wait_beyond(1, 0.0)


FORGERIES: dict[str, Callable[[PaperNetwork, SignedBlock], SignedBlock]] = {
    "of another channel": lambda paper, block: rebuilt(paper, block, channel="shard2"),
    "of another place": lambda paper, block: rebuilt(paper, block, number=2),
    "behind another block": lambda paper, block: rebuilt(paper, block, previous_hash="0" * 64),
    "signed by nobody known": lambda paper, block: signed_block(block.block, paper.clients["Org1MSP"]),
    "signed by another than it says": lambda paper, block: block._replace(
        signature=replace(
            signed_block(block.block, paper.orderers["orderer2"]).signature, orderer=block.signature.orderer
        )
    ),
    "with other data": lambda _, block: block._replace(block=replace(block.block, envelopes=(b"other",))),
}


def rebuilt(paper: PaperNetwork, block: SignedBlock, **changes: Any) -> SignedBlock:
    """The same block with something else in its header, signed by the orderer all the same."""
    header = block.block.header
    members: dict[str, Any] = {
        "channel": header.channel,
        "number": header.number,
        "previous_hash": header.previous_hash,
        "timestamp_us": header.timestamp_us,
        "envelopes": list(block.block.envelopes),
    }
    return signed_block(Block.build(**{**members, **changes}), paper.orderers["orderer1"])


def test_a_fetched_block_that_follows_is_taken(paper: PaperNetwork) -> None:
    block = PaperChain(paper).next(b"a")
    assert fetched_block(paper.config, paper.genesis.header, block.to_bytes()) == block


@pytest.mark.parametrize("forged", FORGERIES)
def test_a_fetched_block_that_is_forged_is_refused(paper: PaperNetwork, forged: str) -> None:
    block = FORGERIES[forged](paper, PaperChain(paper).next(b"a"))
    with pytest.raises(CorruptionError, match="does not fit the chain"):
        fetched_block(paper.config, paper.genesis.header, block.to_bytes())


async def test_another_last_block_than_agreed_costs_its_orderer_alone(paper: PaperNetwork, tmp_path: Path) -> None:
    """What fitted before stays: the next orderer is asked for the last block, not for the chain."""
    good = await agreed(paper, tmp_path, "orderer1", 5)
    other = await agreed(paper, tmp_path, "orderer2", 4)
    await other.apply([entry(5, NOW_US + 5, b"other")])
    serving = Serving(orderer2=other, orderer1=good)
    behind = behind_of(paper, tmp_path, serving)
    await behind.install_snapshot(Snapshot(5, 1, Membership(frozenset(paper.orderers)), await good.take_snapshot()))
    assert behind.last_header == good.last_header
    assert serving.asked == [("orderer2", 1), ("orderer2", 3), ("orderer2", 5), ("orderer1", 5)]


async def test_what_was_fetched_is_durable_before_the_snapshot_counts(paper: PaperNetwork, tmp_path: Path) -> None:
    good = await agreed(paper, tmp_path, "orderer1", 5)
    behind = behind_of(paper, tmp_path, Serving(orderer1=good))
    await behind.install_snapshot(Snapshot(5, 1, Membership(frozenset(paper.orderers)), await good.take_snapshot()))
    mark = tmp_path / "behind" / "synced.json"
    assert unseal(BLOCK_STORE, mark.read_bytes(), mark, "")["height"] == 6
