"""Which step brings Raft's members nearer to the orderers of a channel's configuration (pure).

One step at a time, each moving the set of voters by one at most: a learner is added, promoted once it has caught up,
leadership handed over, a voter removed. Nothing is remembered between steps but what Raft's log and the configuration
say, so whoever leads next goes on from there.
"""

from __future__ import annotations

import enum
from collections.abc import Collection, Mapping
from dataclasses import dataclass, field

from gridledger.incarnation import node_of
from services.orderer.errors import OrderersChanging
from services.orderer.raft.interface import Membership

MOST_ROUNDS = 10
CLOSE_ENTRIES = 20
"""After so many rounds a learner is promoted once it is this close to the leader's log."""


class StepKind(enum.Enum):
    """What a leader does to Raft's membership, in the words of its log."""

    ADD_LEARNER = "add as a learner"
    PROMOTE = "promote to a voter"
    HAND_OVER = "hand over to"
    REMOVE = "remove"


@dataclass(frozen=True, slots=True)
class Step:
    """One step, and the incarnation that it is about."""

    kind: StepKind
    raft_id: str

    def __str__(self) -> str:
        return f"{self.kind.value} {self.raft_id}"


@dataclass(frozen=True, slots=True)
class Situation:
    """What a leader knows. ``wanted`` are the names of the configuration's orderers; all others are incarnations.

    ``live`` are the members that were heard lately, the leader among them; ``caught_up`` the learners that may be
    promoted; ``match`` how much of the log each member has; ``announced`` who asks to join, by name.
    """

    wanted: frozenset[str]
    membership: Membership
    leader: str
    live: frozenset[str] = frozenset()
    caught_up: frozenset[str] = frozenset()
    match: Mapping[str, int] = field(default_factory=dict)
    announced: Mapping[str, str] = field(default_factory=dict)

    def without_voter(self) -> list[str]:
        """The orderers of the configuration none of whose incarnations votes."""
        return sorted(self.wanted - {node_of(voter) for voter in self.membership.voters})

    def unwanted(self, members: Collection[str]) -> list[str]:
        """Those of these members that the configuration does not name."""
        return sorted(member for member in members if node_of(member) not in self.wanted)


def next_step(situation: Situation) -> Step | None:
    """The step to make now; None where all is done, or where something must come to pass first.

    A leader that is to go hands over first: no gateway asks an orderer that the configuration does not name. Orderers
    are added before others are removed, and nobody is removed where those that are heard would be no majority.
    """
    membership = situation.membership
    if node_of(situation.leader) not in situation.wanted and (heir := _heir(situation)):
        return Step(StepKind.HAND_OVER, heir)
    for learner in situation.unwanted(membership.learners):
        return Step(StepKind.REMOVE, learner)
    for learner in sorted(membership.learners & situation.caught_up & situation.live):
        return Step(StepKind.PROMOTE, learner)
    present = {node_of(member) for member in membership.everyone}
    for name in sorted(situation.wanted & situation.announced.keys() - present):
        return Step(StepKind.ADD_LEARNER, situation.announced[name])
    if situation.without_voter():
        return None
    for voter in situation.unwanted(membership.voters - {situation.leader}):
        if _decides(membership.voters - {voter}, situation.live):
            return Step(StepKind.REMOVE, voter)
    return None


def waits_for(situation: Situation) -> str:
    """What has to come to pass where there is no step to make; empty where all is done."""
    learners = {node_of(learner): learner for learner in situation.membership.learners}
    for name in situation.without_voter():
        if name not in learners:
            return f"{name} has not announced itself"
        if learners[name] not in situation.caught_up:
            return f"{learners[name]} catches up"
        return f"{learners[name]} is not heard"
    if gone := situation.unwanted(situation.membership.voters):
        return f"too few of the other voters are heard to remove {gone[0]}"
    return ""


def has_followed(wanted: Collection[str], membership: Membership) -> bool:
    """Whether Raft's voters are the orderers of the configuration, and nobody is under way."""
    return {node_of(voter) for voter in membership.voters} == set(wanted) and not membership.learners


def check_change(
    now: Collection[str], following: Collection[str], membership: Membership, forgotten: Collection[str] = ()
) -> None:
    """Raise :class:`OrderersChanging` where a configuration changes the orderers ``now`` to ``following`` and Raft has
    not followed the last change. To go back to those that vote is allowed: else nothing could be done about an orderer
    that never comes. ``forgotten`` are departing orderers that it does not name any more."""
    voters = {node_of(voter) for voter in membership.voters}
    unchanged = set(following) == set(now) and not voters & set(forgotten)
    if unchanged or set(following) == voters or has_followed(now, membership):
        return
    raise OrderersChanging(
        f"the last change of orderers is under way: the configuration names {', '.join(sorted(now))}, and "
        f"{', '.join(sorted(membership.voters))} vote (GET /status tells what is waited for). Try again when it is "
        f"done, or go back to {', '.join(sorted(voters))}"
    )


class Rounds:
    """A learner's catch-up (thesis 4.2.1): a round ends when it has what was the leader's last entry at its begin.

    It has caught up when a round takes less than an election timeout, or when it is close after ``MOST_ROUNDS``, and
    when it has applied what there was at first: entries may be held long before the blocks before them are fetched.
    """

    def __init__(self, last_index: int, now_s: float) -> None:
        self.number = 1
        self.behind = last_index
        self._first = self._target = last_index
        self._began_s = now_s
        self._fast = False

    def observe(self, match: int, last_index: int, now_s: float, timeout_s: float) -> None:
        """Note how far the learner's log is."""
        self.behind = max(0, last_index - match)
        if match < self._target:
            return
        self._fast = now_s - self._began_s < timeout_s
        if not self._fast:
            self.number += 1
        self._target, self._began_s = last_index, now_s

    def caught_up(self, match: int, applied: int, last_index: int) -> bool:
        """Whether the learner may be promoted. ``applied`` is what it says of itself."""
        close = self.number > MOST_ROUNDS and last_index - match <= CLOSE_ENTRIES
        return (self._fast or close) and applied >= self._first


def _heir(situation: Situation) -> str | None:
    """Who takes over from a leader that is to go: of the voters that stay and are heard the one with most of the
    log."""
    heirs = [
        voter
        for voter in sorted(situation.membership.voters & situation.live - {situation.leader})
        if node_of(voter) in situation.wanted
    ]
    return max(heirs, key=lambda voter: situation.match.get(voter, 0), default=None)


def _decides(voters: Collection[str], live: Collection[str]) -> bool:
    """Whether enough of these voters are heard."""
    return len(set(voters) & set(live)) > len(voters) // 2
