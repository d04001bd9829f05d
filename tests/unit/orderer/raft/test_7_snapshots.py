"""Log compaction and snapshots: the paper's section 7."""

from __future__ import annotations

from dataclasses import replace

import pytest

from services.orderer.raft.core import RaftCore
from services.orderer.raft.errors import LogBroken
from services.orderer.raft.interface import Membership, Snapshot
from services.orderer.raft.log import RaftLog
from services.orderer.raft.messages import Kind, Message
from services.orderer.raft.progress import Feed
from tests.unit.orderer.raft.rig import (
    SETTINGS,
    Rig,
    acknowledge,
    append,
    drive,
    entries,
    log_of,
    of_kind,
    server,
    tell,
)

ABC = Membership(frozenset("abc"))


def offer(core: RaftCore, index: int, term: int, *, leader_term: int = 5) -> list[Message]:
    snapshot = Snapshot(index, term, ABC, b"state")
    return tell(core, Message(Kind.SNAPSHOT, "b", "a", leader_term, index, term, snapshot=snapshot))


def test_a_snapshot_replaces_the_log_behind_it() -> None:
    core = server(log=(1, 1, 2, 2), commit=3, applied=3)
    snapshot = core.compact(b"state")
    assert (snapshot.index, snapshot.term, snapshot.membership) == (3, 2, ABC)
    assert (core.log.first_index, log_of(core), core.log.term(3)) == (4, [2], 2)


def test_followers_that_are_a_little_behind_still_get_entries() -> None:
    core = server(log=(1,) * 10, commit=8, applied=8, settings=replace(SETTINGS, trailing_entries=3))
    core.compact(b"state")
    assert core.log.first_index == 6
    tight = server(log=(1,) * 10, commit=8, applied=8, settings=replace(SETTINGS, trailing_entries=3, trailing_bytes=1))
    tight.compact(b"state")
    assert tight.log.first_index == 9


def test_only_what_is_applied_is_compacted() -> None:
    log = RaftLog(ABC, entries=entries((1, 1, 1)), commit=3, applied=1)
    with pytest.raises(LogBroken):
        log.compact(Snapshot(2, 1, ABC, b""), 0, 0)


def test_a_follower_too_far_behind_gets_the_snapshot_and_then_the_log() -> None:
    rig = Rig(*(server(name) for name in "abc"))
    leader = rig.lead("a")
    rig.cut = {"c"}
    for number in range(5):
        leader.propose(b"%d" % number)
    rig.settle()
    leader.compact(b"state at 6")
    leader.propose(b"behind it")
    rig.settle()
    rig.cut = set()
    rig.tick(3, "a")
    assert [(s.index, s.data) for s in rig.installed["c"]] == [(6, b"state at 6")]
    assert [e.data for e in rig.applied["c"]][-1] == b"behind it"
    assert (rig["c"].log.commit, rig["c"].log.first_index) == (7, 7)
    assert leader.progress["c"].feed is Feed.REPLICATE


def test_a_snapshot_beyond_the_log_discards_all_of_it() -> None:
    core = server(log=(1, 1, 1))
    offer(core, 7, 4)
    assert (core.log.last_index, core.log.last_term, core.log.commit, log_of(core)) == (7, 4, 7, [])


def test_a_snapshot_in_conflict_with_the_log_discards_all_of_it() -> None:
    core = server(log=(1, 1, 1, 1))
    offer(core, 2, 2)
    assert (core.log.last_index, log_of(core)) == (2, [])


def test_a_snapshot_of_what_the_log_holds_only_moves_the_commit_index() -> None:
    core = server(log=(1, 1, 1, 1))
    offer(core, 2, 1)
    assert (log_of(core), core.log.commit, core.log.pending_snapshot) == ([1, 1, 1, 1], 2, None)


def test_a_stale_snapshot_changes_nothing() -> None:
    core = server(log=(1, 1, 1), commit=3)
    (answer,) = offer(core, 2, 1)
    assert (log_of(core), core.log.snapshot, answer.index) == ([1, 1, 1], None, 3)


def test_a_snapshot_is_acknowledged_and_installed_only_when_it_is_durable() -> None:
    core = server()
    snapshot = Snapshot(7, 4, ABC, b"state")
    core.step(Message(Kind.SNAPSHOT, "b", "a", 5, 7, 4, snapshot=snapshot))
    ready = core.ready()
    assert (ready.snapshot, ready.messages, core.log.next_snapshot()) == (snapshot, [], None)
    assert [m.index for m in ready.after_save] == [7]
    core.advance(ready)
    assert core.log.next_snapshot() == snapshot


def test_entries_follow_a_snapshot_that_is_not_installed_yet_but_are_not_applied() -> None:
    core = server()
    offer(core, 7, 4)
    tell(core, append(5, 7, 4, (5, 5), commit=9))
    assert (core.log.commit, core.next_committed()) == (9, ())
    core.applied_to(7)
    assert [e.index for e in core.next_committed()] == [8, 9]


def test_who_waits_for_a_snapshot_does_not_stand() -> None:
    core = server()
    offer(core, 7, 4)
    for _ in range(60):
        core.tick()
    assert of_kind(drive(core), Kind.PRE_VOTE) == []


def test_a_restart_before_the_snapshot_was_installed_installs_it() -> None:
    snapshot = Snapshot(7, 4, ABC, b"state")
    core = server(snapshot=snapshot, log=(5,), applied=3, commit=8)
    assert (core.log.next_snapshot(), core.next_committed()) == (snapshot, ())


def test_a_restart_after_it_goes_on_behind_it() -> None:
    core = server(snapshot=Snapshot(7, 4, ABC, b"state"), log=(5,), applied=7, commit=8)
    assert core.log.next_snapshot() is None
    assert [e.index for e in core.next_committed()] == [8]


def test_the_snapshot_brings_the_membership() -> None:
    core = server(voters=("a", "b"))
    offer(core, 7, 4)
    assert core.membership == ABC


def test_a_lost_snapshot_is_sent_again_after_an_election_timeout_not_before() -> None:
    core = win_and_compact()
    core.step(Message(Kind.APPEND_REPLY, "c", "a", core.term, 4, 0, reject=True))
    assert len(of_kind(drive(core), Kind.SNAPSHOT)) == 1
    sent: list[Message] = []
    for tick in range(25):
        core.tick()
        for other in "bc":
            core.step(Message(Kind.HEARTBEAT_REPLY, other, "a", core.term))
        found = of_kind(drive(core), Kind.APPEND, Kind.SNAPSHOT)
        sent += [m for m in found if m.to == "c"]
        assert sent == [] or tick >= SETTINGS.election_ticks - 1
    # Behind the snapshot first, for it may have arrived; the refusal of that brings it once more.
    assert [(m.kind, m.index) for m in sent[:1]] == [(Kind.APPEND, 4)]
    core.step(Message(Kind.APPEND_REPLY, "c", "a", core.term, 4, 0, reject=True))
    assert len(of_kind(drive(core), Kind.SNAPSHOT)) == 1


def win_and_compact() -> RaftCore:
    rig = Rig(*(server(name) for name in "abc"))
    core = rig.lead("a")
    rig.cut = {"c"}
    for _ in range(3):
        core.propose(b"x")
    rig.settle()
    core.compact(b"state")
    core.unreachable("c")
    core.progress["c"].next = core.log.last_index + 1
    core.step(Message(Kind.HEARTBEAT_REPLY, "c", "a", core.term))
    drive(core)
    return core


def test_a_stable_position_does_not_survive_the_log_it_belonged_to() -> None:
    core = server()
    core.step(append(5, 0, 0, (1, 1, 1)))
    first = core.ready()
    core.step(Message(Kind.SNAPSHOT, "b", "a", 5, 2, 4, snapshot=Snapshot(2, 4, ABC, b"")))
    second = core.ready()
    core.advance(first)
    assert core.log.stable == 0
    core.advance(second)
    assert core.log.stable == 2


def test_acknowledging_a_snapshot_goes_on_behind_it() -> None:
    core = win_and_compact()
    core.step(Message(Kind.APPEND_REPLY, "c", "a", core.term, 4, 0, reject=True))
    drive(core)
    core.propose(b"y")
    assert of_kind(drive(core), Kind.APPEND) != []
    sent = acknowledge(core, "c", 4)
    assert [(m.to, m.index, len(m.entries)) for m in of_kind(sent, Kind.APPEND)] == [("c", 4, 1)]
