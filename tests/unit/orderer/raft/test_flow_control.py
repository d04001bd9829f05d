"""Bounds on what is under way and held, and when a leader may build on its state."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.orderer.raft.core import RaftCore
from services.orderer.raft.errors import EntryTooLarge, RaftBusy
from services.orderer.raft.interface import Role
from services.orderer.raft.messages import ENTRY_OVERHEAD, Kind, Message
from tests.unit.orderer.raft.rig import SETTINGS, Rig, acknowledge, append, drive, of_kind, server, tell, win


def leading(**bounds: int) -> RaftCore:
    core = win(server(settings=replace(SETTINGS, **bounds)))
    for other in "bc":
        acknowledge(core, other, 1)
    drive(core)
    return core


def to_b(core: RaftCore) -> list[Message]:
    return [m for m in of_kind(drive(core), Kind.APPEND) if m.to == "b"]


def test_who_lost_what_it_acknowledged_is_probed_by_heartbeats() -> None:
    rig = Rig(server(), server("b"), server("c"))
    leader = rig.lead("a")
    for _ in range(3):
        leader.propose(b"x")
        rig.settle()
    lost = rig.cores["b"] = server("b", term=leader.term)
    leader.unreachable("b")
    rig.sent.clear()
    for count in range(1, 11):
        rig.tick(1, "a")
        assert leader.progress["b"].match == 4
        assert len(of_kind(rig.sent, Kind.APPEND)) <= count
        assert len(of_kind(rig.sent, Kind.APPEND_REPLY)) <= count
    assert lost.log.last_index == 0
    assert leader.denials >= 9
    assert ["b refuses entry 4" in notice for notice in leader.notices] == [True]
    leader.propose(b"y")
    rig.settle()
    assert leader.log.commit == 5  # c is enough


def test_who_lost_what_it_acknowledged_votes_no_more() -> None:
    """Restored from an older backup it would vote for a leader without what it had acknowledged."""
    rig = Rig(server(), server("b"), server("c"))
    leader = rig.lead("a")
    for _ in range(3):
        leader.propose(b"x")
        rig.settle()
    lost = rig.cores["b"] = server("b", term=leader.term)
    lost.step(Message(Kind.HEARTBEAT, "a", "b", leader.term, 4, commit=4))
    assert lost.lost_its_log
    assert ["its log ends at 0" in notice for notice in lost.notices] == [True]
    lost.ready()
    for _ in range(30):
        lost.tick()
    assert lost.role is Role.FOLLOWER
    lost.step(Message(Kind.VOTE, "c", "b", leader.term + 5, 9, leader.term))
    ready = lost.ready()
    assert [message.reject for message in ready.after_save if message.kind is Kind.VOTE_REPLY] == [True]


def test_an_acknowledgement_beyond_the_leaders_log_is_not_believed() -> None:
    """Two that lost their logs elected a leader, and it counted what the third one still had."""
    core = leading()
    core.propose(b"x")
    last, before = core.log.last_index, core.log.commit
    for _ in range(2):
        core.step(Message(Kind.APPEND_REPLY, "b", "a", core.term, last + 3))
    assert (core.progress["b"].match, core.log.commit) == (1, before)
    assert [f"b acknowledges entry {last + 3}" in notice for notice in core.notices] == [True]
    core.step(Message(Kind.APPEND_REPLY, "b", "a", core.term, last))
    assert core.progress["b"].match == last


def test_appends_under_way_are_bounded_in_number() -> None:
    core = leading(max_inflight_appends=3, max_append_bytes=1)
    for _ in range(10):
        core.propose(b"x")
    assert [m.index for m in to_b(core)] == [1, 2, 3]
    core.step(Message(Kind.APPEND_REPLY, "b", "a", core.term, 3))
    assert [m.index for m in to_b(core)] == [4, 5]


def test_appends_under_way_are_bounded_in_bytes() -> None:
    size = 100 + ENTRY_OVERHEAD
    core = leading(max_inflight_bytes=3 * size, max_append_bytes=size)
    for _ in range(10):
        core.propose(b"x" * 100)
    assert len(to_b(core)) == 3


def test_an_append_is_bounded_in_bytes_but_holds_an_entry_at_least() -> None:
    core = leading(max_append_bytes=2 * (100 + ENTRY_OVERHEAD))
    for data in (b"x" * 100, b"x" * 100, b"x" * 100, b"x" * 5000, b"x"):
        core.propose(data)
    assert [len(m.entries) for m in to_b(core)] == [2, 1, 1, 1]


def test_a_probe_is_one_append_until_it_is_answered() -> None:
    core = leading(max_append_bytes=1)
    core.unreachable("b")
    for _ in range(5):
        core.propose(b"x")
    assert to_b(core) == []
    core.step(Message(Kind.HEARTBEAT_REPLY, "b", "a", core.term))
    assert len(to_b(core)) == 1
    core.propose(b"x")
    assert to_b(core) == []


def test_a_leader_takes_no_more_than_it_may_hold_unapplied() -> None:
    core = leading(max_unapplied_bytes=500)
    core.applied_to(1)
    for _ in range(4):
        core.propose(b"x" * 100)
    with pytest.raises(RaftBusy):
        core.propose(b"x" * 100)
    acknowledge(core, "b", 5)
    core.applied_to(5)
    core.propose(b"x" * 100)


def test_one_entry_beyond_that_bound_is_taken_alone() -> None:
    core = leading(max_unapplied_bytes=500)
    core.applied_to(1)
    core.propose(b"x" * 5000)


def test_an_entry_is_bounded() -> None:
    core = leading(max_entry_bytes=100)
    with pytest.raises(EntryTooLarge):
        core.propose(b"x" * 101)
    assert core.log.last_index == 1


def test_a_follower_that_cannot_apply_takes_no_more() -> None:
    core = server(settings=replace(SETTINGS, max_unapplied_bytes=100))
    after = 0
    for _ in range(20):
        (answer,) = tell(core, append(1, after, 1 if after else 0, (1,)))
        after = answer.index
    assert core.log.unapplied_bytes <= 300
    assert not answer.reject
    tell(core, append(1, after, 1, (), commit=after))
    core.applied_to(after)
    assert core.log.unapplied_bytes == 0
    (answer,) = tell(core, append(1, after, 1, (1,)))
    assert answer.index == after + 1


def test_entries_are_applied_in_bounded_portions() -> None:
    core = server(
        log=(1,) * 10, commit=10, settings=replace(SETTINGS, max_apply_bytes=3 * (ENTRY_OVERHEAD + len(b"1/1")))
    )
    assert [e.index for e in core.next_committed()] == [1, 2, 3]


def test_bytes_held_are_counted_through_truncation_and_compaction() -> None:
    core = server()
    tell(core, append(1, 0, 0, (1,) * 6))
    tell(core, append(2, 2, 1, (2,), sender="c", commit=3))
    core.applied_to(3)
    held = core.log.slice(1, 3, 10**6)
    assert core.log.held_bytes == sum(e.size for e in held)
    assert core.log.unapplied_bytes == 0
    core.compact(b"")
    assert core.log.held_bytes == 0


def test_a_leader_is_ready_when_all_before_its_term_is_applied() -> None:
    core = win(server(log=(1, 1), term=1))
    assert (core.is_leader, core.ready_to_lead, core.lead_since) == (True, False, 3)
    acknowledge(core, "b", 3)
    assert (core.log.commit, core.ready_to_lead) == (3, False)
    core.applied_to(2)
    assert not core.ready_to_lead
    core.applied_to(3)
    assert core.ready_to_lead
    tell(core, append(core.term + 1, 0, 0))
    assert not core.ready_to_lead
