"""A leader that has lost its majority steps down: the thesis's section 6.2."""

from __future__ import annotations

from services.orderer.raft.interface import Role
from services.orderer.raft.messages import Kind, Message
from tests.unit.orderer.raft.rig import drive, server, tick, win

FIVE = ("a", "b", "c", "d", "e")


def hear(core_voters: tuple[str, ...], heard: str, rounds: int = 5, learners: tuple[str, ...] = ()) -> bool:
    """Whether a leader that these answer leads on."""
    core = win(server(voters=core_voters, learners=learners))
    for _ in range(rounds * 10):
        tick(core, 1)
        for other in heard:
            core.step(Message(Kind.HEARTBEAT_REPLY, other, "a", core.term))
        drive(core)
    return core.is_leader


def test_with_a_majority_it_leads_on() -> None:
    assert hear(FIVE, "bc")
    assert hear(("a", "b", "c"), "b")
    assert hear(("a",), "")


def test_without_one_it_steps_down_within_two_election_timeouts() -> None:
    assert not hear(FIVE, "b", rounds=2)
    assert not hear(("a", "b", "c"), "", rounds=2)
    assert not hear(("a", "b"), "", rounds=2)


def test_learners_do_not_count() -> None:
    assert not hear(("a", "b", "c"), "xy", learners=("x", "y"))


def test_it_steps_down_within_its_term_and_names_no_leader() -> None:
    core = win(server())
    tick(core, 20)
    assert (core.role, core.leader, core.term, core.vote) == (Role.FOLLOWER, None, 1, "a")


def test_any_answer_counts_as_hearing() -> None:
    core = win(server())
    for _ in range(5):
        tick(core, 9)
        core.step(Message(Kind.APPEND_REPLY, "b", "a", core.term, 0, reject=True))
        tick(core, 1)
    assert core.is_leader


def test_what_was_heard_long_ago_does_not_count() -> None:
    core = win(server())
    core.step(Message(Kind.HEARTBEAT_REPLY, "b", "a", core.term))
    tick(core, 10)
    assert core.is_leader
    tick(core, 10)
    assert not core.is_leader
