from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from gridledger.client.anchors import Anchor
from gridledger.evidence.anchor import HeaderTree, leaf_hash
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol import merkle
from gridledger.protocol.block import HeaderSignature
from gridledger.protocol.config_update import parse_envelope
from gridledger.protocol.headers import HeadersPage
from gridledger.protocol.proof import ProvedTransaction
from gridledger.protocol.statements import Head
from services.lightnode.chain_store import ChainStore
from services.lightnode.errors import ChainBroken, NotOnChain
from services.lightnode.headers import HeaderChain
from services.lightnode.proofs import Proofs
from services.lightnode.recorder.marks import ASIDE, ON_CHAIN, Mark
from services.lightnode.recorder.recorder import Recorder
from services.lightnode.recorder.records import Entry
from tests.support.fake_section import inline
from tests.support.paper import PaperNetwork, PaperPeer
from tests.support.paper.chain import signed_block
from tests.support.unsynced_disk import UnsyncedDisk


class Source:
    """A channel as a peer tells it, which may lie."""

    def __init__(self, peer: PaperPeer, most: int = 3) -> None:
        self.peer = peer
        self.channel = peer.chain.paper.genesis.header.channel
        self.most = most
        self.changes: dict[int, Any] = {}

    async def get_headers(self, start: int = 0, *, limit: int = 1000) -> HeadersPage:
        height = len(self.peer.chain.blocks)
        with self.peer.ledger.snapshot() as snapshot:
            items = [snapshot.header(number) for number in range(start, min(height, start + self.most))]
        return HeadersPage(tuple(self.changes.get(item.header.number, item) for item in items), height)

    async def get_block(self, number: int) -> Any:
        return self.peer.chain.blocks[number]

    async def get_transaction(self, tx_id: str) -> ProvedTransaction:
        with self.peer.ledger.snapshot() as snapshot:
            return snapshot.transaction(tx_id)


@pytest.fixture
def peer(tmp_path: Path) -> PaperPeer:
    made = PaperPeer(tmp_path / "ledger", PaperNetwork())
    for number in range(7):
        made.commit(made.chain.paper.transaction({"k": number}))
    return made


@pytest.fixture
def store(tmp_path: Path) -> ChainStore:
    return ChainStore(tmp_path / "chain.sqlite")


async def followed(source: Source, store: ChainStore) -> HeaderChain:
    chain = HeaderChain(source, store, inline)
    while await chain.look():
        pass
    return chain


async def test_headers_are_followed_in_pages_and_kept_over_a_restart(peer, store):
    source = Source(peer)
    chain = await followed(source, store)
    assert chain.height == 8
    with peer.ledger.snapshot() as snapshot:
        items = [snapshot.header(number) for number in range(8)]
    assert [chain.header(number) for number in range(8)] == items
    tree = HeaderTree.from_hashes(leaf_hash(item.header.text, item.commit_hash) for item in items)
    assert chain.tree.root() == tree.root()
    peer.commit(peer.chain.paper.transaction({"k": 8}))
    again = HeaderChain(source, store, inline)
    assert again.height == 8
    await again.look()
    assert again.height == 9
    assert chain.header(20) is None


async def test_a_header_that_no_orderer_signed_is_refused(peer, store):
    source = Source(peer)
    with peer.ledger.snapshot() as snapshot:
        honest, other = snapshot.header(5), snapshot.header(4)
    source.changes[5] = type(honest)(honest.header, other.signature, honest.commit_hash)
    chain = HeaderChain(source, store, inline)
    await chain.look()
    with pytest.raises(ChainBroken, match="signature"):
        await chain.look()
    assert chain.height == 3
    source.changes.clear()
    while await chain.look():
        pass
    assert chain.height == 8


async def test_headers_of_another_chain_are_refused(peer, store, tmp_path):
    chain = HeaderChain(Source(peer), store, inline)
    await chain.look()
    other = PaperPeer(tmp_path / "other", peer.chain.paper)
    for number in range(5):
        other.commit(other.chain.paper.transaction({"other": number}))
    chain._source = Source(other)
    with pytest.raises(ChainBroken, match="do not follow"):
        await chain.look()


async def test_an_orderer_that_a_later_configuration_brings_is_believed(tmp_path, store):
    paper = PaperNetwork()
    everyone = paper.config.orderers
    paper.config = replace(paper.config, orderers={name: everyone[name] for name in ("orderer2", "orderer3")})
    peer = PaperPeer(tmp_path / "ledger", paper)
    old, new = paper.orderers["orderer2"], paper.orderers["orderer1"]
    commit_by(peer, old, paper.transaction({"k": 1}))
    source = Source(peer, most=100)
    chain = await followed(source, store)
    assert chain.height == 2
    # As long as no configuration names it, it is not believed.
    commit_by(peer, old, paper.transaction({"k": 2}))
    with peer.ledger.snapshot() as snapshot:
        honest = snapshot.header(2)
    signature = HeaderSignature(new.fingerprint, new.sign(honest.header.text.encode()))
    source.changes[2] = replace(honest, signature=signature)
    with pytest.raises(ChainBroken, match="no orderer"):
        await chain.look()
    source.changes.clear()
    commit_by(peer, old, paper.update(orderers=everyone))
    commit_by(peer, old, paper.transaction({"k": 3}))
    commit_by(peer, new, paper.transaction({"k": 4}))
    await chain.look()
    assert chain.height == 6
    commit_by(peer, new, paper.transaction({"k": 5}))
    assert (await followed(source, store)).height == 7


def commit_by(peer: PaperPeer, orderer: SigningIdentity, envelope: Any) -> None:
    """The next block, signed by this orderer."""
    peer.committer.process([signed_block(peer.chain.next(envelope).block, orderer)])


class Anchors:
    """One anchor, of this size and root."""

    def __init__(self, size: int, root: str) -> None:
        self.size, self.root = size, root

    async def anchor(self, channel: str, size: int | None = None) -> Anchor:
        if self.size < (size or 0):
            raise NotOnChain("none")
        return Anchor(channel, self.size, Head(self.root, "a" * 64, "b" * 64), ("Org1MSP",), None, 1)


async def test_an_event_is_proved_up_to_the_anchor(peer, store, tmp_path):
    source = Source(peer)
    chain = await followed(source, store)
    recorder = Recorder(tmp_path / "node", disk=UnsyncedDisk())
    recorder.append([Entry("pmu-1", "alarm", number, "{}") for number in range(3)])
    tx = parse_envelope(peer.chain.blocks[4].envelopes[0]).tx_id
    recorder.settle(Mark(ON_CHAIN, "pmu-1", (1,), 1, "a" * 64, tx=tx, block=4))
    recorder.settle(Mark(ASIDE, "pmu-1", (2,), 1, "a" * 64, why="body: no"))
    gone: Any = None
    anchors = Anchors(6, chain.tree.root(6).hex())
    proofs = Proofs({source.channel: source}, {source.channel: chain}, anchors, store, recorder, in_thread=inline)
    proof = await proofs.of(source.channel, "pmu-1", 1)
    transaction = ProvedTransaction.from_dict(proof["transaction"])
    assert transaction.holds()
    leaf = leaf_hash(transaction.header.text, proof["commit_hash"])
    anchor = proof["anchor"]
    assert anchor["index"] == 4
    assert _root_from(leaf, 4, 6, anchor["path"]) == chain.tree.root(6).hex()
    anchors.size, anchors.root = 4, "0" * 64
    assert (await proofs.of(source.channel, "pmu-1", 1))["anchor"] is None
    anchors.size = 6
    with pytest.raises(ChainBroken, match="another tree"):
        await proofs.of(source.channel, "pmu-1", 1)
    for number, why in ((2, "body: no"), (3, "waits")):
        with pytest.raises(NotOnChain, match=why):
            await proofs.of(source.channel, "pmu-1", number)
    source.peer = gone  # the full nodes are gone: what was kept proves the event still
    anchors.size = 0
    assert (await proofs.of(source.channel, "pmu-1", 1))["transaction"] == proof["transaction"]


def _root_from(leaf: bytes, index: int, count: int, path: list[str]) -> str:
    node, position, last = leaf, index, count - 1
    for text in path:
        sibling = bytes.fromhex(text)
        if position & 1 or position == last:
            node = merkle._join(sibling, node)
            while not position & 1 and position:
                position, last = position >> 1, last >> 1
        else:
            node = merkle._join(node, sibling)
        position, last = position >> 1, last >> 1
    return node.hex()
