"""What must hold of every run of a Raft group, whatever fails (paper, figure 3); checked at every step of a server."""

from __future__ import annotations

from dataclasses import dataclass, field

from services.orderer.raft.core import RaftCore
from services.orderer.raft.interface import Role
from services.orderer.raft.messages import Entry, Kind, Message
from services.orderer.raft.wal_records import GroupRecord


class Violated(AssertionError):
    """A safety property does not hold."""


def require(holds: bool, said: str) -> None:
    """Raise Violated unless it holds."""
    if not holds:
        raise Violated(said)


@dataclass
class Oracle:
    """Sees every server. ``committed`` is the one history that all must share, from index 1 on."""

    leaders: dict[int, str] = field(default_factory=dict)
    votes: dict[tuple[int, str], str] = field(default_factory=dict)
    entries: dict[tuple[int, int], tuple[int, bytes]] = field(default_factory=dict)
    committed: list[Entry] = field(default_factory=list)
    acknowledged: set[bytes] = field(default_factory=set)
    _checked: dict[str, int] = field(default_factory=dict)

    def saw_entries(self, core: RaftCore, entries: tuple[Entry, ...]) -> None:
        """Log matching (5.3): an entry's index and term fix its data and the entry before it."""
        for entry in entries:
            before = core.log.term(entry.index - 1)
            known = self.entries.setdefault((entry.index, entry.term), (before or 0, entry.data))
            require(
                known == (before or 0, entry.data) or before is None,
                f"log matching: two entries {entry.index} of term {entry.term}",
            )

    def saw_message(self, message: Message) -> None:
        """A server votes for one candidate a term, across crashes too (5.2)."""
        if message.kind is Kind.VOTE_REPLY and not message.reject:
            given = self.votes.setdefault((message.term, message.sender), message.to)
            require(given == message.to, f"{message.sender} voted for {given} and {message.to} in term {message.term}")

    def check(self, name: str, core: RaftCore, durable: dict[str, GroupRecord]) -> None:
        """Election safety, leader completeness, state machine safety, and that what commits is durable."""
        log = core.log
        if core.role is Role.LEADER and core.term not in self.leaders:
            self.leaders[core.term] = name
            for entry in self.committed[log.first_index - 1 :]:
                require(
                    log.matches(entry.index, entry.term),
                    f"leader completeness: {name} leads term {core.term} without committed entry {entry.index}",
                )
        if core.role is Role.LEADER:
            require(
                self.leaders[core.term] == name,
                f"election safety: {self.leaders[core.term]} and {name} lead term {core.term}",
            )
        require(log.applied <= max(log.commit, log.snapshot.index if log.snapshot else 0), "applied beyond commit")
        self._saw_commit(name, core, durable)

    def _saw_commit(self, name: str, core: RaftCore, durable: dict[str, GroupRecord]) -> None:
        log = core.log
        for index in range(len(self.committed) + 1, log.commit + 1):
            entry = log.slice(index, index, 1)[0]
            self.committed.append(entry)
            self._require_durable(name, core, entry, durable)
        if self._checked.get(name) == log.commit:
            return
        start = min(self._checked.get(name, 0), log.commit)
        self._checked[name] = log.commit
        for entry in self.committed[max(log.first_index - 1, start) : log.commit]:
            require(
                log.matches(entry.index, entry.term),
                f"state machine safety: {name} committed another entry {entry.index} than {entry.term}",
            )

    def _require_durable(self, name: str, core: RaftCore, entry: Entry, durable: dict[str, GroupRecord]) -> None:
        """On the disks of a majority of voters; the membership is that before or after the entry."""
        holders = {server for server, record in durable.items() if _holds(record, entry)}
        memberships = [core.log.membership, core.log.membership_at(max(entry.index, core.log.first_index - 1))]
        require(
            any(len(m.voters & holders) * 2 > len(m.voters) for m in memberships),
            f"{name} committed entry {entry.index} of term {entry.term}, only on the disks of {sorted(holders)}",
        )

    def applied(self, name: str, entry: Entry) -> None:
        """A server applied an entry: it is the committed one."""
        require(
            entry.index <= len(self.committed) and self.committed[entry.index - 1] == entry,
            f"state machine safety: {name} applied an entry {entry.index} that is not the committed one",
        )


def _holds(record: GroupRecord, entry: Entry) -> bool:
    if record.snapshot is not None and record.snapshot.index >= entry.index:
        return True
    if not record.entries:
        return False
    position = entry.index - record.entries[0].index
    return 0 <= position < len(record.entries) and record.entries[position].term == entry.term
