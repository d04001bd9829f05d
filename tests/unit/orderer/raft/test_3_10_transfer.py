"""Leadership transfer: the thesis's section 3.10."""

from __future__ import annotations

import pytest

from services.orderer.raft.errors import MembershipRefused, NotLeader, ProposalDropped
from services.orderer.raft.messages import Kind, Message
from tests.unit.orderer.raft.rig import Rig, acknowledge, append, drive, of_kind, server, tell, tick, win


def led() -> Rig:
    rig = Rig(*(server(name) for name in "abc"))
    rig.lead("a")
    return rig


def test_a_follower_with_the_whole_log_takes_over_at_once() -> None:
    rig = led()
    rig["a"].transfer("b")
    rig.settle()  # no tick: nobody waits for a timeout, and those who hear the leader still vote
    assert (rig["b"].is_leader, rig["b"].term, rig["a"].leader, rig["c"].leader) == (True, 2, "b", "b")


def test_a_follower_that_lags_is_brought_up_to_date_first() -> None:
    core = win(server())
    acknowledge(core, "c", 1)
    core.transfer("b")
    assert of_kind(drive(core), Kind.TIMEOUT_NOW) == []
    assert [m.to for m in of_kind(acknowledge(core, "b", 1), Kind.TIMEOUT_NOW)] == ["b"]


def test_proposals_wait_for_the_new_leader() -> None:
    rig = led()
    rig.cut = {"b"}
    rig["a"].transfer("b")
    with pytest.raises(ProposalDropped) as caught:
        rig["a"].propose(b"x")
    assert caught.value.details["outcome"] == "lost"


def test_a_transfer_that_fails_is_given_up_after_an_election_timeout() -> None:
    rig = led()
    rig["a"].transfer("b")
    rig.cut = {"b"}
    rig.settle()
    rig.tick(10, "a", "c")
    assert (rig["a"].is_leader, rig["a"].transferee) == (True, None)
    rig["a"].propose(b"x")
    rig.settle()
    assert rig["a"].log.commit == 2


def test_only_to_a_voter_and_only_by_the_leader() -> None:
    rig = led()
    with pytest.raises(MembershipRefused):
        rig["a"].transfer("x")
    with pytest.raises(NotLeader):
        rig["b"].transfer("c")


def test_to_itself_is_nothing() -> None:
    rig = led()
    rig["a"].transfer("a")
    rig["a"].propose(b"x")


def test_only_the_leader_is_obeyed() -> None:
    core = server()
    tell(core, append(1, 0, 0))
    assert tell(core, Message(Kind.TIMEOUT_NOW, "c", "a", 1)) == []
    assert core.term == 1


def test_without_the_word_of_a_transfer_who_hears_the_leader_does_not_vote() -> None:
    core = server()
    tell(core, append(1, 0, 0))
    assert tell(core, Message(Kind.VOTE, "c", "a", 2)) == []
    (answer,) = tell(core, Message(Kind.VOTE, "c", "a", 2, transfer=True))
    assert not answer.reject


def test_a_transfer_does_not_put_safety_aside() -> None:
    core = server()
    tell(core, append(1, 0, 0, (1, 1)))
    (answer,) = tell(core, Message(Kind.VOTE, "c", "a", 2, 1, 1, transfer=True))
    assert answer.reject


def test_the_old_leaders_ticks_go_on_meanwhile() -> None:
    core = win(server())
    core.transfer("b")
    assert of_kind(tick(core, 1), Kind.HEARTBEAT)
