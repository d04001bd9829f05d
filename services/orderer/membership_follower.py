"""Has Raft's members follow a channel's configuration: one task per channel on each orderer.

Where this orderer leads it makes one step after another (membership_steps.py). Where it does not take part yet, or has
heard no leader for a while, it announces itself to whoever leads: again and again, so that joining goes on after a
crash of either, and so that one that was removed while it was down learns of it. It only compares, so it can be ended
at any step.
"""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Awaitable, Callable
from typing import Any, NamedTuple, Protocol

from gridledger.errors import GridLedgerError
from gridledger.incarnation import node_of
from gridledger.protocol import ChannelConfig
from services.orderer.chain import Chain
from services.orderer.errors import NotAnOrderer, OrdererRemoved, OtherIncarnation
from services.orderer.membership_steps import Rounds, Situation, Step, StepKind, next_step, waits_for
from services.orderer.raft.errors import NotLeader
from services.orderer.raft.interface import ChangeKind, Consensus, GroupStatus, MembershipChange

_log = logging.getLogger(__name__)

Announce = Callable[[str, str, int], Awaitable[str]]
"""``announce(channel, raft_id, applied)``: as what the channel's leader knows this orderer (see
:meth:`OtherOrderers.announce`)."""

IDLE_S = 1.0
BUSY_S = 0.1
"""How often a leader looks while nothing, or something, is under way."""
AGAIN_S = 2.0
"""After how long a step that failed is tried again."""
ANNOUNCE_S = 0.5
REFUSED_S = 5.0
"""How often an orderer announces itself until it votes, and where the leader refuses that."""
LONELY_S = 5.0
"""For how long an orderer that votes hears no leader before it asks what became of it."""
EXPIRES_S = 10.0
"""For how long an announcement counts."""

_CHANGES = {
    StepKind.ADD_LEARNER: ChangeKind.ADD_LEARNER,
    StepKind.PROMOTE: ChangeKind.ADD_VOTER,
    StepKind.REMOVE: ChangeKind.REMOVE,
}


class Ahead(Protocol):
    """What is known of the channel beyond its blocks here."""

    @property
    def config(self) -> ChannelConfig:
        """The newest configuration that is known."""

    def look_ahead(self) -> None:
        """Begin to fetch newer blocks, to judge by the configuration that they lead to."""


class _Announcement(NamedTuple):
    raft_id: str
    applied: int
    at_s: float


class MembershipFollower:
    """One channel's. ``raft_id`` is by which name Raft knows this orderer there, ``timeout_s`` Raft's election
    timeout."""

    def __init__(self, raft_id: str, chain: Chain, consensus: Consensus, announce: Announce, timeout_s: float) -> None:
        self._raft_id = raft_id
        self._name = node_of(raft_id)
        self._chain = chain
        self._consensus = consensus
        self._announce = announce
        self._timeout_s = timeout_s
        self._announced: dict[str, _Announcement] = {}
        self._rounds: dict[str, Rounds] = {}
        self._woken = asyncio.Event()
        self._heard_s = 0.0
        self.ahead: Ahead | None = None
        self.standing = "voter"
        """What this orderer is on the channel: voter, departing, learner, announced, removed, refused or unheard. One
        that is still to be named counts as removed: who leads cannot tell them apart."""
        self.step = ""
        """What it does as the leader now, or waits for; empty where Raft has followed."""

    def wake(self) -> None:
        """Look now: there is a new configuration."""
        self._woken.set()

    async def run(self) -> None:
        """Follow until cancelled."""
        self._heard_s = asyncio.get_running_loop().time()
        while True:
            self._woken.clear()
            pause_s = await self._turn()
            try:
                async with asyncio.timeout(pause_s):
                    await self._woken.wait()
            except TimeoutError:
                pass

    def hear(self, name: str, raft_id: str, applied: int) -> str:
        """Take note that an orderer of this name, authenticated as such, announces an incarnation of itself; as what
        it is known.

        Raises NotLeader, :class:`NotAnOrderer` and :class:`OtherIncarnation`.
        """
        channel, config = self._chain.channel, self._chain.config
        leadership = self._consensus.leadership(channel)
        if not leadership.is_self:
            leader = leadership.leader and node_of(leadership.leader)
            raise NotLeader(f"{channel} is led by {leader or 'nobody now'}", leader=leader)
        membership = self._consensus.status(channel).membership
        member = raft_id in membership.everyone
        if name not in config.orderers:
            if member:
                return "departing"
            raise NotAnOrderer(
                f"{name} is no orderer of {channel}: configuration {config.sequence} names "
                f"{', '.join(sorted(config.orderers))}"
            )
        if others := sorted(other for other in membership.everyone - {raft_id} if node_of(other) == name):
            raise OtherIncarnation(
                f"{name} takes part in {channel} as {others[0]}, and asks to join as {raft_id}: where it has lost its "
                f"log, let it in again by gridledger orderer readmit {name}",
                node=name,
            )
        self._announced[name] = _Announcement(raft_id, applied, asyncio.get_running_loop().time())
        self._woken.set()
        if member:
            return "voter" if raft_id in membership.voters else "learner"
        return "announced"

    @property
    def removed(self) -> bool:
        """Whether the channel's leader has told that neither the configuration nor Raft has this orderer."""
        return self.standing == "removed"

    def check_removed(self) -> None:
        """Raise :class:`OrdererRemoved` where this orderer takes no part any more."""
        if self.removed:
            config = self._chain.config if self.ahead is None else self.ahead.config
            names = sorted(config.orderers.keys() - {self._name})
            raise OrdererRemoved(
                f"{self._name} is no orderer of {self._chain.channel} any more: ask {', '.join(names)}", orderers=names
            )

    def learners(self) -> list[dict[str, Any]]:
        """Who catches up, where this orderer leads: node, the round that is under way, and entries that it lacks."""
        return [
            {"node": learner, "round": rounds.number, "behind": rounds.behind}
            for learner, rounds in sorted(self._rounds.items())
        ]

    def describe(self) -> dict[str, Any]:
        """For status queries."""
        return {"standing": self.standing, "step": self.step, "catching_up": self.learners()}

    async def _turn(self) -> float:
        """Do what is to be done now; after how many seconds to look again."""
        leadership = self._consensus.leadership(self._chain.channel)
        if not leadership.is_self:
            self._rounds.clear()
            self._announced.clear()
            self.step = ""
            return await self._ask_to_join()
        self._heard_s = asyncio.get_running_loop().time()
        self._stand("voter")
        return await self._lead() if leadership.ready else BUSY_S

    # where this orderer leads

    async def _lead(self) -> float:
        situation = self._situation(self._consensus.status(self._chain.channel))
        step = next_step(situation)
        self.step = str(step) if step is not None else waits_for(situation)
        if step is not None:
            return await self._make(step)
        return BUSY_S if self.step else IDLE_S

    def _situation(self, status: GroupStatus) -> Situation:
        now_s = asyncio.get_running_loop().time()
        self._announced = {
            name: item
            for name, item in self._announced.items()
            if now_s - item.at_s < EXPIRES_S and name in self._chain.config.orderers
        }
        followers, own = status.followers, self._raft_id
        return Situation(
            wanted=frozenset(self._chain.config.orderers),
            membership=status.membership,
            leader=own,
            live=frozenset({own, *(name for name, known in followers.items() if known.is_heard)}),
            caught_up=self._caught_up(status, now_s),
            match={name: known.match for name, known in followers.items()},
            announced={name: item.raft_id for name, item in self._announced.items()},
        )

    def _caught_up(self, status: GroupStatus, now_s: float) -> frozenset[str]:
        """The learners that may be promoted."""
        learners = status.membership.learners
        self._rounds = {learner: self._rounds.get(learner) or Rounds(status.last, now_s) for learner in learners}
        found = set()
        for learner, rounds in self._rounds.items():
            match = status.followers[learner].match if learner in status.followers else 0
            rounds.observe(match, status.last, now_s, self._timeout_s)
            announced = self._announced.get(node_of(learner))
            applied = announced.applied if announced is not None and announced.raft_id == learner else 0
            if rounds.caught_up(match, applied, status.last):
                found.add(learner)
        return frozenset(found)

    async def _make(self, step: Step) -> float:
        channel = self._chain.channel
        try:
            if step.kind is StepKind.HAND_OVER:
                await self._consensus.transfer_leadership(channel, step.raft_id)
            else:
                await self._consensus.change_membership(channel, MembershipChange(_CHANGES[step.kind], step.raft_id))
        except GridLedgerError as error:
            _log.info("cannot %s: %s", step, error, extra={"channel": channel})
            return AGAIN_S
        _log.info("the configuration is followed: %s", step, extra={"channel": channel})
        return 0.0

    # where it does not

    async def _ask_to_join(self) -> float:
        """Announce this orderer, where it does not vote or hears nobody who leads."""
        status = self._consensus.status(self._chain.channel)
        now_s, own = asyncio.get_running_loop().time(), self._raft_id
        votes = own in status.membership.voters
        if status.broken is not None:
            return IDLE_S
        if votes and status.leader is not None:
            self._heard_s = now_s
            config = self._chain.config if self.ahead is None else self.ahead.config
            self._stand("voter" if self._name in config.orderers else "departing")
            return IDLE_S
        if votes and now_s - self._heard_s < LONELY_S:
            return IDLE_S
        try:
            standing = await self._announce(self._chain.channel, own, status.applied)
        except NotAnOrderer as refused:
            self._stand("removed", refused)
            self._look_ahead()
            return REFUSED_S
        except OtherIncarnation as refused:
            self._stand("refused", refused)
            return REFUSED_S
        except GridLedgerError as error:
            self._stand("unheard", error)
            self._look_ahead()
            return IDLE_S
        self._stand(standing)
        return IDLE_S if votes else ANNOUNCE_S

    def _look_ahead(self) -> None:
        if self.ahead is not None:
            self.ahead.look_ahead()

    def _stand(self, standing: str, why: GridLedgerError | None = None) -> None:
        """Note what this orderer is on the channel, and log it where that is news."""
        if standing == self.standing:
            return
        self.standing = standing
        # What it holds may still be needed where nobody told that it was removed.
        self._consensus.set_quiet(self._chain.channel, quiet=self.removed)
        level = logging.WARNING if standing in ("removed", "refused") else logging.INFO
        said = f"{self._name} is {standing}" + (f": {why}" if why is not None else "")
        _log.log(level, "%s", said, extra={"channel": self._chain.channel})
