"""Pre-vote, so that who was away does not disturb: the thesis's section 9.6, with 4.2.3 (who hears a leader)."""

from __future__ import annotations

from services.orderer.raft.interface import Role
from services.orderer.raft.messages import Kind, Message
from tests.unit.orderer.raft.rig import Rig, append, drive, of_kind, server, tell, tick, win

FIVE = ("a", "b", "c", "d", "e")


def test_a_partitioned_server_keeps_its_term() -> None:
    core = server(term=3)
    tick(core, 200)
    assert (core.term, core.vote) == (3, None)


def test_asking_changes_nothing_durable() -> None:
    core = server(term=3)
    core.campaign()
    ready = core.ready()
    assert not ready.save
    assert {(m.kind, m.term) for m in ready.messages} == {(Kind.PRE_VOTE, 4)}


def test_granting_changes_neither_term_nor_vote() -> None:
    core = server(term=3)
    (answer,) = tell(core, Message(Kind.PRE_VOTE, "b", "a", 4))
    assert (answer.reject, answer.term) == (False, 4)
    assert (core.term, core.vote, core.role) == (3, None, Role.FOLLOWER)
    (other,) = tell(core, Message(Kind.PRE_VOTE, "c", "a", 4))
    assert not other.reject  # any number may be told so


def test_the_election_begins_with_a_majority_of_pre_votes() -> None:
    core = server(voters=FIVE, term=3)
    core.campaign()
    tell(core, Message(Kind.PRE_VOTE_REPLY, "b", "a", 4))
    assert (core.role, core.term) == (Role.PRE_CANDIDATE, 3)
    tell(core, Message(Kind.PRE_VOTE_REPLY, "c", "a", 4))
    assert (core.role, core.term) == (Role.CANDIDATE, 4)


def test_pre_votes_of_another_round_or_for_another_term_do_not_count() -> None:
    core = server(term=3)
    tell(core, Message(Kind.PRE_VOTE_REPLY, "b", "a", 4))
    assert core.role is Role.FOLLOWER
    core.campaign()
    tell(core, Message(Kind.PRE_VOTE_REPLY, "b", "a", 5))
    assert (core.role, core.term) == (Role.PRE_CANDIDATE, 3)


def test_pre_votes_are_no_votes() -> None:
    core = server(voters=FIVE, term=3)
    core.campaign()
    for other in "bcde":
        tell(core, Message(Kind.PRE_VOTE_REPLY, other, "a", 4))
    assert core.role is Role.CANDIDATE


def test_who_hears_a_leader_does_not_answer() -> None:
    core = server()
    tell(core, append(1, 0, 0))
    for kind in (Kind.PRE_VOTE, Kind.VOTE):
        assert tell(core, Message(kind, "c", "a", 7, 100, 6)) == []
    assert core.term == 1


def test_a_leader_with_its_majority_does_not_answer() -> None:
    core = win(server())
    assert of_kind(tell(core, Message(Kind.VOTE, "c", "a", 7, 100, 6)), Kind.VOTE_REPLY) == []
    assert core.is_leader


def test_after_an_election_timeout_without_a_leader_it_answers() -> None:
    core = server()
    tell(core, append(1, 0, 0))
    core._election_timeout = 19
    tick(core, 10)
    (answer,) = tell(core, Message(Kind.PRE_VOTE, "c", "a", 2))
    assert not answer.reject


def test_a_server_that_comes_back_does_not_depose_the_leader() -> None:
    rig = Rig(*(server(name) for name in "abc"))
    rig.lead("a")
    rig.cut = {"c"}
    rig["a"].propose(b"x")
    rig.tick(100)
    rig.cut = set()
    rig.tick(30)
    assert (rig["a"].is_leader, rig["a"].term, rig["c"].leader) == (True, 1, "a")
    assert rig["c"].log.commit == 2


def test_a_server_behind_in_terms_learns_the_term_from_the_refusal() -> None:
    voter = server("b", term=9)
    core = server(term=3)
    core.campaign()
    request = next(m for m in drive(core) if m.to == "b")
    (refusal,) = tell(voter, request)
    tell(core, refusal)
    assert (refusal.reject, core.term, core.role) == (True, 9, Role.FOLLOWER)


def test_a_server_with_a_newer_term_comes_back_under_a_leader_with_an_older_one() -> None:
    rig = Rig(server("a"), server("b"), server("c", term=7))
    rig.cut = {"c"}
    rig.lead("a")
    rig.cut = set()
    rig.tick(40)
    leaders = [core for core in rig.cores.values() if core.is_leader]
    assert len(leaders) == 1
    assert leaders[0].term > 7
    assert {core.leader for core in rig.cores.values()} == {leaders[0].node_id}


def test_a_group_of_one_leads_as_soon_as_its_vote_is_durable() -> None:
    core = server(voters=("a",))
    core.campaign()
    ready = core.ready()
    assert (ready.save, core.is_leader) == (True, False)
    core.advance(ready)
    assert core.is_leader
    drive(core)
    assert core.log.commit == 1


def test_of_two_that_ask_each_other_one_goes_first() -> None:
    rig = Rig(server(), server("b"), server("c"))
    rig.cut = {"c"}
    rig["a"].campaign()
    rig["b"].campaign()
    rig.settle()
    assert (rig["a"].is_leader, rig["a"].term, rig["b"].leader) == (True, 1, "a")  # and no vote was split


def test_of_two_that_ask_each_other_the_longer_log_wins() -> None:
    rig = Rig(server(log=(1,)), server("b", log=(1, 1)), server("c"))
    rig.cut = {"c"}
    rig["a"].campaign()
    rig["b"].campaign()
    rig.settle()
    assert (rig["b"].is_leader, rig["b"].term) == (True, 2)


def test_a_pre_vote_that_nobody_heard_is_asked_for_again_soon() -> None:
    core = server()
    tick(core, 19)
    assert core.role is Role.PRE_CANDIDATE
    asked = of_kind(tick(core, 10), Kind.PRE_VOTE)
    assert (len(asked), core.term) == (10, 0)  # two voters, every second heartbeat, and the term stays


def test_a_server_that_was_removed_asks_nobody_and_still_votes() -> None:
    core = server(term=3)
    core.quiet = True
    assert of_kind(tick(core, 200), Kind.PRE_VOTE, Kind.VOTE) == []
    (answer,) = tell(core, Message(Kind.VOTE, "b", "a", 4))
    assert not answer.reject
    core.quiet = False
    assert of_kind(tick(core, 200), Kind.PRE_VOTE)
