"""The bound on a leader's clock: what is judged, what an orderer says of it, and who leads then."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any, cast

import pytest

from gridledger.errors import GridLedgerError
from gridledger.identity.local_msp import LocalMSP
from services.orderer import orderer as orderer_module
from services.orderer.block_store import BlockStore
from services.orderer.chain import Chain, entry_of, entry_time_us
from services.orderer.clock_bound import ClockBound
from services.orderer.orderer import Channel, Orderer
from services.orderer.raft.interface import FollowerStatus, GroupStatus, Leadership, Membership, RaftSettings, Role
from services.orderer.raft.node import RaftNode
from tests.support.orderer_folder import CHANNEL, lone_orderer
from tests.support.paper import NOW_US, PaperNetwork
from tests.support.waiting import eventually
from tests.unit.orderer.raft.test_node import ABC, Machine, Wire

DAY_US = 24 * 3600 * 1_000_000
QUICK = RaftSettings(tick_s=0.01, election_ticks=20, stop_grace_s=1.0)


def test_what_lies_too_far_ahead_is_not_accepted(caplog: pytest.LogCaptureFixture) -> None:
    now = [NOW_US]
    bound = ClockBound("shard1", lambda: now[0], 10.0)
    for ahead_us in (10_000_000, 0, -400 * DAY_US):
        assert bound.accepts(entry_of(NOW_US + ahead_us, [b"x"]))
    for _ in range(3):
        assert not bound.accepts(entry_of(NOW_US + 10_000_001, [b"x"]))
    assert bound.ahead_s == pytest.approx(10.000001)
    assert ["10.0 s ahead" in record.getMessage() for record in caplog.records] == [True]
    now[0] += 1
    assert bound.accepts(entry_of(NOW_US + 10_000_001, [b"x"]))
    assert bound.ahead_s == 0


@pytest.mark.parametrize("data", [b"", b"x", b"\0\0\0\x08", b"\0\0\0\x08" + b"\xff" * 7, b"\0\0\0\x07" + b"\xff" * 9])
def test_what_has_no_time_becomes_no_block_and_is_accepted(data: bytes) -> None:
    assert entry_time_us(data) is None
    assert ClockBound("shard1", lambda: NOW_US, 10.0).accepts(data)


async def test_a_leader_400_days_ahead_is_left(tmp_path: Path) -> None:
    nodes: dict[str, RaftNode] = {}
    machines = {name: Machine() for name in ABC}
    clocks = dict.fromkeys(ABC, NOW_US)
    try:
        for name in ABC:
            wire = Wire(name, nodes)
            nodes[name] = await RaftNode.open(name, tmp_path / name, wire, QUICK)
        for name in ABC:
            bound = ClockBound("g", lambda name=name: clocks[name], 10.0)  # type: ignore[misc]
            await nodes[name].add_group("g", ABC, machines[name], accepts=bound.accepts)

        async def leads() -> str:
            return next((name for name in ABC if nodes[name].leadership("g").ready), "")

        first = await eventually(leads, within_s=20, what="a leader")
        clocks[first] += 400 * DAY_US
        with pytest.raises(GridLedgerError):
            await nodes[first].propose("g", entry_of(clocks[first], [b"wild"]))

        async def another() -> str:
            name = await leads()
            return name if name != first else ""

        second = await eventually(another, within_s=20, what="another leader")
        await nodes[second].propose("g", entry_of(clocks[second], [b"x"]))

        async def everywhere() -> bool:
            return all(machine.data == [entry_of(NOW_US, [b"x"])] for machine in machines.values())

        await eventually(everywhere, within_s=20, what="the entry of the second leader, and no other")
        assert nodes[first].status("g").outvoted
    finally:
        await asyncio.gather(*(node.stop() for node in nodes.values()))


class Following:
    """A consensus engine whose other orderers take over when asked."""

    def __init__(self) -> None:
        self.leader = "orderer1"
        self.moved = asyncio.Event()

    def leadership(self, group: str) -> Leadership:
        return Leadership(group, 1, self.leader, is_self=self.leader == "orderer1", ready=True)

    def status(self, group: str) -> GroupStatus:
        # Just after a leader has counted whom it heard: they were heard, and nothing came of them since.
        followers = {f"orderer{n}": FollowerStatus(n, n + 1, "replicate", recently_active=False) for n in (2, 3)}
        voters = Membership(frozenset(("orderer1", *followers)))
        return GroupStatus(group, Role.LEADER, 1, self.leader, 3, 3, 1, 3, 3, 0, voters, 0, followers=followers)

    async def transfer_leadership(self, _group: str, to: str, *, timeout_s: float) -> None:
        del timeout_s
        self.leader = to
        self.moved.set()


@pytest.mark.parametrize(
    ("behind_s", "leaving", "leader"),
    [(9, "", "orderer1"), (400 * 86_400, "", "orderer3"), (400 * 86_400, "orderer3", "orderer2")],
)
async def test_a_leader_whose_clock_is_far_behind_hands_over(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, behind_s: int, leaving: str, leader: str
) -> None:
    """To one that stays, with most of the log."""
    monkeypatch.setattr(orderer_module, "CLOCK_LOOK_S", 0.0)
    paper, consensus = PaperNetwork(), Following()
    signer = paper.orderers["orderer1"]
    store = BlockStore.open(tmp_path / "blocks")
    channel = Channel(Chain.open(store, paper.genesis, signer, cast("Any", None)), *[cast("Any", None)] * 4)
    orderer = Orderer(
        lone_orderer(tmp_path, paper),
        cast("Any", consensus),
        {CHANNEL: channel},
        certificate=signer.certificate,
        local=LocalMSP(tmp_path, "OrdererMSP", [paper.organisations["OrdererMSP"].root]),
        clock_us=lambda: NOW_US - behind_s * 1_000_000,
        peek=cast("Any", None),
        lives=cast("Any", None),
    )
    if leaving:
        nodes = {name: node for name, node in paper.config.orderers.items() if name != leaving}
        channel.chain.config = paper.config.with_orderers(nodes)
    minding = asyncio.create_task(orderer.mind_the_clock())
    if leader == "orderer1":
        for _ in range(20):
            await asyncio.sleep(0)
    else:
        async with asyncio.timeout(5):
            await consensus.moved.wait()
    minding.cancel()
    assert (consensus.leader, orderer.clock_fault(CHANNEL) is None) == (leader, leader == "orderer1")
    store.close()
