"""Log replication: the paper's section 5.3."""

from __future__ import annotations

import pytest

from services.orderer.raft.errors import LogBroken, NotLeader
from services.orderer.raft.interface import RaftSettings
from services.orderer.raft.messages import Kind, Message
from tests.unit.orderer.raft.rig import (
    Rig,
    acknowledge,
    append,
    drive,
    entries,
    log_of,
    of_kind,
    server,
    tell,
    tick,
    win,
)

LEADER_OF_FIGURE_7 = (1, 1, 1, 4, 4, 5, 5, 6, 6, 6)
FOLLOWERS_OF_FIGURE_7 = {
    "a": (1, 1, 1, 4, 4, 5, 5, 6, 6),
    "b": (1, 1, 1, 4),
    "c": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 6),
    "d": (1, 1, 1, 4, 4, 5, 5, 6, 6, 6, 7, 7),
    "e": (1, 1, 1, 4, 4, 4, 4),
    "f": (1, 1, 1, 2, 2, 2, 3, 3, 3, 3, 3),
}


def test_an_entry_is_committed_when_a_majority_holds_it_and_then_everywhere_at_once() -> None:
    rig = Rig(*(server(name) for name in "abc"))
    leader = rig.lead("a")
    leader.propose(b"x")
    rig.settle()  # no tick: the commit index does not wait for a heartbeat
    assert [core.log.commit for core in rig.cores.values()] == [2, 2, 2]
    assert [[e.data for e in rig.applied[name]] for name in "abc"] == [[b"", b"x"]] * 3


def test_it_is_committed_without_a_minority() -> None:
    rig = Rig(*(server(name, tuple("abcde")) for name in "abcde"))
    leader = rig.lead("a")
    rig.cut = {"d", "e"}
    leader.propose(b"x")
    rig.settle()
    assert leader.log.commit == 2
    rig.cut = {"c", "d", "e"}
    leader.propose(b"y")
    rig.settle()
    assert leader.log.commit == 2


def test_only_a_leader_takes_proposals() -> None:
    follower = server()
    tell(follower, append(1, 0, 0))
    with pytest.raises(NotLeader) as caught:
        follower.propose(b"x")
    assert caught.value.leader == "b"


def test_a_leader_counts_itself_only_when_its_own_disk_has_the_entry() -> None:
    core = win(server(voters=("a", "b")))
    acknowledge(core, "b", 1)
    core.propose(b"x")
    ready = core.ready()
    core.step(Message(Kind.APPEND_REPLY, "b", "a", core.term, 2))
    assert core.log.commit == 1
    core.advance(ready)
    assert core.log.commit == 2


def test_two_followers_may_commit_before_the_leaders_disk() -> None:
    core = win(server())
    acknowledge(core, "b", 1)
    core.propose(b"x")
    core.ready()
    for other in "bc":
        core.step(Message(Kind.APPEND_REPLY, other, "a", core.term, 2))
    assert core.log.commit == 2
    assert [e.index for e in core.next_committed()] == [1]  # applied where it is durable, not before


def test_a_follower_acknowledges_only_what_its_disk_has() -> None:
    core = server()
    core.step(append(1, 0, 0, (1, 1)))
    ready = core.ready()
    assert ready.messages == []
    assert [(m.kind, m.index, m.reject) for m in ready.after_save] == [(Kind.APPEND_REPLY, 2, False)]


def test_an_acknowledgement_of_what_is_still_being_saved_waits_too() -> None:
    core = server()
    core.step(append(1, 0, 0, (1, 1)))
    first = core.ready()
    core.step(append(1, 0, 0, (1, 1)))  # a duplicate while the disk is busy
    second = core.ready()
    assert (second.save, second.messages, second.after_save) == (False, [], [])
    core.advance(first)
    assert [(m.kind, m.index) for m in core.ready().messages] == [(Kind.APPEND_REPLY, 2)]


def test_a_later_acknowledgement_does_not_go_out_with_an_earlier_save() -> None:
    core = server()
    core.step(append(1, 0, 0, (1,)))
    first = core.ready()
    core.step(append(1, 1, 1, (1,)))
    second = core.ready()
    core.advance(first)
    assert [m.index for m in first.after_save] == [1]
    assert core.log.stable == 1
    core.advance(second)
    assert [m.index for m in second.after_save] == [2]


def test_readies_are_advanced_in_order() -> None:
    core = server()
    core.step(append(1, 0, 0, (1,)))
    core.ready()
    core.step(append(1, 1, 1, (1,)))
    with pytest.raises(LogBroken):
        core.advance(core.ready())


@pytest.mark.parametrize("name", FOLLOWERS_OF_FIGURE_7)
def test_any_follower_of_figure_7_comes_to_the_leaders_log(name: str) -> None:
    follower_log = FOLLOWERS_OF_FIGURE_7[name]
    leader = server("l", ("l", "f", "x"), LEADER_OF_FIGURE_7, term=7)
    follower = server("f", ("l", "f", "x"), follower_log, term=max(follower_log[-1], 7))
    rig = Rig(leader, follower, server("x", ("l", "f", "x"), LEADER_OF_FIGURE_7, term=7))
    rig.cut = {"f"}
    rig.lead("l")
    rig.cut = set()
    rig.tick(3)
    assert log_of(follower) == log_of(leader) == [*LEADER_OF_FIGURE_7, 8]
    assert follower.log.commit == leader.log.commit == 11


@pytest.mark.parametrize("name", FOLLOWERS_OF_FIGURE_7)
def test_finding_where_logs_agree_takes_a_refusal_per_term_not_per_entry(name: str) -> None:
    rig = Rig(
        server("l", ("l", "f", "x"), LEADER_OF_FIGURE_7, term=7),
        server("f", ("l", "f", "x"), FOLLOWERS_OF_FIGURE_7[name], term=7),
        server("x", ("l", "f", "x"), LEADER_OF_FIGURE_7, term=7),
    )
    rig.cut = {"f"}
    rig.lead("l")
    rig.cut = set()
    rig.sent.clear()
    rig.tick(3)
    assert len([m for m in rig.sent if m.sender == "f" and m.reject]) <= 3


@pytest.mark.parametrize(
    ("after", "after_term", "taken"), [(3, 1, True), (3, 2, False), (4, 1, False), (2, 1, True), (0, 0, True)]
)
def test_an_append_needs_the_entry_before_it(after: int, after_term: int, taken: bool) -> None:
    core = server(log=(1, 1, 1))
    (answer,) = tell(core, append(2, after, after_term, (2,)))
    assert answer.reject is not taken
    assert (core.log.last_term == 2) is taken


def test_conflicting_entries_give_way_from_the_first_conflict_on() -> None:
    core = server(log=(1, 1, 2, 2, 2))
    tell(core, append(3, 1, 1, (1, 3)))
    assert log_of(core) == [1, 1, 3]


def test_a_late_duplicate_shortens_nothing() -> None:
    core = server()
    tell(core, append(1, 0, 0, (1, 1, 1)))
    (answer,) = tell(core, append(1, 0, 0, (1,)))
    assert log_of(core) == [1, 1, 1]
    assert answer.index == 1


def test_a_follower_commits_only_as_far_as_its_log_is_known_to_be_the_leaders() -> None:
    core = server(log=(1, 1, 2, 2))
    tell(core, append(3, 1, 1, (), commit=4))
    assert core.log.commit == 1
    tell(core, Message(Kind.HEARTBEAT, "b", "a", 3, 1, commit=4))
    assert core.log.commit == 1
    tell(core, append(3, 1, 1, (1, 3), commit=4))
    assert (core.log.commit, log_of(core)) == (3, [1, 1, 3])


def test_what_was_verified_by_one_leader_is_not_by_the_next() -> None:
    core = server()
    tell(core, append(1, 0, 0, (1, 1, 1)))
    tell(core, Message(Kind.HEARTBEAT, "c", "a", 2, 0, commit=3))
    assert core.log.commit == 0


def test_commit_never_goes_back() -> None:
    core = server()
    tell(core, append(1, 0, 0, (1, 1, 1), commit=3))
    tell(core, append(1, 0, 0, (1,), commit=1))
    tell(core, Message(Kind.COMMIT, "b", "a", 1, 1, commit=1))
    assert core.log.commit == 3


def test_a_committed_entry_is_never_replaced() -> None:
    core = server()
    tell(core, append(1, 0, 0, (1, 1), commit=2))
    (answer,) = tell(core, append(2, 0, 0, (2, 2), sender="c"))
    assert (answer.index, answer.reject) == (2, False)  # says what it has committed, and takes nothing
    assert log_of(core) == [1, 1]
    with pytest.raises(LogBroken):
        core.log.merge(1, entries((3,), 2))


def test_two_leaders_in_a_term_stop_the_node() -> None:
    core = win(server())
    with pytest.raises(LogBroken):
        core.step(append(core.term, 0, 0))


def test_a_lost_append_is_found_by_the_next_heartbeat() -> None:
    rig = Rig(*(server(name) for name in "abc"))
    leader = rig.lead("a")
    rig.cut = {"b"}
    leader.propose(b"x")
    rig.settle()
    rig.cut = set()
    rig.tick(2, "a")
    assert rig["b"].log.commit == 2


def test_a_lost_answer_is_found_by_the_next_heartbeat() -> None:
    core = win(server())
    acknowledge(core, "b", 1)
    core.propose(b"x")
    drive(core)
    sent = tell(core, Message(Kind.HEARTBEAT_REPLY, "b", "a", core.term))
    assert [(m.index, m.entries) for m in of_kind(sent, Kind.APPEND)] == [(2, ())]
    acknowledge(core, "b", 2)
    assert core.log.commit == 2


def test_duplicated_answers_set_off_no_further_messages() -> None:
    core = win(server(settings=RaftSettings(max_append_bytes=1)))
    acknowledge(core, "b", 1)
    for _ in range(6):
        core.propose(b"x")
    drive(core)
    core.unreachable("b")
    first = tell(core, Message(Kind.HEARTBEAT_REPLY, "b", "a", core.term))
    assert len(of_kind(first, Kind.APPEND)) == 1
    storm = [m for _ in range(20) for m in acknowledge(core, "b", 1)]
    assert of_kind(storm, Kind.APPEND) == []


def test_duplicated_refusals_set_off_one_append() -> None:
    core = win(server(log=(1, 1, 1, 1)))
    refusal = Message(Kind.APPEND_REPLY, "b", "a", core.term, 4, 0, reject=True, hint=0)
    storm = [m for _ in range(20) for m in tell(core, refusal)]
    assert len(of_kind(storm, Kind.APPEND)) == 1


def test_an_idle_leader_sends_heartbeats_only() -> None:
    core = win(server())
    for other in "bc":
        acknowledge(core, other, 1)
    drive(core)
    sent = tick(core, 3)
    assert {m.kind for m in sent} == {Kind.HEARTBEAT}
    assert len(sent) == 6
