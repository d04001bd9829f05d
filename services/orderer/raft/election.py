"""Elections: who may lead, and who still does.

Paper 5.2 and 5.4.1; thesis 9.6 (pre-vote), 6.2 (a leader without a majority steps down), 4.2.3 (who hears a leader does
not vote), 3.10 (leadership transfer).
"""

from __future__ import annotations

from services.orderer.raft.errors import LogBroken
from services.orderer.raft.interface import Role
from services.orderer.raft.messages import MAX_NUMBER, EntryKind, Kind, Message
from services.orderer.raft.replication import Replication

_ASK_AGAIN = 2
"""After how many heartbeats a pre-vote that was not granted is asked for again."""


class Election(Replication):
    """Campaigns, votes, and the leader's lease."""

    @property
    def promotable(self) -> bool:
        """Whether this server may campaign: a voter, and neither about to install a snapshot nor told to be quiet.

        A voter whose removal is not committed still is one: the others may lack the entry, and could then elect nobody
        whose log is shorter without its vote (thesis 4.2.2, figure 4.6). It does not count its own.
        """
        log = self.log
        voter = self.node_id in self.membership.voters or self.node_id in log.membership_at(log.commit).voters
        return voter and log.pending_snapshot is None and not self.lost_its_log and not self.quiet

    def campaign(self) -> None:
        """Ask for a pre-vote: would a majority vote for this server? The term stays until one would (thesis 9.6)."""
        if self.is_leader or not self.promotable:
            return
        following = self._next_term()
        self._votes = {}
        self.role = Role.PRE_CANDIDATE
        self.leader = None
        self._election_elapsed = 0
        self._draw_timeout()
        for voter in sorted(self.membership.voters - {self.node_id}):
            self._request_vote(Kind.PRE_VOTE, voter, following)
        self._take_vote(self.node_id, granted=True)

    def _stand(self, *, transfer: bool = False) -> None:
        """Begin an election (section 5.2). The own vote, like the requests, waits until term and vote are durable: a
        server that forgot either could vote twice in one term."""
        self._reset(self._next_term())
        self.role = Role.CANDIDATE
        self.vote = self.node_id
        for voter in sorted(self.membership.voters - {self.node_id}):
            self._request_vote(Kind.VOTE, voter, self.term, transfer=transfer)
        self._send(Message(Kind.VOTE_REPLY, self.node_id, self.node_id, self.term))

    def _next_term(self) -> int:
        if self.term + 1 >= MAX_NUMBER:
            raise LogBroken(f"term {self.term} is the last that there is: this group can elect no leader any more")
        return self.term + 1

    def _request_vote(self, kind: Kind, to: str, term: int, *, transfer: bool = False) -> None:
        log = self.log
        self._send(Message(kind, self.node_id, to, term, log.last_index, log.last_term, transfer=transfer))

    def _hears_leader(self) -> bool:
        """Whether a leader was heard (or, being one, kept its majority) within the shortest election timeout."""
        return self.leader is not None and self._election_elapsed < self.settings.election_ticks

    def _on_vote(self, message: Message) -> None:
        """Answer a request for a vote or pre-vote; terms were compared before."""
        pre = message.kind is Kind.PRE_VOTE
        free = self.vote is None and self.leader is None
        may = self.vote == message.sender or free or (pre and message.term > self.term)
        granted = may and not self.lost_its_log and self.log.is_up_to_date(message.index, message.log_term)
        if pre and self.role is Role.PRE_CANDIDATE and self._goes_first(message):
            granted = False
        kind = Kind.PRE_VOTE_REPLY if pre else Kind.VOTE_REPLY
        term = message.term if granted else self.term
        self._send(Message(kind, self.node_id, message.sender, term, reject=not granted))
        if granted and not pre:
            self._election_elapsed = 0
            self.vote = message.sender

    def _goes_first(self, message: Message) -> bool:
        """Of two servers that ask each other for a pre-vote, and would then split the vote, one goes first. A server
        whose log is behind is granted nothing anyway; where the logs are equal it is the one with the smaller name."""
        log = self.log
        return (message.log_term, message.index) == (log.last_term, log.last_index) and self.node_id < message.sender

    def _on_vote_reply(self, message: Message) -> None:
        """Count a vote, if it belongs to the campaign that is under way."""
        if message.kind is Kind.PRE_VOTE_REPLY:
            due = self.role is Role.PRE_CANDIDATE and (message.reject or message.term == self.term + 1)
        else:
            due = self.role is Role.CANDIDATE
        if due:
            self._take_vote(message.sender, granted=not message.reject)

    def _take_vote(self, voter: str, *, granted: bool) -> None:
        self._votes.setdefault(voter, granted)
        counted = [self._votes[voter] for voter in self.membership.voters if voter in self._votes]
        if sum(counted) >= self.quorum:
            if self.role is Role.PRE_CANDIDATE:
                self._stand()
            else:
                self._become_leader()
        elif len(counted) - sum(counted) >= self.quorum:
            self._become_follower(self.term, None)

    def _become_leader(self) -> None:
        """Lead: an empty entry of this term at once, which commits all before it (section 5.4.2, thesis 6.4)."""
        self._reset(self.term)
        self.role = Role.LEADER
        self.leader = self.node_id
        self._follow_membership()
        self.lead_since = self._append_own(EntryKind.EMPTY, b"")

    def _check_quorum(self) -> None:
        """Step down unless a majority was heard in the last election timeout (thesis 6.2)."""
        heard = sum(voter == self.node_id or self.progress[voter].active for voter in self.membership.voters)
        for progress in self.progress.values():
            progress.silent = 0 if progress.active else progress.silent + 1
            progress.active = False
        if heard < self.quorum:
            self._become_follower(self.term, None)

    def _on_timeout_now(self, message: Message) -> None:
        """The leader hands over: stand at once, without pre-vote, and say so, that voters may leave it (3.10)."""
        if self.promotable and message.sender == self.leader:
            self._stand(transfer=True)

    def _tick_leader(self) -> None:
        self._heartbeat_elapsed += 1
        self._election_elapsed += 1
        if self._election_elapsed >= self.settings.election_ticks:
            self._election_elapsed = 0
            self.transferee = None  # the transfer failed; proposals are taken again
            self._check_quorum()
        if self.is_leader and self._heartbeat_elapsed >= self.settings.heartbeat_ticks:
            self._heartbeat_elapsed = 0
            self._send_heartbeats()

    def _tick_other(self) -> None:
        self._election_elapsed += 1
        due = self._election_timeout
        if self.role is Role.PRE_CANDIDATE:
            # Those who heard the leader a little later did not listen yet: asking again soon changes no term.
            due = min(due, _ASK_AGAIN * self.settings.heartbeat_ticks)
        if self._election_elapsed >= due:
            self._election_elapsed = 0
            if self.promotable:
                self.campaign()
            else:
                self._become_follower(self.term, None)  # the leader is gone; who asks for a vote may have it
