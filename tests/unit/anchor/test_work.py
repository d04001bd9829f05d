"""One channel's work: what is asked how often, and what becomes of sides that do not answer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from gridledger.client.anchors import AnchorStatus, ChannelMembers
from gridledger.errors import GridLedgerError, UnavailableError
from gridledger.protocol.statements import Head
from services.anchor.anchoring import Anchoring
from services.anchor.chain import PeerChain
from services.anchor.deciding import Pace
from services.anchor.leaves import LeafFile
from services.anchor.work import ChannelWork
from tests.support.anchored_peer import CHANNEL, AnchoredPeer, headers
from tests.support.anchors_channel import AnchorsChannel, agent
from tests.support.paper import PaperNetwork

ALONE = "Org1MSP"


class Clock:
    def __init__(self) -> None:
        self.now_s = 100.0

    def __call__(self) -> float:
        return self.now_s


class ContractLedger:
    """The contract as the agent of one organisation calls it; it may be away."""

    def __init__(self) -> None:
        self.channel = AnchorsChannel()
        self.away = False
        self.looks = 0

    async def status(self, channel: str) -> AnchorStatus:
        self._check()
        self.looks += 1
        return AnchorStatus.from_dict(self.channel.call("GetStatus", {"channel": channel}))

    async def set_members(self, channel: str, members: ChannelMembers) -> Any:
        said = {"organisations": list(members.organisations), "genesis": members.genesis}
        return self._ask("SetMembers", {"channel": channel, **said})

    async def attest(self, channel: str, size: int, head: Head, *, height: int, consistency: Any, **more: bool) -> Any:
        proof = [item.hex() for item in consistency]
        told = {"channel": channel, "size": size, **head._asdict(), "height": height, "consistency": proof}
        return self._ask("Attest", {**told, **more})

    async def conclude(self, channel: str, size: int, *, consistency: Any) -> Any:
        return self._ask("Conclude", {"channel": channel, "size": size, "consistency": list(consistency)})

    def _ask(self, function: str, argument: Any) -> Any:
        self._check()
        answer = self.channel.ask(function, argument, agent(1))
        if not answer.successful:
            raise GridLedgerError(answer.message, code="CHAINCODE_REFUSED")
        return answer.payload

    def _check(self) -> None:
        if self.away:
            raise UnavailableError("the anchoring channel is away")


class World:
    def __init__(self, folder: Path) -> None:
        self.clock = Clock()
        self.peer = AnchoredPeer(PaperNetwork(), 1)
        self.peer.page = 1000
        self.ledger = ContractLedger()
        self.chain = PeerChain(CHANNEL, self.peer, LeafFile(folder / "shard1.leaves"), self.clock)
        self.chain.members = self._alone  # type: ignore[method-assign]
        pace = Pace()
        now_us = lambda: int(self.clock.now_s * 1e6)  # noqa: E731
        anchoring = Anchoring(ALONE, self.chain, self.ledger, pace, clock=self.clock, now_us=now_us)
        self.work = ChannelWork(self.chain, anchoring, pace, self.clock)

    async def _alone(self) -> ChannelMembers:
        return ChannelMembers((ALONE,), self.peer.items[0].header.hash)

    async def run(self, seconds: float, blocks_a_second: float = 2.0) -> None:
        for _ in range(int(seconds * 2)):
            self.clock.now_s += 0.5
            count = len(self.peer.items) + blocks_a_second * 0.5
            self.peer.items = headers(int(count), before=self.peer.items)
            await self.work.once()

    @property
    def state(self) -> dict[str, Any]:
        return self.work.state()


@pytest.fixture
def world(tmp_path: Path) -> World:
    return World(tmp_path)


async def test_an_organisation_alone_is_anchored_and_asks_seldom(world: World) -> None:
    await world.run(20)
    assert world.state["lag_s"] <= Pace().interval_s
    world.peer.asked = world.ledger.looks = 0
    await world.run(60)
    assert (world.state["lag_s"] <= 10, world.state["alarms"]) == (True, {})
    assert world.peer.asked <= 60 / 2.5 + 2
    assert world.ledger.looks <= 2 * 60 / 6 + 60 / 10


async def test_many_blocks_are_asked_for_more_often(world: World) -> None:
    await world.run(10)
    world.peer.asked = 0
    await world.run(10, blocks_a_second=400)
    assert world.peer.asked >= 15
    assert world.state["lag_blocks"] <= 3 * Pace().interval_blocks


async def test_a_ledger_that_is_away_is_an_alarm_and_caught_up_with(world: World) -> None:
    await world.run(20)
    world.ledger.away = True
    await world.run(20)
    assert "ledger" not in world.state["alarms"]
    await world.run(25)
    assert world.state["alarms"].keys() >= {"ledger", "late"}
    assert "the anchoring channel is away" in world.state["alarms"]["ledger"]
    looks = world.ledger.looks
    world.ledger.away = False
    await world.run(15)
    assert world.ledger.looks > looks
    assert (world.state["alarms"], world.state["lag_s"] <= 10) == ({}, True)


async def test_a_peer_that_is_away_is_an_alarm(world: World) -> None:
    await world.run(20)
    world.peer.away = True
    await world.run(35)
    assert world.state["alarms"].keys() == {"peer"}
    world.peer.away = False
    await world.run(15)
    assert world.state["alarms"] == {}


async def test_what_is_said_wakes_it(world: World) -> None:
    await world.run(20, blocks_a_second=0)
    looks = world.ledger.looks
    world.work.wake()
    await world.work.once()
    assert world.ledger.looks == looks + 1


async def test_a_rewritten_chain_is_an_alarm_and_nothing_is_said(world: World) -> None:
    await world.run(20)
    size = world.state["size"]
    world.peer.items = headers(len(world.peer.items), other_from=5, before=world.peer.items[:5])
    await world.run(30)
    assert "rewritten" in world.state["alarms"]
    assert world.state["size"] == size
