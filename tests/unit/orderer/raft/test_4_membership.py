"""Membership changes, one server at a time: the thesis's chapter 4 (the paper's section 6 by its simpler way)."""

from __future__ import annotations

import pytest

from services.orderer.raft.errors import MembershipRefused
from services.orderer.raft.interface import ChangeKind, Membership, MembershipChange, RaftSettings, Role
from services.orderer.raft.messages import Entry, EntryKind, Kind, Message, pack_membership
from tests.unit.orderer.raft.rig import Rig, acknowledge, append, drive, of_kind, server, tell, tick, win

ADD_D = MembershipChange(ChangeKind.ADD_VOTER, "d")
LEARN_D = MembershipChange(ChangeKind.ADD_LEARNER, "d")
REMOVE_A = MembershipChange(ChangeKind.REMOVE, "a")
REMOVE_C = MembershipChange(ChangeKind.REMOVE, "c")


def membership_entry(index: int, term: int, *voters: str) -> Entry:
    return Entry(index, term, EntryKind.MEMBERSHIP, pack_membership(Membership(frozenset(voters))))


def leader(*voters: str) -> Rig:
    names = voters or ("a", "b", "c")
    rig = Rig(*(server(name, names) for name in names), server("d", names))
    rig.lead("a")
    return rig


def test_a_change_holds_as_soon_as_it_is_in_the_log() -> None:
    core = win(server())
    for other in "bc":
        acknowledge(core, other, 1)
    core.propose_membership(ADD_D)
    assert (core.membership.voters, core.quorum) == (frozenset("abcd"), 3)
    acknowledge(core, "b", 2)
    assert core.log.commit == 1  # two of four are no majority
    acknowledge(core, "d", 2)
    assert core.log.commit == 2


def test_one_change_at_a_time() -> None:
    rig = leader()
    rig.cut = {"b", "c"}
    rig["a"].propose_membership(ADD_D)
    with pytest.raises(MembershipRefused, match="another"):
        rig["a"].propose_membership(REMOVE_C)
    rig.cut = set()
    rig.tick(2)
    rig["a"].propose_membership(REMOVE_C)
    rig.settle()
    assert rig["a"].membership.voters == frozenset("abd")


def test_no_change_before_an_entry_of_the_leaders_term_is_committed() -> None:
    core = win(server())  # raft-dev, July 2015: else two leaders' changes could have majorities that do not overlap
    with pytest.raises(MembershipRefused, match="its term"):
        core.propose_membership(ADD_D)
    acknowledge(core, "b", 1)
    core.propose_membership(ADD_D)


@pytest.mark.parametrize(
    ("voters", "learners", "change"),
    [
        ("abc", "", MembershipChange(ChangeKind.ADD_VOTER, "b")),
        ("abc", "", MembershipChange(ChangeKind.REMOVE, "x")),
        ("abc", "", MembershipChange(ChangeKind.ADD_LEARNER, "b")),
        ("abc", "d", LEARN_D),
        ("a", "", REMOVE_A),
    ],
)
def test_changes_that_make_no_sense_are_refused(voters: str, learners: str, change: MembershipChange) -> None:
    core = server(voters=tuple(voters), learners=tuple(learners))
    core.campaign()
    tell(core, Message(Kind.PRE_VOTE_REPLY, "b", "a", 1))
    tell(core, Message(Kind.VOTE_REPLY, "b", "a", 1))
    acknowledge(core, "b", 1)
    with pytest.raises(MembershipRefused):
        core.propose_membership(change)


def test_truncation_brings_the_membership_before_back() -> None:
    core = server()
    change = membership_entry(2, 1, "a", "b", "c", "d")
    tell(core, Message(Kind.APPEND, "b", "a", 1, 0, 0, entries=(*append(1, 0, 0, (1,)).entries, change)))
    assert core.membership.voters == frozenset("abcd")
    tell(core, append(2, 1, 1, (2,), sender="c"))
    assert core.membership.voters == frozenset("abc")


def test_a_restart_finds_the_membership_in_the_log() -> None:
    first = server()
    tell(first, Message(Kind.APPEND, "b", "a", 1, 0, 0, entries=(membership_entry(1, 1, "a", "b"),)))
    again = type(first.log)(Membership(frozenset("abc")), entries=first.log.slice(1, 1, 1))
    assert again.membership.voters == frozenset("ab")


def test_a_learner_gets_the_log_and_neither_counts_nor_stands() -> None:
    rig = leader()
    rig["a"].propose_membership(LEARN_D)
    rig.settle()
    assert rig["d"].log.commit == 2
    rig.cut = {"b", "c"}
    rig["a"].propose(b"x")
    rig.settle()
    assert (rig["d"].log.last_index, rig["a"].log.commit) == (3, 2)
    rig.cut = {"a", "b", "c"}
    assert of_kind(tick(rig["d"], 40), Kind.PRE_VOTE, Kind.VOTE) == []


def test_a_learner_that_caught_up_is_promoted() -> None:
    rig = leader()
    for change in (LEARN_D, ADD_D):
        rig["a"].propose_membership(change)
        rig.settle()
    assert rig["d"].membership == Membership(frozenset("abcd"))
    rig.cut = {"c"}
    rig["a"].propose(b"x")
    rig.settle()
    assert rig["a"].log.commit == 4  # a, b, d


def test_a_new_server_without_a_log_votes_for_who_asks_first() -> None:
    core = server("d")  # it is in no membership that it knows; the others may need its vote (thesis 4.2.1)
    (answer,) = tell(core, Message(Kind.VOTE, "a", "d", 5, 3, 2))
    assert not answer.reject


@pytest.mark.parametrize(
    "kind", [Kind.PRE_VOTE_REPLY, Kind.VOTE_REPLY, Kind.APPEND_REPLY, Kind.HEARTBEAT_REPLY], ids=lambda kind: kind.name
)
def test_a_reply_of_a_server_that_is_no_member_is_ignored(kind: Kind) -> None:
    core = win(server())
    assert tell(core, Message(kind, "x", "a", 9, reject=True)) == []
    assert (core.is_leader, core.term) == (True, 1)
    tell(core, Message(kind, "b", "a", 9, reject=True))
    assert (core.is_leader, core.term) == (False, 9)


def test_an_append_of_an_unknown_leader_is_answered() -> None:
    core = server()  # it may lead by a membership that this server does not have yet (thesis 4.1)
    (answer,) = of_kind(tell(core, append(5, 0, 0, (5,), sender="x")), Kind.APPEND_REPLY)
    assert (answer.to, answer.reject, core.leader) == ("x", False, "x")


def test_a_removed_follower_hears_of_it_no_more_and_disturbs_nobody() -> None:
    rig = leader()
    rig["a"].propose_membership(REMOVE_C)
    rig.settle()
    assert "c" not in rig["a"].progress
    term = rig["a"].term
    rig.tick(60)  # c knows no better and asks for votes; nobody who hears the leader listens (thesis 4.2.3)
    assert (rig["a"].is_leader, rig["a"].term, rig["b"].term) == (True, term, term)


def test_a_removed_leader_leads_until_that_is_committed_and_does_not_count_itself() -> None:
    core = win(server())
    for other in "bc":
        acknowledge(core, other, 1)
    core.propose_membership(REMOVE_A)
    acknowledge(core, "b", 2)
    assert (core.is_leader, core.log.commit) == (True, 1)  # a and b would be two of three
    sent = acknowledge(core, "c", 2)
    assert (core.role, core.log.commit) == (Role.FOLLOWER, 2)
    assert of_kind(sent, Kind.TIMEOUT_NOW)


def test_when_the_leader_is_removed_another_takes_over_without_waiting() -> None:
    rig = leader()
    rig["a"].propose_membership(REMOVE_A)
    rig.settle()
    assert [rig[name].is_leader for name in "abc"].count(True) == 1
    assert not rig["a"].is_leader
    assert rig["b"].membership.voters == frozenset("bc")


def test_who_is_removed_but_not_by_a_committed_entry_still_stands() -> None:
    # Thesis 4.2.2, figure 4.6: a holds the uncommitted entry that removes it; b, the other voter, has a shorter log and
    # so cannot win without a's vote. Only a can lead, does not count itself, and leaves when the entry is committed.
    rig = Rig(server("a", ("a", "b")), server("b", ("a", "b")))
    rig.lead("a")
    rig.cut = {"b"}
    rig["a"].propose_membership(REMOVE_A)
    rig.tick(30, "a")
    assert not rig["a"].is_leader
    rig.cut = set()
    rig.tick(60)
    assert rig["b"].is_leader
    assert rig["b"].membership.voters == frozenset("b")
    assert of_kind(tick(rig["a"], 60), Kind.PRE_VOTE, Kind.VOTE) == []


def test_the_last_two_become_one() -> None:
    rig = Rig(server("a", ("a", "b")), server("b", ("a", "b")))
    rig.lead("a")
    rig["a"].propose_membership(MembershipChange(ChangeKind.REMOVE, "b"))
    rig.settle()
    rig.cut = {"b"}
    rig["a"].propose(b"x")
    rig.settle()
    assert (rig["a"].is_leader, rig["a"].log.commit) == (True, 3)


def test_a_group_grows_from_one() -> None:
    rig = Rig(*(server(name, ("a",)) for name in "abc"))
    rig.lead("a")
    for name in "bc":
        rig["a"].propose_membership(MembershipChange(ChangeKind.ADD_VOTER, name))
        rig.settle()
    rig.cut = {"a"}
    rig.tick(60, "b", "c")
    assert any(rig[name].is_leader for name in "bc")


def test_feeding_follows_the_membership_in_force() -> None:
    core = win(server(settings=RaftSettings(trailing_entries=0)))
    acknowledge(core, "b", 1)
    core.propose_membership(ADD_D)
    assert set(core.progress) == set("bcd")
    for other in "bcd":
        acknowledge(core, other, 2)
    core.propose_membership(REMOVE_C)
    drive(core)
    assert set(core.progress) == set("bd")
    assert acknowledge(core, "c", 3) == []  # late words of who left are not heard
