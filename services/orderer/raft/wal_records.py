"""The records of the write-ahead log, and the state of each group that they add up to."""

from __future__ import annotations

import struct
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field

from services.orderer.raft.errors import MalformedBatch, WalCorrupt
from services.orderer.raft.interface import Membership, Snapshot
from services.orderer.raft.messages import (
    Entry,
    HardState,
    Reader,
    check_numbers,
    pack_entries,
    pack_membership,
    pack_name,
    pack_snapshot,
    read_entries,
    read_membership,
    read_snapshot,
)

_GROUP, _HARD_STATE, _SNAPSHOT, _ENTRIES, _REMOVED = range(1, 6)
_STATE = struct.Struct(">QQ")
_RUN = struct.Struct(">QI")


@dataclass(frozen=True, slots=True)
class GroupWrite:
    """What one group wants durable, in this order: that it exists, a snapshot, entries, its hard state.

    ``created`` are the members at its beginning (ignored for a group that exists). With ``reset`` the snapshot replaces
    the whole log (it came from a leader), else it only says that the log before it may go. ``removed`` forgets the
    group.
    """

    group: str
    created: Membership | None = None
    snapshot: Snapshot | None = None
    reset: bool = False
    entries: tuple[Entry, ...] = ()
    hard_state: HardState | None = None
    removed: bool = False


@dataclass(slots=True)
class GroupRecord:
    """One group as the log has it: what ``RaftLog`` and the core start from."""

    membership: Membership
    snapshot: Snapshot | None = None
    entries: list[Entry] = field(default_factory=list)
    hard_state: HardState = field(default_factory=HardState)

    @property
    def last_index(self) -> int:
        """Index of the newest entry, or the snapshot's."""
        if self.entries:
            return self.entries[-1].index
        return self.snapshot.index if self.snapshot else 0

    def take(self, entries: Sequence[Entry]) -> None:
        """Entries replace what lies from the first one's index on. A gap before them is behind a later snapshot, whose
        segment's predecessors are gone (``check`` sees if it is not)."""
        first = entries[0].index
        held = self.entries
        if held and held[0].index <= first <= held[-1].index + 1:
            del held[first - held[0].index :]
        else:
            held.clear()
        held.extend(entries)

    def keep(self, snapshot: Snapshot, *, reset: bool) -> None:
        """A snapshot: the entries up to it go, with ``reset`` all of them."""
        self.snapshot = snapshot
        if reset:
            self.entries.clear()
        elif self.entries:
            del self.entries[: max(0, snapshot.index + 1 - self.entries[0].index)]

    def check(self, group: str) -> None:
        """That the entries follow the snapshot without a gap."""
        start = (self.snapshot.index if self.snapshot else 0) + 1
        first = self.entries[0].index if self.entries else start
        if first != start:
            raise WalCorrupt(f"group {group}: entries begin at {first}, {start} is missing", group=group)


def pack_writes(writes: Iterable[GroupWrite]) -> bytes:
    """Records of several groups, one after the other."""
    return b"".join(pieces_of(writes))


def pieces_of(writes: Iterable[GroupWrite]) -> list[bytes]:
    """The same in pieces, so that what is large need not be copied before it is written."""
    parts: list[bytes] = []
    for write in writes:
        name = pack_name(write.group)
        if write.removed:
            parts += (bytes((_REMOVED,)), name)
            continue
        if write.created is not None:
            parts += (bytes((_GROUP,)), name, pack_membership(write.created))
        if write.snapshot is not None:
            parts += (bytes((_SNAPSHOT,)), name, bytes((write.reset,)), pack_snapshot(write.snapshot))
        if write.entries:
            parts += (bytes((_ENTRIES,)), name, _RUN.pack(write.entries[0].index, len(write.entries)))
            pack_entries(write.entries, parts)
        if write.hard_state is not None:
            state = write.hard_state
            parts += (bytes((_HARD_STATE,)), name, _STATE.pack(state.term, state.commit), pack_name(state.vote or ""))
    return parts


def replay(payload: bytes, groups: dict[str, GroupRecord]) -> dict[str, int]:
    """Apply a batch's records to ``groups``; returns the highest entry index that it holds for each group."""
    reader = Reader(payload)
    highest: dict[str, int] = {}
    group = ""
    try:
        while not reader.at_end:
            kind, group = reader.byte(), reader.name()
            if kind == _GROUP:
                groups.setdefault(group, GroupRecord(read_membership(reader)))
            elif kind == _REMOVED:
                groups.pop(group, None)
            elif kind == _SNAPSHOT:
                reset = bool(reader.byte())
                groups[group].keep(read_snapshot(reader), reset=reset)
            elif kind == _ENTRIES:
                first, count = reader.unpack(_RUN)
                groups[group].take(read_entries(reader, first, count))
                highest[group] = first + count - 1
            elif kind == _HARD_STATE:
                term, commit = reader.unpack(_STATE)
                check_numbers(term, commit)
                groups[group].hard_state = HardState(term, reader.name() or None, commit)
            else:
                raise WalCorrupt(f"record kind {kind} is unknown; was this log written by a newer version?")
    except (MalformedBatch, KeyError) as error:
        raise WalCorrupt(f"a batch with a good checksum cannot be read (group {group!r}): {error}") from error
    return highest
