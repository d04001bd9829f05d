"""Log replication: what a leader sends and counts, and what a follower takes (paper, sections 5.3, 5.4.2 and 7)."""

from __future__ import annotations

from services.orderer.raft.errors import LogBroken
from services.orderer.raft.interface import Role
from services.orderer.raft.messages import Entry, EntryKind, Kind, Message
from services.orderer.raft.progress import Feed, Progress
from services.orderer.raft.server import Server

_TOLD_DENIALS = 3
_SILENT_TIMEOUTS = 2
"""After how many election timeouts without a word a voter is not waited for where another does not accept an entry."""


class Replication(Server):
    """The leader's and the follower's side of AppendEntries, heartbeats, commits and snapshots."""

    # the leader's side

    def _append_own(self, kind: EntryKind, data: bytes) -> int:
        """Append one entry of this term to the leader's log; it is sent when ``ready`` is asked next."""
        index = self.log.last_index + 1
        self.log.append((Entry(index, self.term, kind, data),))
        if kind is EntryKind.MEMBERSHIP:
            self._follow_membership()
        return index

    def _follow_membership(self) -> None:
        """Feed exactly those that the membership in force names."""
        others = self.membership.everyone - {self.node_id}
        for gone in self.progress.keys() - others:
            del self.progress[gone]
        for new in sorted(others - self.progress.keys()):
            self.progress[new] = self._new_progress()

    def _new_progress(self) -> Progress:
        return Progress(
            self.log.last_index + 1,
            max_count=self.settings.max_inflight_appends,
            max_bytes=self.settings.max_inflight_bytes,
        )

    def _feed_all(self) -> None:
        """Send every follower what it may get now: entries, and the commit index with them or by itself."""
        for to, progress in self.progress.items():
            self._feed(to, progress)

    def _feed(self, to: str, progress: Progress) -> None:
        sent = False
        progress.committed(self.log.commit)
        while progress.may_send() and (progress.feed is Feed.PROBE or progress.next <= self.log.last_index):
            sent = True
            if not self._send_append(to, progress):
                return
        if progress.nudge and not sent and progress.feed is Feed.REPLICATE:
            self._send_append(to, progress, empty=True)
        elif not sent and progress.told_commit < self.log.commit and progress.feed is Feed.REPLICATE:
            self._send_commit(Kind.COMMIT, to, progress)
        progress.nudge = False

    def _send_append(self, to: str, progress: Progress, *, empty: bool = False) -> bool:
        """One append after ``next - 1``, or the snapshot where that was compacted. Returns whether it was an append."""
        previous = progress.next - 1
        previous_term = self.log.term(previous)
        if previous_term is None:
            self._send_snapshot(to, progress)
            return False
        log = self.log
        entries = () if empty else log.slice(previous + 1, log.last_index, self.settings.max_append_bytes)
        self._send(
            Message(
                Kind.APPEND, self.node_id, to, self.term, previous, previous_term, commit=log.commit, entries=entries
            )
        )
        if not empty:
            progress.sent(previous + len(entries), sum(entry.size for entry in entries))
            progress.told_commit = log.commit
        return True

    def _send_snapshot(self, to: str, progress: Progress) -> None:
        snapshot = self.log.snapshot
        if snapshot is None:
            raise LogBroken("the log was compacted without a snapshot")
        self._send(
            Message(Kind.SNAPSHOT, self.node_id, to, self.term, snapshot.index, snapshot.term, snapshot=snapshot)
        )
        progress.await_snapshot(snapshot.index, self._ticks)

    def _send_commit(self, kind: Kind, to: str, progress: Progress) -> None:
        """The commit index alone, and up to where the follower's log is known to be ours."""
        self._send(Message(kind, self.node_id, to, self.term, progress.match, commit=self.log.commit))
        progress.told_commit = self.log.commit

    def _send_heartbeats(self) -> None:
        for to, progress in self.progress.items():
            self._send_commit(Kind.HEARTBEAT, to, progress)

    def _on_append_reply(self, message: Message) -> None:
        progress = self.progress.get(message.sender)
        if progress is None:
            return
        progress.active = True
        if message.reject:
            agreement = self.log.agreement_hint(message.hint, message.log_term)
            before = progress.denials
            progress.refused(message.index, agreement)
            self._note_denial(message.sender, progress, before)
            return
        if message.index > self.log.last_index:
            self._note_beyond(message)
            return
        news = progress.acknowledged(message.index)
        # Only news, or the whole log, ends a probe: were an old acknowledgement enough, duplicates of it would set off
        # more appends than they answer, without end.
        whole = message.index == progress.match == self.log.last_index
        agreed = progress.feed is Feed.PROBE and (news or whole)
        installed = progress.feed is Feed.SNAPSHOT and progress.match + 1 >= self.log.first_index
        if agreed or installed:
            progress.replicate()
        if news:
            self._advance_commit()
        if self.is_leader and message.sender == self.transferee and progress.match == self.log.last_index:
            self._send(Message(Kind.TIMEOUT_NOW, self.node_id, message.sender, self.term))

    def _note_beyond(self, message: Message) -> None:
        """Believe no acknowledgement of what this log does not have, and tell of it once: one of the two logs is not
        what it was."""
        self.denials += 1
        if message.sender not in self._beyond:
            self._beyond.add(message.sender)
            self.notices.append(
                f"{message.sender} acknowledges entry {message.index}, and this log ends at {self.log.last_index}: "
                "one of the two has lost its log, and must join anew (gridledger orderer readmit)"
            )

    def _note_denial(self, sender: str, progress: Progress, before: int) -> None:
        """Count a refusal of what was acknowledged, and tell of it once: one may be late, several in a row are not."""
        self.denials += progress.denials - before
        if before < progress.denials == _TOLD_DENIALS:
            self.notices.append(
                f"{sender} refuses entry {progress.match}, which it had acknowledged: it has lost its log, and is "
                "asked again with each heartbeat"
            )

    def _on_heartbeat_reply(self, message: Message) -> None:
        progress = self.progress.get(message.sender)
        if progress is None:
            return
        progress.active = True
        progress.paused = False
        if progress.feed is Feed.SNAPSHOT and self._ticks - progress.snapshot_tick >= self.settings.election_ticks:
            progress.probe()  # the snapshot, or its answer, was lost
        progress.nudge = progress.match < self.log.last_index

    def _on_decline(self, message: Message) -> None:
        progress, index = self.progress.get(message.sender), message.index
        if progress is None:
            return
        progress.active = True
        if progress.feed is Feed.SNAPSHOT or index <= progress.match:
            return
        progress.declines(index)
        if index > self.log.commit:
            self._check_declined(index)

    def _check_declined(self, index: int) -> None:
        """Step aside if the voters that do not accept an entry leave no majority that could.

        The entry is dropped here: where a majority does not hold it, it was never committed, and with it in the log
        this server would win the next election again. Who does not accept it is asked to stand at once. A voter that
        has been silent for long may hold it; so it counts among the others only for an entry of this term, which
        nobody but this leader could have committed.
        """
        against = [
            voter
            for voter in sorted(self.membership.voters)
            if voter in self.progress and self.progress[voter].declined == index
        ]
        silent = [
            voter
            for voter in sorted(self.membership.voters)
            if voter in self.progress and voter not in against and self.progress[voter].silent >= _SILENT_TIMEOUTS
        ]
        missing = len(against) + (len(silent) if self.log.term(index) == self.term else 0)
        if not against or missing <= len(self.membership.voters) - self.quorum:
            return
        heir = max(against, key=lambda voter: self.progress[voter].match)
        self.notices.append(
            f"{', '.join(against)} do not accept entry {index}: its time lies too far ahead of their clocks. This "
            "orderer, which made it, leads no longer: check its clock"
        )
        self.outvoted = index
        self._send(Message(Kind.TIMEOUT_NOW, self.node_id, heir, self.term))
        self._become_follower(self.term, None)
        self.log.drop_from(index)
        self._election_elapsed = -2 * self.settings.election_ticks  # the others first

    def unreachable(self, node_id: str) -> None:
        """What was last sent to a node did not arrive: find out again, at the pace of its heartbeats."""
        progress = self.progress.get(node_id)
        if progress is not None and progress.feed is not Feed.SNAPSHOT:
            progress.probe()
            progress.paused = True

    def _advance_commit(self) -> None:
        """Commit what a majority holds durably. Entries of former terms are committed only by one of this term after
        them (section 5.4.2, figure 8)."""
        voters = self.membership.voters
        matches = sorted((self._match_of(voter) for voter in voters), reverse=True)
        index = matches[self.quorum - 1]
        if index > self.log.commit and self.log.term(index) == self.term:
            self.log.commit = index
            if index > self.lead_since:
                self.outvoted = 0
            self._after_commit()

    def _match_of(self, voter: str) -> int:
        return self.log.stable if voter == self.node_id else self.progress[voter].match

    def _after_commit(self) -> None:
        """A leader whose removal is committed tells it, hands over to who has most of the log, and steps down (thesis
        4.2.2)."""
        log = self.log
        if self.node_id in self.membership.voters or log.membership_index > log.commit:
            return
        self._feed_all()
        heirs = [voter for voter in sorted(self.membership.voters) if voter in self.progress]
        if heirs:
            heir = max(heirs, key=lambda voter: self.progress[voter].match)
            self._send(Message(Kind.TIMEOUT_NOW, self.node_id, heir, self.term))
        self._become_follower(self.term, None)

    # the follower's side

    def _hear_leader(self, message: Message) -> None:
        """A message of this term's leader: follow it and put the election off."""
        if self.is_leader:
            raise LogBroken(f"two leaders in term {self.term}: {self.node_id} and {message.sender}")
        if self.role is not Role.FOLLOWER or self.leader != message.sender:
            self._become_follower(self.term, message.sender)
        self._election_elapsed = 0

    def _on_append(self, message: Message) -> None:
        self._hear_leader(message)
        log = self.log
        if message.index < log.commit:
            self._reply_append(log.commit)
            self._learn_commit(message.commit, log.commit)
            return
        if not log.matches(message.index, message.log_term):
            hint = log.agreement_hint(min(message.index, log.last_index), message.log_term)
            self._now.append(  # a refusal promises nothing, so it need not wait for the disk
                Message(
                    Kind.APPEND_REPLY,
                    self.node_id,
                    message.sender,
                    self.term,
                    message.index,
                    log.term(hint) or 0,
                    reject=True,
                    hint=hint,
                )
            )
            return
        # A follower whose state machine is far behind takes no more: the leader's window fills and it waits.
        full = log.unapplied_bytes > 2 * self.settings.max_unapplied_bytes
        entries = () if full else message.entries
        accepted = self._accepted(entries, max(message.commit, self._leader_commit))
        last = log.merge(message.index, accepted)
        self._reply_append(last)
        self._learn_commit(message.commit, last)
        if len(accepted) < len(entries):
            self.declined = last + 1
            self._send(Message(Kind.DECLINE, self.node_id, message.sender, self.term, self.declined))

    def _accepted(self, entries: tuple[Entry, ...], committed: int) -> tuple[Entry, ...]:
        """The entries up to the first one that this server does not accept. What is committed, and what it holds
        already, is not judged any more."""
        for position, entry in enumerate(entries):
            if entry.index <= committed or entry.kind is not EntryKind.DATA:
                continue
            if self.log.matches(entry.index, entry.term):
                continue
            if not self.accepts(entry.data):
                return entries[:position]
            self.declined = 0
        return entries

    def _reply_append(self, index: int) -> None:
        """Acknowledge up to index. An acknowledgement that waits for the same save is replaced, not added to."""
        if self._after_save:
            waiting = self._after_save[-1]
            if (
                waiting.kind is Kind.APPEND_REPLY
                and not waiting.reject
                and waiting.to == self.leader
                and waiting.term == self.term
            ):
                waiting.index = max(waiting.index, index)
                return
        if self.leader is not None:
            self._send(Message(Kind.APPEND_REPLY, self.node_id, self.leader, self.term, index))

    def _on_heartbeat(self, message: Message) -> None:
        self._hear_leader(message)
        self._learn_commit(message.commit, message.index)
        self._send(Message(Kind.HEARTBEAT_REPLY, self.node_id, message.sender, self.term))

    def _on_commit(self, message: Message) -> None:
        self._hear_leader(message)
        self._learn_commit(message.commit, message.index)

    def _learn_commit(self, leader_commit: int, verified: int) -> None:
        """The leader has committed up to leader_commit, and our logs are the same up to verified: what lies in both is
        committed here. Either may come first."""
        log = self.log
        self._leader_commit = max(self._leader_commit, leader_commit)
        if verified <= log.last_index:
            self._verified = max(self._verified, verified)
        elif not self.lost_its_log:
            self.lost_its_log = True
            self.notices.append(
                f"this orderer acknowledged entries up to {verified} to {self.leader}, and its log ends at "
                f"{log.last_index}: it was restored from a backup or has lost its disk. It votes no more, and must "
                "join anew (gridledger orderer readmit)"
            )
        log.commit = max(log.commit, min(self._leader_commit, self._verified))

    def _on_snapshot(self, message: Message) -> None:
        self._hear_leader(message)
        snapshot = message.snapshot
        if snapshot is None:
            return
        log = self.log
        if snapshot.index > log.commit:
            if log.matches(snapshot.index, snapshot.term):
                log.commit = snapshot.index
            else:
                log.restore(snapshot)
            self._verified = max(self._verified, snapshot.index)
        self._reply_append(log.commit)

    def _reply_leadership_lost(self, message: Message) -> None:
        """Tell a leader of a former term that there is a newer one, so that a partitioned node can come back."""
        self._send(Message(Kind.APPEND_REPLY, self.node_id, message.sender, self.term, reject=True))
