"""Leader election: the paper's section 5.2."""

from __future__ import annotations

import random

import pytest

from services.orderer.raft.errors import LogBroken
from services.orderer.raft.interface import Role
from services.orderer.raft.messages import MAX_NUMBER, HardState, Kind, Message
from tests.unit.orderer.raft.rig import Rig, append, drive, of_kind, server, tell, tick, win

FIVE = ("a", "b", "c", "d", "e")


def test_a_server_starts_as_a_follower_and_waits() -> None:
    core = server()
    assert tick(core, 9) == []
    assert (core.role, core.term, core.leader) == (Role.FOLLOWER, 0, None)


def test_without_a_leader_it_campaigns_within_twice_the_timeout() -> None:
    core = server()
    assert {m.to for m in of_kind(tick(core, 19), Kind.PRE_VOTE)} == {"b", "c"}


def test_timeouts_are_drawn_anew_from_the_whole_range() -> None:
    core = server()
    core._random = random.Random(1)
    seen = set()
    for _ in range(500):
        core._draw_timeout()
        seen.add(core._election_timeout)
    assert seen == set(range(10, 20))


def test_a_candidate_raises_its_term_votes_for_itself_and_asks_all_others() -> None:
    core = server(voters=FIVE, log=(1, 1, 2))
    core.campaign()
    drive(core)
    sent = [m for other in "bc" for m in tell(core, Message(Kind.PRE_VOTE_REPLY, other, "a", 3))]
    assert (core.role, core.term, core.vote) == (Role.CANDIDATE, 3, "a")
    assert {(m.to, m.term, m.index, m.log_term) for m in of_kind(sent, Kind.VOTE)} == {(n, 3, 3, 2) for n in "bcde"}


@pytest.mark.parametrize(("voters", "needed"), [("a", 0), ("ab", 1), ("abc", 1), ("abcd", 2), ("abcde", 2)])
def test_a_majority_elects(voters: str, needed: int) -> None:
    core = server(voters=tuple(voters))
    core.campaign()
    drive(core)
    for other in voters[1:]:
        tell(core, Message(Kind.PRE_VOTE_REPLY, other, "a", 1))
    for count, other in enumerate(voters[1:], 1):
        assert core.is_leader == (count > needed)
        tell(core, Message(Kind.VOTE_REPLY, other, "a", 1))
    assert core.is_leader


def test_a_vote_counts_once_and_only_from_voters() -> None:
    core = server(voters=FIVE)
    core.campaign()
    for other in "bc":
        tell(core, Message(Kind.PRE_VOTE_REPLY, other, "a", 1))
    for sender in ("b", "b", "x", "y"):
        tell(core, Message(Kind.VOTE_REPLY, sender, "a", 1))
    assert core.role is Role.CANDIDATE


def test_votes_of_a_former_term_do_not_count() -> None:
    core = server(term=4)
    core.campaign()
    tell(core, Message(Kind.PRE_VOTE_REPLY, "b", "a", 5))
    tell(core, Message(Kind.VOTE_REPLY, "b", "a", 4))
    assert (core.role, core.term) == (Role.CANDIDATE, 5)


def test_a_refusing_majority_ends_the_campaign() -> None:
    core = server()
    core.campaign()
    tell(core, Message(Kind.PRE_VOTE_REPLY, "b", "a", 1))
    for other in "bc":
        tell(core, Message(Kind.VOTE_REPLY, other, "a", 1, reject=True))
    assert core.role is Role.FOLLOWER


def test_one_vote_a_term_first_come_first_served() -> None:
    core = server()
    (granted,) = tell(core, Message(Kind.VOTE, "b", "a", 1))
    (refused,) = tell(core, Message(Kind.VOTE, "c", "a", 1))
    (again,) = tell(core, Message(Kind.VOTE, "b", "a", 1))
    assert (granted.reject, refused.reject, again.reject) == (False, True, False)


def test_a_vote_survives_a_restart() -> None:
    core = server()
    core.step(Message(Kind.VOTE, "b", "a", 1))
    ready = core.ready()
    assert ready.hard_state is not None
    restarted = server(term=ready.hard_state.term, vote=ready.hard_state.vote)
    (refused,) = tell(restarted, Message(Kind.VOTE, "c", "a", 1))
    assert refused.reject


def test_a_vote_is_given_only_when_it_is_durable() -> None:
    core = server()
    core.step(Message(Kind.VOTE, "b", "a", 1))
    ready = core.ready()
    assert ready.save
    assert ready.messages == []
    assert [m.kind for m in ready.after_save] == [Kind.VOTE_REPLY]


def test_a_vote_in_a_term_that_is_known_is_made_durable_too() -> None:
    core = server(term=1)
    core.step(Message(Kind.VOTE, "b", "a", 1))
    ready = core.ready()
    assert ready.hard_state == HardState(1, "b", 0)
    assert ready.messages == []
    assert [m.kind for m in ready.after_save] == [Kind.VOTE_REPLY]


def test_a_candidate_asks_and_counts_itself_only_when_its_vote_is_durable() -> None:
    core = server()
    core.campaign()
    core.ready()
    core.step(Message(Kind.PRE_VOTE_REPLY, "b", "a", 1))
    ready = core.ready()
    assert not of_kind(ready.messages, Kind.VOTE)
    assert len(of_kind(ready.after_save, Kind.VOTE)) == 2
    core.step(Message(Kind.VOTE_REPLY, "b", "a", 1))
    assert core.role is Role.CANDIDATE
    core.advance(ready)
    assert core.is_leader


def test_a_vote_saved_too_late_does_not_count_in_the_next_term() -> None:
    core = server(voters=FIVE)
    core.campaign()
    for other in "bc":
        core.step(Message(Kind.PRE_VOTE_REPLY, other, "a", 1))
    ready = core.ready()
    core.step(Message(Kind.APPEND_REPLY, "b", "a", 2, reject=True))
    core.advance(ready)
    assert (core.role, core.term, core.vote) == (Role.FOLLOWER, 2, None)


@pytest.mark.parametrize("role", ["candidate", "leader"])
def test_a_newer_term_makes_a_follower(role: str) -> None:
    core = server()
    if role == "leader":
        win(core)
    else:
        core.campaign()
        tell(core, Message(Kind.PRE_VOTE_REPLY, "b", "a", 1))
    tell(core, append(9, 0, 0))
    assert (core.role, core.term, core.leader, core.vote) == (Role.FOLLOWER, 9, "b", None)


def test_a_candidate_yields_to_the_leader_of_its_term() -> None:
    core = server()
    core.campaign()
    tell(core, Message(Kind.PRE_VOTE_REPLY, "b", "a", 1))
    tell(core, append(1, 0, 0))
    assert (core.role, core.leader, core.vote) == (Role.FOLLOWER, "b", "a")


@pytest.mark.parametrize("kind", [Kind.APPEND, Kind.HEARTBEAT, Kind.COMMIT])
def test_a_leader_of_a_former_term_is_told_so(kind: Kind) -> None:
    core = server(term=5)
    (answer,) = tell(core, Message(kind, "b", "a", 4, commit=7))
    assert (answer.kind, answer.term, answer.reject) == (Kind.APPEND_REPLY, 5, True)
    assert (core.leader, core.log.commit) == (None, 0)


def test_a_candidate_of_a_former_term_is_told_so() -> None:
    (answer,) = tell(server(term=5), Message(Kind.VOTE, "b", "a", 4))
    assert (answer.kind, answer.term, answer.reject) == (Kind.VOTE_REPLY, 5, True)


def test_a_split_vote_is_resolved_by_the_next_timeout() -> None:
    rig = Rig(*(server(name, tuple("abcd")) for name in "abcd"))
    for name in "ab":
        rig[name].campaign()
    rig.settle()
    rig.tick(40)
    leaders = [core for core in rig.cores.values() if core.is_leader]
    assert len(leaders) == 1
    assert {core.leader for core in rig.cores.values()} == {leaders[0].node_id}


def test_a_leader_says_so_at_once_and_keeps_the_others_from_campaigning() -> None:
    rig = Rig(*(server(name) for name in "abc"))
    rig.lead("a")
    assert {core.leader for core in rig.cores.values()} == {"a"}
    rig.tick(100)
    assert (rig["a"].is_leader, rig["a"].term) == (True, 1)


def test_a_message_for_another_server_is_not_taken() -> None:
    core = server()
    assert tell(core, Message(Kind.APPEND, "b", "z", 9)) == []
    assert core.term == 0


def test_a_group_whose_terms_are_used_up_says_so() -> None:
    core = server(term=MAX_NUMBER - 2)
    tick(core, 20)
    assert core.role is Role.PRE_CANDIDATE
    core = server(term=MAX_NUMBER - 1)
    with pytest.raises(LogBroken, match="the last that there is"):
        tick(core, 20)
