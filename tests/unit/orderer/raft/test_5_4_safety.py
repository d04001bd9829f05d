"""Safety: the paper's section 5.4, with figure 8."""

from __future__ import annotations

import pytest

from services.orderer.raft.messages import Kind, Message
from tests.unit.orderer.raft.rig import Rig, acknowledge, append, log_of, server, tell, win

FIVE = ("s1", "s2", "s3", "s4", "s5")


@pytest.mark.parametrize("kind", [Kind.VOTE, Kind.PRE_VOTE])
@pytest.mark.parametrize(
    ("own", "index", "term", "granted"),
    [
        ((), 0, 0, True),
        ((1, 1), 2, 1, True),
        ((1, 1), 3, 1, True),
        ((1, 1), 1, 1, False),  # shorter
        ((1, 1), 1, 2, True),  # shorter, of a later term
        ((1, 2), 9, 1, False),  # longer, of an earlier term
        ((1, 2), 2, 2, True),
        ((1,), 0, 0, False),
    ],
)
def test_a_vote_goes_only_to_a_log_as_up_to_date(
    kind: Kind, own: tuple[int, ...], index: int, term: int, granted: bool
) -> None:
    (answer,) = tell(server(log=own), Message(kind, "b", "a", 3, index, term))
    assert answer.reject is not granted


def test_figure_8_an_entry_of_a_former_term_is_not_committed_by_counting() -> None:
    # (c): S1 leads term 4; its entry of term 2 is on S1, S2, S3, a majority, and must not be committed by that.
    leader = win(server("s1", FIVE, (1, 2), term=3), "s2", "s3")
    assert leader.term == 4
    acknowledge(leader, "s2", 2)
    acknowledge(leader, "s3", 2)
    assert leader.log.commit == 0
    # (e): an entry of term 4 on a majority commits all before it.
    acknowledge(leader, "s2", 3)
    assert leader.log.commit == 0
    acknowledge(leader, "s3", 3)
    assert leader.log.commit == 3


def test_figure_8_d_the_entry_may_be_overwritten() -> None:
    # S5 has an entry of term 3 at index 2 and may still win with S2, S3, S4 (none holds term 4): its log prevails.
    logs = {"s1": (1, 2), "s2": (1, 2), "s3": (1, 2), "s4": (1,), "s5": (1, 3)}
    rig = Rig(*(server(name, FIVE, log, term=4) for name, log in logs.items()))
    rig.cut = {"s1"}
    rig.lead("s5")
    rig.tick(3, "s5")
    rig.cut = set()
    rig.tick(3, "s5")
    assert all(log_of(core) == [1, 3, 5] for core in rig.cores.values())


def test_figure_8_e_who_lacks_the_committed_entry_cannot_win() -> None:
    logs = {"s1": (1, 2, 4), "s2": (1, 2, 4), "s3": (1, 2, 4), "s4": (1,), "s5": (1, 3)}
    rig = Rig(*(server(name, FIVE, log, term=4) for name, log in logs.items()))
    rig.cut = {"s1"}
    rig["s5"].campaign()
    rig.settle()
    assert not rig["s5"].is_leader


def test_a_new_leader_commits_what_went_before_by_its_own_empty_entry() -> None:
    rig = Rig(*(server(name, log=(1, 1), term=1) for name in "abc"))
    rig.lead("a")
    assert [(core.log.commit, log_of(core)) for core in rig.cores.values()] == [(3, [1, 1, 2])] * 3


def test_a_leader_restarts_as_a_follower_with_its_log() -> None:
    core = server(log=(1, 1, 1), term=4, vote="a", commit=2)
    assert (core.is_leader, core.term, core.vote, core.log.commit) == (False, 4, "a", 2)
    assert [e.index for e in core.next_committed()] == [1, 2]


def test_what_was_truncated_while_being_saved_does_not_count_as_durable() -> None:
    core = server()
    core.step(append(1, 0, 0, (1, 1, 1)))
    first = core.ready()
    core.step(append(2, 1, 1, (2,), sender="c"))
    second = core.ready()
    core.advance(first)
    assert core.log.stable == 1
    core.advance(second)
    assert (core.log.stable, log_of(core)) == (2, [1, 2])


def test_an_acknowledgement_owed_to_a_former_leader_is_not_merged_with_the_next_ones() -> None:
    core = server()
    core.step(append(1, 0, 0, (1, 1, 1)))
    core.step(append(2, 1, 1, (2,), sender="c"))
    ready = core.ready()
    core.advance(ready)
    answers = {(m.to, m.term): m.index for m in ready.after_save if m.kind is Kind.APPEND_REPLY}
    assert answers[("c", 2)] == 2
