"""Blocks of a time when the channel did not name this orderer: it keeps the signature of one that was named."""

from __future__ import annotations

from collections.abc import Collection
from copy import copy
from pathlib import Path

import pytest

from gridledger.formats import BLOCK_STORE
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol import BatchLimits, ChannelConfig, ConfigUpdate
from gridledger.protocol.block import SignedBlock
from gridledger.protocol.config_parts import Node
from gridledger.sealed import unseal
from services.orderer.block_store import BlockStore
from services.orderer.catching_up import Fetched
from services.orderer.chain import Chain, entry_of, fetched_block
from services.orderer.raft.interface import CommittedEntry, Membership, Snapshot
from tests.support.paper import NOW_US, PaperNetwork

PAPER = PaperNetwork()
ORDERER4 = PAPER.organisations["OrdererMSP"].issue("orderer4", "orderer")
SIGNERS = {**PAPER.orderers, "orderer4": ORDERER4}


def replacement() -> bytes:
    """The update by which orderer4 takes orderer3's place."""
    nodes = dict(PAPER.config.orderers)
    del nodes["orderer3"]
    nodes["orderer4"] = Node("orderer4", "OrdererMSP", "https://orderer4:1", ORDERER4.certificate)
    after = PAPER.config.with_orderers(nodes)
    return PAPER.update(orderers=after.orderers, departing_orderers=after.departing_orderers).to_bytes()


ENTRIES = [
    CommittedEntry(index, 1, entry_of(NOW_US + index, [envelope]))
    for index, envelope in enumerate((b"a", b"b", replacement(), b"c", b"d"), 1)
]
CHANGE = 3
"""The block with which the orderers change."""


class Others:
    """What other orderers serve, in this order."""

    def __init__(self, **chains: Chain) -> None:
        self.chains = chains
        self.asked: list[tuple[str, int]] = []

    async def fetch(
        self, channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
    ) -> Fetched:
        assert only_once or avoid
        assert len(self.asked) < 50, "it asks without end"
        for name, chain in self.chains.items():
            if name not in avoid and chain.height > first:
                self.asked.append((name, first))
                return Fetched(name, list(chain.store.frames(first, max_bytes=10**6)))
        self.asked.append(("", first))
        return Fetched("", ())


def opened(folder: Path, name: str, others: Others | None = None, signer: SigningIdentity | None = None) -> Chain:
    store = BlockStore.open(folder / name)
    return Chain.open(store, PAPER.genesis, signer or SIGNERS[name], (others or Others()).fetch)


async def ordered(folder: Path, name: str = "orderer1") -> Chain:
    """The whole chain, as an orderer has it that was always there."""
    chain = opened(folder, name)
    await chain.apply(ENTRIES)
    return chain


def signers_of(chain: Chain) -> list[str]:
    """Who signed each block but the first; fails where the configuration of then does not name it."""
    names = {signer.fingerprint: name for name, signer in SIGNERS.items()}
    config: ChannelConfig = PAPER.config
    last, found = chain.header(0), []
    for number in range(1, chain.height):
        record = chain.store.record(number).payload
        signed = fetched_block(config, last, record)
        found.append(names[signed.signature.orderer])
        last = signed.block.header
        if number == CHANGE:
            config = ConfigUpdate.parse(signed.block.envelopes[0]).config
    return found


async def test_a_joining_orderer_keeps_the_signatures_of_before(tmp_path: Path) -> None:
    others = Others(orderer1=await ordered(tmp_path))
    joining = opened(tmp_path, "orderer4", others)
    await joining.apply(ENTRIES[:2])
    await joining.apply(ENTRIES[2:])
    assert joining.last_header == others.chains["orderer1"].last_header
    assert signers_of(joining) == ["orderer1", "orderer1", "orderer1", "orderer4", "orderer4"]
    assert others.asked == [("orderer1", 1), ("orderer1", 3)]  # once for all that is applied together


async def test_a_departing_orderer_keeps_the_signatures_of_after(tmp_path: Path) -> None:
    others = Others(orderer1=await ordered(tmp_path))
    departing = opened(tmp_path, "orderer3", others)
    await departing.apply(ENTRIES)
    assert signers_of(departing) == ["orderer3", "orderer3", "orderer3", "orderer1", "orderer1"]


async def test_what_others_signed_is_durable_when_it_is_applied(tmp_path: Path) -> None:
    """They may be gone when power is lost here. What this orderer signs it can sign again."""
    others = Others(orderer1=await ordered(tmp_path))
    joining = opened(tmp_path, "orderer4", others)
    mark = tmp_path / "orderer4" / "synced.json"

    def height() -> int:
        return int(unseal(BLOCK_STORE, mark.read_bytes(), mark, "")["height"])

    await joining.apply(ENTRIES[:4])
    assert height() == 5
    await joining.apply(ENTRIES[4:])
    assert (joining.height, height()) == (6, 5)


async def test_a_restart_goes_on_with_the_signatures_of_others(tmp_path: Path) -> None:
    others = Others(orderer1=await ordered(tmp_path))
    joining = opened(tmp_path, "orderer4", others)
    await joining.apply(ENTRIES[:1])
    joining.store.close()
    again = opened(tmp_path, "orderer4", others)
    assert again.store.applied == 1
    await again.apply(ENTRIES[1:])
    assert signers_of(again) == ["orderer1", "orderer1", "orderer1", "orderer4", "orderer4"]


async def test_what_was_fetched_for_nothing_is_dropped(tmp_path: Path, caplog: pytest.LogCaptureFixture) -> None:
    """orderer4 fetches five blocks ahead and signs the last two by itself; later it departs."""
    ahead = await ordered(tmp_path)
    others = Others(orderer1=ahead)
    joining = opened(tmp_path, "orderer4", others)
    await joining.apply(ENTRIES)
    paper = copy(PAPER)
    paper.config = joining.config
    after = paper.config.with_orderers({name: paper.config.orderers[name] for name in ("orderer1", "orderer2")})
    update = paper.update(orderers=after.orderers, departing_orderers=after.departing_orderers).to_bytes()
    more = [CommittedEntry(n, 1, entry_of(NOW_US + n, [envelope])) for n, envelope in ((6, update), (7, b"f"))]
    await ahead.apply(more)
    await joining.apply(more)
    assert joining.last_header == ahead.last_header
    assert others.asked == [("orderer1", 1), ("orderer1", 7)]
    assert caplog.text == ""


async def test_whoever_serves_another_block_is_left_out(tmp_path: Path) -> None:
    forked = opened(tmp_path, "orderer2")
    await forked.apply([CommittedEntry(index, 1, entry_of(NOW_US + index, [b"other"])) for index in (1, 2)])
    others = Others(orderer2=forked, orderer1=await ordered(tmp_path))
    joining = opened(tmp_path, "orderer4", others)
    await joining.apply(ENTRIES)
    assert signers_of(joining)[:3] == ["orderer1"] * 3
    assert others.asked == [("orderer2", 1), ("orderer1", 1)]


async def test_the_blocks_of_a_snapshot_keep_their_signatures(tmp_path: Path) -> None:
    ahead = await ordered(tmp_path)
    others = Others(orderer1=ahead)

    async def fetch(
        channel: str, first: int, height: int, avoid: Collection[str] = (), *, only_once: bool = False
    ) -> Fetched:
        return await others.fetch(channel, first, height, avoid, only_once=True)

    behind = Chain.open(BlockStore.open(tmp_path / "behind"), PAPER.genesis, SIGNERS["orderer2"], fetch)
    await behind.install_snapshot(Snapshot(5, 1, Membership(frozenset(("orderer1",))), await ahead.take_snapshot()))
    assert signers_of(behind) == ["orderer1"] * 5


async def test_an_orderer_with_a_newer_certificate_signs_where_nobody_else_is(tmp_path: Path) -> None:
    """All of them may have lost what they had not synced, and renewed their certificates since."""
    renewed = PAPER.organisations["OrdererMSP"].issue("orderer2", "orderer")
    others = Others()
    chain = opened(tmp_path, "orderer2", others, signer=renewed)
    await chain.apply(ENTRIES[:1])
    assert SignedBlock.from_bytes(chain.store.record(1).payload).signature.orderer == renewed.fingerprint
    others.chains["orderer1"] = await ordered(tmp_path)
    await chain.apply(ENTRIES[1:2])
    assert SignedBlock.from_bytes(chain.store.record(2).payload).signature.orderer == SIGNERS["orderer1"].fingerprint


async def test_an_orderer_that_stays_asks_nobody(tmp_path: Path) -> None:
    others = Others()
    chain = opened(tmp_path, "orderer2", others)
    paper = copy(PAPER)
    await chain.apply([*ENTRIES, CommittedEntry(6, 1, entry_of(NOW_US + 6, [b"e"]))])
    paper.config = chain.config
    update = paper.update(batch=BatchLimits(max_message_count=7)).to_bytes()
    await chain.apply([CommittedEntry(7, 1, entry_of(NOW_US + 7, [update]))])
    assert others.asked == []
