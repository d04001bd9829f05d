"""The bound on a leader's clock: what is judged, what an orderer says of it, and who leads then."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from gridledger.errors import GridLedgerError
from services.orderer.chain import entry_of, entry_time_us
from services.orderer.clock_bound import ClockBound
from services.orderer.raft.interface import RaftSettings
from services.orderer.raft.node import RaftNode
from tests.support.paper import NOW_US
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
