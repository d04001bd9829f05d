"""Which step brings Raft's members nearer to the configuration's orderers."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gridledger.incarnation import node_of
from services.orderer.errors import OrderersChanging
from services.orderer.membership_steps import (
    CLOSE_ENTRIES,
    MOST_ROUNDS,
    Rounds,
    Situation,
    Step,
    StepKind,
    check_change,
    has_followed,
    next_step,
    waits_for,
)
from services.orderer.raft.core import changed_membership
from services.orderer.raft.interface import ChangeKind, Membership, MembershipChange

ADD, PROMOTE, HAND_OVER, REMOVE = StepKind.ADD_LEARNER, StepKind.PROMOTE, StepKind.HAND_OVER, StepKind.REMOVE
CHANGES = {ADD: ChangeKind.ADD_LEARNER, PROMOTE: ChangeKind.ADD_VOTER, REMOVE: ChangeKind.REMOVE}


def situation(
    wanted: str,
    voters: str,
    learners: str = "",
    *,
    leader: str = "a",
    silent: str = "",
    caught_up: str = "",
    asks: str = "",
) -> Situation:
    """Orderers of one letter each; ``asks`` are those that have announced themselves."""
    members = Membership(frozenset(voters), frozenset(learners))
    return Situation(
        wanted=frozenset(wanted),
        membership=members,
        leader=leader,
        live=members.everyone - set(silent),
        caught_up=frozenset(caught_up),
        match={name: 100 - number for number, name in enumerate(sorted(members.everyone))},
        announced={name: name for name in asks},
    )


@pytest.mark.parametrize(
    ("given_situation", "step"),
    [
        (situation("abc", "abc"), None),
        (situation("abcd", "abc"), None),  # d has not announced itself
        (situation("abcd", "abc", asks="d"), Step(ADD, "d")),
        (situation("abcd", "abc", "d", asks="d"), None),
        (situation("abcd", "abc", "d", caught_up="d"), Step(PROMOTE, "d")),
        (situation("abcd", "abc", "d", caught_up="d", silent="d"), None),
        (situation("abc", "abc", asks="e"), None),  # nobody wants e
        (situation("ab", "abc"), Step(REMOVE, "c")),
        (situation("ab", "abc", silent="c"), Step(REMOVE, "c")),
        (situation("ab", "abc", silent="b"), None),  # a alone would be no majority of two
        (situation("abc", "abc", "e"), Step(REMOVE, "e")),
        # Additions before removals, however long they take.
        (situation("abd", "abc"), None),
        (situation("abd", "abc", asks="d"), Step(ADD, "d")),
        (situation("abd", "abc", "d"), None),
        (situation("abd", "abc", "d", caught_up="d"), Step(PROMOTE, "d")),
        (situation("abd", "abcd"), Step(REMOVE, "c")),
        # A leader that is to go hands over first, and removes nobody by itself.
        (situation("bcd", "abc"), Step(HAND_OVER, "b")),
        (situation("bcd", "abc", silent="b"), Step(HAND_OVER, "c")),
        (situation("bc", "abc", silent="bc"), None),
        (situation("bc", "abc", leader="c"), Step(REMOVE, "a")),
        (situation("b", "abce", silent="b"), Step(REMOVE, "c")),
        (situation("b", "a", asks="b"), Step(ADD, "b")),
        (situation("b", "ab"), Step(HAND_OVER, "b")),
        (situation("b", "ab", leader="b"), Step(REMOVE, "a")),
    ],
)
def test_the_next_step(given_situation: Situation, step: Step | None) -> None:
    assert next_step(given_situation) == step


def test_an_incarnation_is_another_name_for_an_orderer() -> None:
    now = replace(situation("abc", "ab"), announced={"c": "c#1"})
    assert next_step(now) == Step(ADD, "c#1")
    joined = replace(now, membership=Membership(frozenset(("a", "b", "c#1"))))
    assert next_step(joined) is None
    assert has_followed("abc", joined.membership)


@pytest.mark.parametrize(
    ("given_situation", "what"),
    [
        (situation("abc", "abc"), ""),
        (situation("abd", "abc"), "d has not announced itself"),
        (situation("abd", "abc", "d"), "d catches up"),
        (situation("abd", "abc", "d", caught_up="d", silent="d"), "d is not heard"),
        (situation("ab", "abc", silent="b"), "too few of the other voters are heard to remove c"),
    ],
)
def test_what_is_waited_for_is_told(given_situation: Situation, what: str) -> None:
    assert waits_for(given_situation) == what


NAMES = st.sets(st.sampled_from("abcdefg"), min_size=1)


@given(wanted=NAMES, voters=NAMES, learners=NAMES, incarnations=st.booleans(), data=st.data())
def test_steps_that_succeed_lead_to_the_configuration(
    wanted: set[str], voters: set[str], learners: set[str], incarnations: bool, data: st.DataObject
) -> None:
    def life(name: str) -> str:
        return f"{name}#1" if incarnations else name

    members = Membership(frozenset(map(life, voters)), frozenset(map(life, learners - voters)))
    leader = data.draw(st.sampled_from(sorted(members.voters)))
    for _ in range(30):
        now = Situation(
            wanted=frozenset(wanted),
            membership=members,
            leader=leader,
            live=members.everyone,
            caught_up=members.learners,
            announced={name: life(name) for name in wanted},
        )
        step = next_step(now)
        if step is None:
            break
        assert waits_for(now) == "" or not has_followed(wanted, members)
        if step.kind is HAND_OVER:
            assert node_of(leader) not in wanted
            assert step.raft_id in members.voters
            assert node_of(step.raft_id) in wanted
            leader = step.raft_id
            continue
        after = changed_membership(members, MembershipChange(CHANGES[step.kind], step.raft_id))
        assert len(after.voters ^ members.voters) <= 1
        assert leader in after.voters
        if step.kind is REMOVE and step.raft_id in members.voters:
            assert not now.without_voter()
        members = after
    assert has_followed(wanted, members)


@given(wanted=NAMES, voters=NAMES, learners=NAMES, silent=NAMES, data=st.data())
def test_no_removal_leaves_too_few_that_are_heard(
    wanted: set[str], voters: set[str], learners: set[str], silent: set[str], data: st.DataObject
) -> None:
    leader = data.draw(st.sampled_from(sorted(voters)))
    names = ("".join(item) for item in (wanted, voters, learners - voters))
    now = situation(*names, leader=leader, silent="".join(silent - {leader}), asks="".join(wanted))
    step = next_step(now)
    if step is not None and step.kind is REMOVE and step.raft_id in voters:
        rest = voters - {step.raft_id}
        assert len(rest & now.live) > len(rest) / 2
        assert wanted <= voters


@pytest.mark.parametrize(
    ("now", "following", "voters", "learners", "allowed"),
    [
        ("abc", "abcd", "abc", "", True),
        ("abc", "abd", "abc", "", True),
        ("abcd", "abcd", "abc", "", True),  # another change than of orderers
        ("abcd", "abcde", "abc", "", False),
        ("abcd", "abcde", "abc", "d", False),
        ("abcd", "abce", "abc", "", False),
        ("abcd", "abc", "abc", "d", True),  # back: d never came
        ("abd", "abc", "abc", "", True),
        ("abd", "ab", "abc", "", False),
        ("ab", "abd", "abc", "", False),
    ],
)
def test_a_change_of_orderers_waits_for_the_one_before(
    now: str, following: str, voters: str, learners: str, *, allowed: bool
) -> None:
    members = Membership(frozenset(voters), frozenset(learners))
    if allowed:
        check_change(now, following, members)
    else:
        with pytest.raises(OrderersChanging, match="the last change of orderers is under way") as caught:
            check_change(now, following, members)
        assert caught.value.code == "ORDERERS_CHANGING"


def test_nobody_is_forgotten_that_still_votes() -> None:
    members = Membership(frozenset("abc"))
    with pytest.raises(OrderersChanging):
        check_change("ab", "ab", members, forgotten="c")
    check_change("ab", "ab", Membership(frozenset("ab")), forgotten="c")


def test_a_round_that_is_fast_ends_the_catch_up() -> None:
    rounds = Rounds(last_index=100, now_s=0.0)
    rounds.observe(50, 200, 1.0, 0.5)
    assert (rounds.number, rounds.caught_up(50, 50, 200), rounds.behind) == (1, False, 150)
    rounds.observe(100, 300, 2.0, 0.5)  # two seconds for the first 100
    assert (rounds.number, rounds.caught_up(100, 100, 300)) == (2, False)
    rounds.observe(300, 310, 2.4, 0.5)
    assert (rounds.number, rounds.caught_up(300, 300, 310)) == (2, True)


def test_a_learner_whose_blocks_are_still_to_come_waits() -> None:
    """It has the leader's snapshot at once, and the blocks that the snapshot stands for only when it fetched them."""
    rounds = Rounds(last_index=100, now_s=0.0)
    rounds.observe(100, 100, 0.1, 0.5)
    assert not rounds.caught_up(100, 99, 100)
    assert rounds.caught_up(100, 100, 100)


def test_rounds_that_are_never_fast_are_bounded() -> None:
    """Under more load than it can follow a learner is promoted when it is close."""
    rounds = Rounds(last_index=0, now_s=0.0)
    for number in range(MOST_ROUNDS):
        assert not rounds.caught_up(number * 1000, 1000, number * 1000)
        rounds.observe(number * 1000, (number + 1) * 1000, number * 1.0 + 0.9, 0.5)
    last = MOST_ROUNDS * 1000
    assert not rounds.caught_up(last - CLOSE_ENTRIES - 1, 1000, last)
    assert rounds.caught_up(last - CLOSE_ENTRIES, 1000, last)
