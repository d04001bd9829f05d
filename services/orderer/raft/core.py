"""The core: one group on one server, without I/O, clock or randomness of its own.

Drive it so: feed it with ``step``, ``tick``, ``propose``; ask ``ready``; send ``ready.messages`` at once; make
``ready``'s hard state, snapshot and entries durable (several Readies may be under way, in order); when they are, call
``advance`` and send ``ready.after_save``. Apply ``next_committed`` and say so with ``applied_to``. Equal inputs give
equal outputs.
"""

from __future__ import annotations

import random as random_module
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

from gridledger.incarnation import node_of
from services.orderer.raft.election import Election
from services.orderer.raft.errors import (
    EntryTooLarge,
    LogBroken,
    MembershipRefused,
    NotLeader,
    ProposalDropped,
    RaftBusy,
)
from services.orderer.raft.interface import (
    ChangeKind,
    Membership,
    MembershipChange,
    RaftSettings,
    Snapshot,
)
from services.orderer.raft.log import RaftLog
from services.orderer.raft.messages import (
    FROM_LEADER,
    REPLIES,
    Entry,
    EntryKind,
    HardState,
    Kind,
    Message,
    pack_membership,
)


@dataclass(frozen=True, slots=True)
class Ready:
    """What is to be done now. Where ``save`` is true: make snapshot, entries and hard state durable in this order of
    Readies, then ``advance``, then send after_save."""

    number: int
    hard_state: HardState | None
    snapshot: Snapshot | None
    entries: tuple[Entry, ...]
    messages: list[Message]
    after_save: list[Message]

    @property
    def save(self) -> bool:
        """Whether there is something to make durable (and ``advance`` must follow)."""
        return self.number > 0


def accepts_everything(_data: bytes) -> bool:
    """What a group is judged by whose owner has nothing against any entry."""
    return True


class RaftCore(Election):
    """A server of one Raft group."""

    def __init__(
        self,
        node_id: str,
        log: RaftLog,
        hard_state: HardState,
        settings: RaftSettings,
        random: random_module.Random,
        *,
        accepts: Callable[[bytes], bool] = accepts_everything,
    ) -> None:
        """``accepts`` judges the data of an entry that a leader sends and that is not committed yet."""
        super().__init__(node_id, log, hard_state, settings, random, accepts=accepts)
        self._number = 0
        self._own_votes: deque[list[Message]] = deque()

    # input

    def step(self, message: Message) -> None:
        """Take one message. Messages may come late, twice, out of order or never.

        A request is answered whoever sends it: a server that joins may know a newer membership than this one (thesis
        4.1). Nobody but a member is asked anything, so a reply of anyone else is ignored, its term too.
        """
        if message.to != self.node_id:
            return
        if message.kind in REPLIES and not self._asks(message.sender):
            return
        if message.term > self.term:
            if message.kind in (Kind.VOTE, Kind.PRE_VOTE) and self._hears_leader() and not message.transfer:
                return
            self._meet_newer_term(message)
        elif message.term < self.term:
            self._meet_older_term(message)
            return
        self._dispatch(message)

    def _asks(self, node_id: str) -> bool:
        """Whether this server may have asked that node: a member, or itself (its own vote comes as a message)."""
        membership = self.membership
        return node_id in membership.voters or node_id in membership.learners or node_id == self.node_id

    def _meet_newer_term(self, message: Message) -> None:
        """Adopt it (figure 2, all servers), except for what pre-vote asks and grants ahead of any election."""
        granted = message.kind is Kind.PRE_VOTE_REPLY and not message.reject
        if message.kind is not Kind.PRE_VOTE and not granted:
            self._become_follower(message.term, message.sender if message.kind in FROM_LEADER else None)

    def _meet_older_term(self, message: Message) -> None:
        """Ignore it, and tell who sent it where that helps it to this term."""
        if message.kind in FROM_LEADER:
            self._reply_leadership_lost(message)
        elif message.kind is Kind.PRE_VOTE:
            self._send(Message(Kind.PRE_VOTE_REPLY, self.node_id, message.sender, self.term, reject=True))
        elif message.kind is Kind.VOTE:
            self._send(Message(Kind.VOTE_REPLY, self.node_id, message.sender, self.term, reject=True))

    def _dispatch(self, message: Message) -> None:
        kind = message.kind
        if kind is Kind.APPEND:
            self._on_append(message)
        elif kind is Kind.APPEND_REPLY:
            self._on_append_reply(message)
        elif kind is Kind.COMMIT:
            self._on_commit(message)
        elif kind is Kind.HEARTBEAT:
            self._on_heartbeat(message)
        elif kind is Kind.HEARTBEAT_REPLY:
            self._on_heartbeat_reply(message)
        elif kind in (Kind.VOTE, Kind.PRE_VOTE):
            self._on_vote(message)
        elif kind in (Kind.VOTE_REPLY, Kind.PRE_VOTE_REPLY):
            self._on_vote_reply(message)
        elif kind is Kind.SNAPSHOT:
            self._on_snapshot(message)
        elif kind is Kind.DECLINE:
            self._on_decline(message)
        elif kind is Kind.TIMEOUT_NOW:
            self._on_timeout_now(message)

    def tick(self) -> None:
        """One tick of the clock has passed."""
        self._ticks += 1
        if self.is_leader:
            self._tick_leader()
        else:
            self._tick_other()

    def propose(self, data: bytes) -> tuple[int, int]:
        """Append data to the leader's log; returns its index and term. It may still be lost with the leadership."""
        self._check_may_propose()
        settings, log = self.settings, self.log
        if len(data) > settings.max_entry_bytes:
            raise EntryTooLarge(f"an entry of {len(data)} bytes is beyond max_entry_bytes, {settings.max_entry_bytes}")
        if log.unapplied_bytes and log.unapplied_bytes + len(data) > settings.max_unapplied_bytes:
            raise RaftBusy(f"{log.unapplied_bytes} bytes are proposed and not yet applied; try again shortly")
        return self._append_own(EntryKind.DATA, data), self.term

    def propose_membership(self, change: MembershipChange) -> tuple[int, int]:
        """One membership change (thesis 4.1); in force as soon as it is in the log. Refused while another is not
        committed, and before this leader has committed an entry of its term: without the latter rule two leaders'
        uncommitted changes could give majorities that do not overlap (raft-dev, July 2015)."""
        self._check_may_propose()
        log = self.log
        if log.membership_index > log.commit:
            raise MembershipRefused("another membership change is not committed yet; try again when it is")
        if log.term(log.commit) != self.term:
            raise MembershipRefused("this leader has not committed an entry of its term yet; try again shortly")
        membership = changed_membership(self.membership, change)
        return self._append_own(EntryKind.MEMBERSHIP, pack_membership(membership)), self.term

    def _check_may_propose(self) -> None:
        if not self.is_leader:
            raise NotLeader(
                "this node does not lead the group; ask its leader", leader=self.leader and node_of(self.leader)
            )
        if self.transferee is not None:
            raise ProposalDropped("leadership is being handed over; try again at the new leader", outcome="lost")

    def transfer(self, to: str) -> None:
        """Hand leadership to a voter: bring its log up to date, then let it stand (thesis 3.10)."""
        self._check_may_propose()
        if to not in self.membership.voters:
            raise MembershipRefused(f"{to} is not a voter of this group")
        if to == self.node_id:
            return
        self.transferee = to
        self._election_elapsed = 0
        if self.progress[to].match == self.log.last_index:
            self._send(Message(Kind.TIMEOUT_NOW, self.node_id, to, self.term))

    # output

    def ready(self) -> Ready:
        """What is to be done now; each thing is handed out once."""
        if self.is_leader:
            self._feed_all()
        log = self.log
        messages, self._now = self._now, []
        state = HardState(self.term, self.vote, log.commit)
        if not log.has_unsaved and state[:2] == self._saved_state[:2]:
            if not log.saving:
                messages += self._after_save
                self._after_save = []
            return Ready(0, None, None, (), messages, [])
        after, self._after_save = self._after_save, []
        self._own_votes.append([message for message in after if message.to == self.node_id])
        hard_state = state if state != self._saved_state else None
        self._saved_state = state
        snapshot, entries = log.hand_out()
        self._number += 1
        after = [message for message in after if message.to != self.node_id]
        return Ready(self._number, hard_state, snapshot, entries, messages, after)

    def advance(self, ready: Ready) -> None:
        """All of this Ready, and of those before it, is durable."""
        if ready.number != self._number - len(self._own_votes) + 1:
            raise LogBroken(f"Ready {ready.number} was advanced out of order")
        self.log.saved()
        for message in self._own_votes.popleft():
            self.step(message)
        if self.is_leader:
            self._advance_commit()

    # applying

    def next_committed(self) -> tuple[Entry, ...]:
        """Entries to apply next, at most max_apply_bytes at a time (one at least)."""
        return self.log.next_committed(self.settings.max_apply_bytes)

    def applied_to(self, index: int) -> None:
        """The state machine has applied everything up to index."""
        self.log.applied_to(index)

    @property
    def ready_to_lead(self) -> bool:
        """Whether this server leads and all entries before its term, and its first, are applied."""
        return self.is_leader and self.log.applied >= self.lead_since

    def compact(self, data: bytes) -> Snapshot:
        """Keep ``data`` as the snapshot of what is applied and drop the log behind it, but for trailing_entries that
        followers may still need (bounded in bytes too). The caller makes the snapshot durable."""
        log = self.log
        term = log.term(log.applied)
        if term is None:
            raise LogBroken(f"the term at {log.applied} is not known")
        snapshot = Snapshot(log.applied, term, log.membership_at(log.applied), data)
        log.compact(snapshot, self.settings.trailing_entries, self.settings.trailing_bytes)
        return snapshot


def changed_membership(membership: Membership, change: MembershipChange) -> Membership:
    """The membership after one change; MembershipRefused where it would change nothing, or leave no voter."""
    node_id, voters, learners = change.node_id, membership.voters, membership.learners
    if change.kind is ChangeKind.REMOVE:
        after = Membership(voters - {node_id}, learners - {node_id})
    elif change.kind is ChangeKind.ADD_VOTER:
        after = Membership(voters | {node_id}, learners - {node_id})
    elif node_id in voters:
        raise MembershipRefused(f"{node_id} is a voter; remove it before it becomes a learner")
    else:
        after = Membership(voters, learners | {node_id})
    if after == membership:
        raise MembershipRefused(f"{change.kind.name} {node_id} would change nothing")
    if not after.voters:
        raise MembershipRefused("a group cannot lose its last voter")
    return after
