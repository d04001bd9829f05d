"""Who may speak Raft: the orderers of each channel's own configuration, as new as it can be known."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any, cast

import pytest

from gridledger.errors import PermissionDeniedError
from gridledger.identity.signer import SigningIdentity
from gridledger.protocol.joining import ConfigBlock
from services.orderer import raft_senders as module
from services.orderer.block_store import BlockStore
from services.orderer.chain import Chain, entry_of
from services.orderer.raft.interface import CommittedEntry
from services.orderer.raft_senders import RaftSenders
from tests.support.paper import NOW_US, PaperNetwork
from tests.support.waiting import eventually


class Two:
    """orderer1 of two networks that share nothing but it: channels shard1 and other."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.paper, self.other = PaperNetwork(), PaperNetwork("other")
        self.chains = {paper.channel: self.chain(paper, "orderer1") for paper in (self.paper, self.other)}
        self.asked: list[int] = []
        self.ahead: Chain | None = None
        self.senders = RaftSenders(self.chains, self.peek, lambda: NOW_US)

    def chain(self, paper: PaperNetwork, name: str, folder: str = "") -> Chain:
        store = BlockStore.open(self.folder / (folder or f"{paper.channel}-{name}"))
        return Chain.open(store, paper.genesis, paper.orderers[name], cast("Any", None))

    async def peek(self, channel: str, first: int) -> Sequence[bytes]:
        self.asked.append(first)
        if self.ahead is None or first >= self.ahead.height:
            return ()
        return list(self.ahead.store.frames(first, max_bytes=1))

    def name(self, signer: SigningIdentity, channel: str = "shard1") -> str | None:
        return self.senders.name_in(signer.certificate, channel)

    async def renew(self) -> SigningIdentity:
        """orderer2 with a new certificate, that the channel's configuration names from block 2 on."""
        renewed = self.paper.organisations["OrdererMSP"].issue("orderer2", "orderer")
        node = replace(self.paper.config.orderers["orderer2"], certificate=renewed.certificate)
        update = self.paper.update(orderers={**self.paper.config.orderers, "orderer2": node})
        self.ahead = self.chain(self.paper, "orderer3")
        await self.ahead.apply(
            [
                CommittedEntry(n, 1, entry_of(NOW_US, [item]))
                for n, item in enumerate((b"x", update.to_bytes(), b"y"), 1)
            ]
        )
        return renewed


@asynccontextmanager
async def two(folder: Path, monkeypatch: pytest.MonkeyPatch, *, only_strangers_s: float = 0.0) -> AsyncIterator[Two]:
    monkeypatch.setattr(module, "ONLY_STRANGERS_S", only_strangers_s)
    made = Two(folder)
    yield made
    made.senders.close()
    for chain in (*made.chains.values(), *([made.ahead] if made.ahead else [])):
        chain.store.close()


async def test_an_orderer_has_a_name_in_its_own_channels_only(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two(tmp_path, monkeypatch) as made:
        stranger = made.other.orderers["orderer2"]
        assert made.name(made.paper.orderers["orderer2"]) == "orderer2"
        assert (made.name(stranger), made.name(stranger, "other"), made.name(stranger, "none")) == (
            None,
            "orderer2",
            None,
        )
        made.senders.check(stranger.certificate)
        for nobody in (made.paper.peers["peer1"], PaperNetwork().orderers["orderer1"]):
            with pytest.raises(PermissionDeniedError):
                made.senders.check(nobody.certificate)
        await asyncio.sleep(0)
        assert made.asked == []  # neither is an orderer of the channel's organisations


async def test_a_renewed_certificate_is_found_in_newer_blocks(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two(tmp_path, monkeypatch) as made:
        renewed = await made.renew()
        known: list[int] = []
        made.chains["shard1"].on_config = lambda config: known.append(config.sequence)

        async def found() -> bool:
            return made.name(renewed) == "orderer2" and bool(known)  # it is told once the blocks have been looked at

        await eventually(found, within_s=10, what="the newer configuration")
        assert (made.chains["shard1"].height, known) == (1, [1])  # the blocks themselves come by Raft
        assert made.asked == [1, 2, 3, 4]
        assert made.name(made.paper.orderers["orderer2"]) is None


async def test_blocks_that_prove_nothing_change_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two(tmp_path, monkeypatch) as made:
        renewed = await made.renew()
        liar = PaperNetwork()  # signs with keys of its own
        assert made.ahead is not None
        made.ahead.store.close()
        made.ahead = made.chain(made.paper, "orderer3", folder="forged")
        monkeypatch.setattr(made.ahead, "_signer", liar.orderers["orderer3"])
        await made.ahead.apply([CommittedEntry(1, 1, entry_of(NOW_US, [b"x"]))])
        assert made.name(renewed) is None

        async def looked() -> bool:
            task = made.senders._channels["shard1"]._looking
            return task is not None and task.done()

        await eventually(looked, within_s=10, what="the end of the look ahead")
        assert (made.asked, made.name(renewed)) == ([1], None)


async def test_strangers_are_no_reason_while_others_speak(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    async with two(tmp_path, monkeypatch, only_strangers_s=60.0) as made:
        renewed = await made.renew()
        assert made.name(made.paper.orderers["orderer3"]) == "orderer3"
        for _ in range(3):
            assert made.name(renewed) is None
            await asyncio.sleep(0)
        assert made.asked == []


async def test_orderers_of_one_name_are_told_apart_by_their_roots(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path, monkeypatch) as made:
        issuers = [made.senders.issuer_of(paper.orderers["orderer2"].certificate) for paper in (made.paper, made.other)]
        assert issuers == [
            paper.config.msps.msps["OrdererMSP"].roots[0].fingerprint for paper in (made.paper, made.other)
        ]
        assert issuers[0] != issuers[1]
        assert made.senders.issuer_of(made.paper.client.certificate) == ""


async def test_a_config_block_that_was_given_is_judged_by(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Nobody known speaks, and nobody was asked: the others may be where no older config looks for them."""
    async with two(tmp_path, monkeypatch, only_strangers_s=60.0) as made:
        renewed = await made.renew()
        assert made.ahead is not None
        followed: list[int] = []
        made.chains["shard1"].on_config = lambda config: followed.append(config.sequence)
        made.senders.learn(ConfigBlock.of(made.ahead.store.block(2)))
        made.senders.learn(ConfigBlock.of(made.ahead.store.block(0)))
        assert (made.name(renewed), made.name(made.paper.orderers["orderer2"])) == ("orderer2", None)
        assert (followed, made.asked) == ([1], [])
        assert made.senders.config_of("shard1").sequence == 1
        assert made.chains["shard1"].config.sequence == 0


async def test_a_departing_orderer_is_heard_until_raft_has_removed_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async with two(tmp_path, monkeypatch) as made:
        members = {"orderer1", "orderer2", "orderer3"}
        chain = made.chains["shard1"]
        made.senders = RaftSenders(made.chains, made.peek, lambda: NOW_US, lambda _, name: name in members)
        nodes = {name: node for name, node in made.paper.config.orderers.items() if name != "orderer3"}
        after = made.paper.config.with_orderers(nodes)
        update = made.paper.update(orderers=after.orderers, departing_orderers=after.departing_orderers)
        await chain.apply([CommittedEntry(1, 1, entry_of(NOW_US, [update.to_bytes()]))])
        assert chain.config.orderers.keys() == {"orderer1", "orderer2"}
        departing = made.paper.orderers["orderer3"]
        assert made.name(departing) == made.senders.check(departing.certificate) == "orderer3"
        members.discard("orderer3")
        assert made.name(departing) is None
        with pytest.raises(PermissionDeniedError):
            made.senders.check(departing.certificate)
        members.discard("orderer2")  # as one that is to be readmitted
        assert made.name(made.paper.orderers["orderer2"]) == "orderer2"
