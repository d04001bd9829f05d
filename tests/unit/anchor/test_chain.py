"""Following a peer's headers: pages, restarts, and a chain that is another than it was."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.client.anchors import Anchor
from gridledger.errors import CorruptionError, UnavailableError
from gridledger.evidence.anchor import HeaderTree
from gridledger.protocol.statements import Head
from services.anchor.chain import PeerChain
from services.anchor.leaves import LeafFile
from tests.support.anchored_peer import CHANNEL, AnchoredPeer, headers
from tests.support.paper import PaperNetwork


@pytest.fixture(scope="module")
def paper() -> PaperNetwork:
    return PaperNetwork()


@pytest.fixture
def peer(paper: PaperNetwork) -> AnchoredPeer:
    return AnchoredPeer(paper, 12)


def chain_of(peer: AnchoredPeer, folder: Path) -> PeerChain:
    return PeerChain(CHANNEL, peer, LeafFile(folder / "shard1.leaves"), clock=lambda: 0.0)


def root_of(peer: AnchoredPeer, size: int) -> bytes:
    return HeaderTree.from_hashes(item.leaf_hash for item in peer.items[:size]).root()


def anchor(root: bytes, size: int) -> Anchor:
    return Anchor(CHANNEL, size, Head(root.hex(), "0" * 64, "0" * 64), ("Org1MSP",), None, 0)


async def test_all_pages_are_taken_and_then_what_is_new(peer: AnchoredPeer, tmp_path: Path) -> None:
    chain = chain_of(peer, tmp_path)
    assert not await chain.follow()
    assert chain.tree.root() == root_of(peer, 12)
    assert peer.asked == 3
    peer.items = headers(14, before=peer.items)
    assert not await chain.follow()
    assert (chain.tree.size, peer.asked) == (14, 4)
    head = await chain.head(14)
    assert head == Head(root_of(peer, 14).hex(), peer.items[13].header.hash, peer.items[13].commit_hash)
    assert peer.asked == 4  # the last heads are remembered


async def test_a_restart_reads_no_more_than_what_is_new_and_what_is_not_anchored(
    peer: AnchoredPeer, tmp_path: Path
) -> None:
    first = chain_of(peer, tmp_path)
    await first.follow()
    first.close()
    chain = chain_of(peer, tmp_path)
    assert chain.tree.size == 12
    chain.settle(anchor(root_of(peer, 10), 10))
    assert chain.tree.size == 10
    peer.asked = 0
    await chain.follow()
    assert (chain.tree.root(), peer.asked) == (root_of(peer, 12), 1)
    assert (await chain.head(4)).header_hash == peer.items[3].header.hash  # asked for


async def test_a_file_of_another_chain_is_read_anew(peer: AnchoredPeer, tmp_path: Path) -> None:
    path = tmp_path / "shard1.leaves"
    path.write_bytes(b"x" * 32 * 12)
    chain = chain_of(peer, tmp_path)
    chain.settle(anchor(root_of(peer, 10), 10))
    assert chain.tree.size == 0
    await chain.follow()
    assert chain.tree.root() == root_of(peer, 12)
    chain.close()
    path.write_bytes(b"x" * 32 * 7)
    again = chain_of(peer, tmp_path)
    again.settle(anchor(root_of(peer, 10), 10))  # the file does not reach that far
    await again.follow()
    assert (again.tree.root(), again.rewritten) == (root_of(peer, 12), None)


async def test_a_chain_that_changes_while_it_is_followed_is_not_followed_on(peer: AnchoredPeer, tmp_path: Path) -> None:
    chain = chain_of(peer, tmp_path)
    await chain.follow()
    true = chain.tree.root()
    peer.items = headers(14, other_from=9, before=peer.items[:9])
    assert not await chain.follow()
    assert chain.rewritten is not None
    assert "block 11 of the own peer is not the one that it was" in chain.rewritten
    assert (chain.tree.root(), chain.tree.size) == (true, 12)
    chain.close()
    chain = chain_of(peer, tmp_path)
    chain.settle(anchor(true, 12))
    assert chain.tree.size == 12
    await chain.follow()
    assert chain.rewritten is not None


async def test_a_head_is_not_said_of_a_block_that_the_peer_has_changed(peer: AnchoredPeer, tmp_path: Path) -> None:
    first = chain_of(peer, tmp_path)
    await first.follow()
    first.close()
    chain = chain_of(peer, tmp_path)
    peer.items = headers(12, other_from=6, before=peer.items[:6])
    with pytest.raises(CorruptionError, match="block 7 of shard1 is not the one it was"):
        await chain.head(8)
    assert chain.rewritten is not None


async def test_a_peer_that_has_less_is_waited_for(peer: AnchoredPeer, tmp_path: Path) -> None:
    chain = chain_of(peer, tmp_path)
    await chain.follow()
    whole, peer.items = peer.items, peer.items[:4]
    assert not await chain.follow()
    assert (chain.tree.size, chain.rewritten) == (12, None)
    peer.items = headers(13, before=whole)
    await chain.follow()
    assert chain.tree.size == 13
    peer.items = []
    chain._heads.clear()
    with pytest.raises(UnavailableError, match="no own peer has block 3 of shard1"):
        await chain.head(4)


async def test_members_are_those_of_the_configuration(peer: AnchoredPeer, tmp_path: Path) -> None:
    now_s = 0.0
    chain = PeerChain(CHANNEL, peer, LeafFile(tmp_path / "x.leaves"), clock=lambda: now_s)
    members = await chain.members()
    assert members.organisations == peer.config.peer_organisations
    assert members.genesis == peer.items[0].header.hash
    now_s = 100.0
    await chain.members()
    assert peer.configs == 1  # the same sequence: it is not read again
