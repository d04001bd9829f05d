"""The replicated log of one group, in memory. The write-ahead log (wal.py) is its durable twin.

Entries from ``first`` to ``last`` are held; those before lie behind a snapshot. Positions never pass one another:
applied <= min(commit, stable), stable <= last. ``stable`` counts what is durable here.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Sequence

from services.orderer.raft.errors import LogBroken
from services.orderer.raft.interface import Membership, Snapshot
from services.orderer.raft.messages import Entry, EntryKind, unpack_membership


class RaftLog:
    """Entries, commit and applied positions, the latest snapshot, and the membership that the log says.

    The membership in force is the latest in the log, committed or not (paper, section 6); truncating the log brings the
    one before back.
    """

    __slots__ = (
        "_base_index",
        "_base_term",
        "_entries",
        "_handed",
        "_memberships",
        "_outstanding",
        "_snapshot_unsaved",
        "applied",
        "commit",
        "held_bytes",
        "pending_snapshot",
        "snapshot",
        "stable",
        "unapplied_bytes",
    )

    def __init__(
        self,
        membership: Membership,
        *,
        snapshot: Snapshot | None = None,
        entries: Sequence[Entry] = (),
        commit: int = 0,
        applied: int = 0,
    ) -> None:
        """A log as it was found on disk (all of it stable), or a new one. ``applied`` is the state machine's."""
        self.snapshot = snapshot
        self.pending_snapshot: Snapshot | None = None
        self._base_index = snapshot.index if snapshot else 0
        self._base_term = snapshot.term if snapshot else 0
        self._memberships: list[tuple[int, Membership]] = [
            (self._base_index, snapshot.membership if snapshot else membership)
        ]
        self._entries: list[Entry] = []
        self._outstanding: deque[list[int]] = deque()
        self._snapshot_unsaved = False
        self.held_bytes = 0
        self.unapplied_bytes = 0
        self.applied = applied
        self._extend(entries)
        self.stable = self._handed = self.last_index
        self.commit = max(self._base_index, min(commit, self.last_index), min(applied, self.last_index))
        if snapshot is not None and applied < snapshot.index:
            self.pending_snapshot = snapshot
        self.unapplied_bytes = sum(entry.size for entry in self._entries if entry.index > applied)

    # positions

    @property
    def first_index(self) -> int:
        """Index of the oldest entry still held (last_index + 1 when none is)."""
        return self._base_index + 1

    @property
    def last_index(self) -> int:
        """Index of the newest entry."""
        return self._base_index + len(self._entries)

    @property
    def last_term(self) -> int:
        """Term of the newest entry."""
        return self._entries[-1].term if self._entries else self._base_term

    @property
    def membership(self) -> Membership:
        """The latest membership in the log."""
        return self._memberships[-1][1]

    @property
    def membership_index(self) -> int:
        """Index of the entry that brought it."""
        return self._memberships[-1][0]

    def membership_at(self, index: int) -> Membership:
        """The membership in force at an index not before the snapshot."""
        return next(membership for start, membership in reversed(self._memberships) if start <= index)

    def term(self, index: int) -> int | None:
        """The term of the entry at an index, None where it is not known (compacted, or beyond the end)."""
        if index == self._base_index:
            return self._base_term
        if self._base_index < index <= self.last_index:
            return self._entries[index - self._base_index - 1].term
        return None

    def matches(self, index: int, term: int) -> bool:
        """Whether this log has that entry (log matching, paper section 5.3)."""
        return self.term(index) == term

    def is_up_to_date(self, index: int, term: int) -> bool:
        """Whether a log ending there is at least as up to date as this one (section 5.4.1)."""
        return (term, index) >= (self.last_term, self.last_index)

    def agreement_hint(self, index: int, term: int) -> int:
        """The largest index not above ``index`` whose term here is at most ``term``: where another log may agree
        (5.3)."""
        index = min(index, self.last_index)
        while index > self._base_index and (self.term(index) or 0) > term:
            index -= 1
        return index

    def slice(self, start: int, end: int, max_bytes: int) -> tuple[Entry, ...]:
        """Entries from start to end, both inclusive, as many as fit max_bytes, at least one where there is one."""
        start_at = start - self._base_index - 1
        if start_at < 0:
            raise LogBroken(f"entry {start} was compacted, the log begins at {self.first_index}")
        chosen: list[Entry] = []
        room = max_bytes
        for entry in self._entries[start_at : end - self._base_index]:
            room -= entry.size
            if room < 0 and chosen:
                break
            chosen.append(entry)
        return tuple(chosen)

    # growth

    def append(self, entries: Iterable[Entry]) -> None:
        """Append to the end (leader). The first entry's index must follow the last."""
        self._extend(entries)

    def merge(self, previous: int, entries: Sequence[Entry]) -> int:
        """Take a leader's entries after ``previous``, which matched; returns the index of the last of them.

        Entries already here are left alone, so that a late duplicate of an append shortens nothing; from the first
        conflict on, this log's entries give way (section 5.3).
        """
        last = previous + len(entries)
        for position, entry in enumerate(entries):
            if self.matches(entry.index, entry.term):
                continue
            if entry.index <= self.commit:
                raise LogBroken(f"entry {entry.index} of term {entry.term} conflicts with a committed one")
            if entry.index <= self.last_index:
                self._truncate(entry.index - 1)
            self._extend(entries[position:])
            break
        return last

    def drop_from(self, index: int) -> None:
        """Drop the entries from this index on, none of them committed."""
        if index <= self.commit:
            raise LogBroken(f"entry {index} is committed and cannot be dropped")
        if index <= self.last_index:
            self._truncate(index - 1)

    def restore(self, snapshot: Snapshot) -> None:
        """Replace everything by a leader's snapshot (section 7)."""
        self._clamp_stable(0)
        self._entries.clear()
        self._base_index, self._base_term = snapshot.index, snapshot.term
        self._memberships = [(snapshot.index, snapshot.membership)]
        self.snapshot = self.pending_snapshot = snapshot
        self._snapshot_unsaved = True
        self._handed = snapshot.index
        self.commit = snapshot.index
        self.held_bytes = self.unapplied_bytes = 0

    def compact(self, snapshot: Snapshot, trailing: int, trailing_bytes: int) -> None:
        """Keep a snapshot of what was applied, and drop entries before it but for ``trailing`` of at most those
        bytes."""
        if snapshot.index > self.applied or not self.matches(snapshot.index, snapshot.term):
            raise LogBroken(f"a snapshot at {snapshot.index} of term {snapshot.term} is not of this log")
        self.snapshot = snapshot
        base, room = snapshot.index, trailing_bytes
        while base > max(self._base_index, snapshot.index - trailing):
            room -= self._entries[base - self._base_index - 1].size
            if room < 0:
                break
            base -= 1
        base_term = self.term(base)
        if base_term is None:
            raise LogBroken(f"no term at {base}")
        dropped = self._entries[: base - self._base_index]
        del self._entries[: base - self._base_index]
        self.held_bytes -= sum(entry.size for entry in dropped)
        self._base_index, self._base_term = base, base_term
        while len(self._memberships) > 1 and self._memberships[1][0] <= base:
            self._memberships.pop(0)

    # durability

    @property
    def has_unsaved(self) -> bool:
        """Whether there is something that was not handed out to be made durable."""
        return self._snapshot_unsaved or self._handed < self.last_index

    def hand_out(self) -> tuple[Snapshot | None, tuple[Entry, ...]]:
        """A leader's snapshot and entries to be made durable, once each. ``saved`` must follow, in the same order."""
        snapshot = self.snapshot if self._snapshot_unsaved else None
        entries = tuple(self._entries[self._handed - self._base_index :])
        self._snapshot_unsaved = False
        self._handed = self.last_index
        self._outstanding.append([self._handed])
        return snapshot, entries

    def saved(self) -> None:
        """The oldest batch handed out is durable. What was truncated since does not count."""
        (index,) = self._outstanding.popleft()
        self.stable = max(self.stable, index)

    @property
    def saving(self) -> bool:
        """Whether something handed out is not durable yet."""
        return bool(self._outstanding)

    # applying

    def next_snapshot(self) -> Snapshot | None:
        """The snapshot to install now: durable here, and beyond what is applied."""
        pending = self.pending_snapshot
        return pending if pending is not None and self.stable >= pending.index else None

    def next_committed(self, max_bytes: int) -> tuple[Entry, ...]:
        """Entries to apply now: committed, durable here, not applied."""
        end = min(self.commit, self.stable)
        if self.pending_snapshot is not None or end <= self.applied:
            return ()
        return self.slice(self.applied + 1, end, max_bytes)

    def applied_to(self, index: int) -> None:
        """The state machine has applied up to index (or installed the pending snapshot)."""
        if index <= self.applied:
            return
        if self.pending_snapshot is not None and index >= self.pending_snapshot.index:
            self.pending_snapshot = None
        start = max(self.applied - self._base_index, 0)
        self.unapplied_bytes -= sum(entry.size for entry in self._entries[start : max(index - self._base_index, 0)])
        self.applied = index

    def _extend(self, entries: Iterable[Entry]) -> None:
        for entry in entries:
            if entry.index != self.last_index + 1 or entry.term < self.last_term:
                raise LogBroken(f"entry {entry.index} of term {entry.term} cannot follow {self.last_index}")
            self._entries.append(entry)
            self.held_bytes += entry.size
            self.unapplied_bytes += entry.size
            if entry.kind is EntryKind.MEMBERSHIP:
                self._memberships.append((entry.index, unpack_membership(entry.data)))

    def _truncate(self, last: int) -> None:
        """Drop entries after ``last``, none of them committed."""
        gone = self._entries[last - self._base_index :]
        del self._entries[last - self._base_index :]
        size = sum(entry.size for entry in gone)
        self.held_bytes -= size
        self.unapplied_bytes -= size
        while self._memberships[-1][0] > last:
            self._memberships.pop()
        self._handed = min(self._handed, last)
        self._clamp_stable(last)

    def _clamp_stable(self, last: int) -> None:
        """Nothing beyond ``last`` is what disk holds or will hold by what is under way."""
        self.stable = min(self.stable, last)
        for outstanding in self._outstanding:
            outstanding[0] = min(outstanding[0], last)
