"""Entries and messages, and how they look as bytes.

One ``Message`` class for all kinds: ``kind`` says which fields mean something (table in docs/raft.md). All integers are
big-endian; indexes and terms are u64 below 2^48. A batch is what one node sends another at one go: messages of many
groups.
"""

from __future__ import annotations

import enum
import struct
from collections.abc import Iterable
from dataclasses import dataclass
from typing import NamedTuple

from services.orderer.raft.errors import MalformedBatch
from services.orderer.raft.interface import Membership, Snapshot

BATCH_VERSION = 1
MAX_NUMBER = 2**48
"""Terms and indexes lie below it. A larger one, once adopted, would leave no term for the next election."""
ENTRY_OVERHEAD = 32
"""Bytes that an entry counts for beside its data, so that empty entries have a bound too."""


class EntryKind(enum.IntEnum):
    """What an entry holds: a proposal, a new leader's empty entry (thesis 6.4), or a whole new membership."""

    DATA = 0
    EMPTY = 1
    MEMBERSHIP = 2


@dataclass(frozen=True, slots=True)
class Entry:
    """One log entry."""

    index: int
    term: int
    kind: EntryKind
    data: bytes

    @property
    def size(self) -> int:
        """Bytes that this entry counts for against bounds."""
        return len(self.data) + ENTRY_OVERHEAD


class HardState(NamedTuple):
    """What figure 2 calls persistent state, beside the log; ``commit`` is a hint and may be behind."""

    term: int = 0
    vote: str | None = None
    commit: int = 0


class Kind(enum.IntEnum):
    """Kinds of messages. COMMIT is an empty append that wants no answer: it only moves the commit index. DECLINE
    answers an append with an entry that the receiver does not accept (its time lies too far ahead); the logs match."""

    PRE_VOTE = 1
    PRE_VOTE_REPLY = 2
    VOTE = 3
    VOTE_REPLY = 4
    APPEND = 5
    APPEND_REPLY = 6
    HEARTBEAT = 7
    HEARTBEAT_REPLY = 8
    COMMIT = 9
    SNAPSHOT = 10
    TIMEOUT_NOW = 11
    DECLINE = 12


FROM_LEADER = frozenset({Kind.APPEND, Kind.HEARTBEAT, Kind.COMMIT, Kind.SNAPSHOT})
REPLIES = frozenset({Kind.PRE_VOTE_REPLY, Kind.VOTE_REPLY, Kind.APPEND_REPLY, Kind.HEARTBEAT_REPLY, Kind.DECLINE})


@dataclass(slots=True)
class Message:
    """One message of one group. ``index`` and ``log_term`` name a log position: the previous entry (APPEND), the last
    entry (VOTE), what matches or was refused (APPEND_REPLY; ``hint`` is then where the logs may agree), the entry that
    is not accepted (DECLINE)."""

    kind: Kind
    sender: str
    to: str
    term: int
    index: int = 0
    log_term: int = 0
    commit: int = 0
    reject: bool = False
    hint: int = 0
    transfer: bool = False
    entries: tuple[Entry, ...] = ()
    snapshot: Snapshot | None = None


_MESSAGE = struct.Struct(">BBQQQQQII")
_ENTRY = struct.Struct(">QBI")
_U32 = struct.Struct(">I")
_U64 = struct.Struct(">Q")
_REJECT, _TRANSFER = 1, 2
_MAX_NAME = 255


class Reader:
    """Takes values off the front of a byte string; raises MalformedBatch when it is too short."""

    __slots__ = ("_data", "_offset")

    def __init__(self, data: bytes) -> None:
        self._data = data
        self._offset = 0

    @property
    def at_end(self) -> bool:
        """All has been read."""
        return self._offset == len(self._data)

    def unpack(self, layout: struct.Struct) -> tuple[int, ...]:
        """A fixed layout of integers."""
        end = self._offset + layout.size
        if end > len(self._data):
            raise MalformedBatch("cut short inside a header")
        values = layout.unpack_from(self._data, self._offset)
        self._offset = end
        return values

    def take(self, length: int) -> bytes:
        """That many bytes."""
        end = self._offset + length
        if end > len(self._data):
            raise MalformedBatch(f"cut short: {length} bytes announced, {len(self._data) - self._offset} there")
        data = self._data[self._offset : end]
        self._offset = end
        return data

    def byte(self) -> int:
        """One byte."""
        return self.take(1)[0]

    def u32(self) -> int:
        """A 32-bit count or length."""
        return self.unpack(_U32)[0]

    def u64(self) -> int:
        """A 64-bit index or term."""
        return self.unpack(_U64)[0]

    def name(self) -> str:
        """A node or group name."""
        try:
            return self.take(self.byte()).decode()
        except UnicodeDecodeError as error:
            raise MalformedBatch("a name is not UTF-8") from error


def pack_name(name: str) -> bytes:
    """A name as a length byte and UTF-8; at most 255 bytes."""
    data = name.encode()
    if len(data) > _MAX_NAME:
        raise MalformedBatch(f"the name {name[:32]!r}... is longer than {_MAX_NAME} bytes")
    return bytes((len(data),)) + data


def pack_membership(membership: Membership) -> bytes:
    """Voters, then learners, each sorted; the data of a MEMBERSHIP entry."""
    parts = []
    for names in (membership.voters, membership.learners):
        parts.append(_U32.pack(len(names)))
        parts.extend(pack_name(name) for name in sorted(names))
    return b"".join(parts)


def read_membership(reader: Reader) -> Membership:
    """The inverse of ``pack_membership``, in the middle of something else."""
    voters = frozenset(reader.name() for _ in range(reader.u32()))
    learners = frozenset(reader.name() for _ in range(reader.u32()))
    return Membership(voters, learners)


def unpack_membership(data: bytes) -> Membership:
    """The inverse of ``pack_membership``."""
    reader = Reader(data)
    membership = read_membership(reader)
    if not reader.at_end:
        raise MalformedBatch("bytes after a membership")
    return membership


def pack_entries(entries: Iterable[Entry], parts: list[bytes]) -> None:
    """Append the bytes of consecutive entries to ``parts``; their indexes follow from the first's."""
    for entry in entries:
        parts.append(_ENTRY.pack(entry.term, entry.kind, len(entry.data)))
        parts.append(entry.data)


def read_entries(reader: Reader, first_index: int, count: int) -> tuple[Entry, ...]:
    """The inverse of ``pack_entries``."""
    entries = []
    for index in range(first_index, first_index + count):
        term, kind, length = reader.unpack(_ENTRY)
        check_numbers(term, index)
        entries.append(Entry(index, term, _entry_kind(kind), reader.take(length)))
    return tuple(entries)


def pack_snapshot(snapshot: Snapshot) -> bytes:
    """A snapshot's position, membership and data."""
    membership = pack_membership(snapshot.membership)
    return b"".join(
        (_U64.pack(snapshot.index), _U64.pack(snapshot.term), membership, _U32.pack(len(snapshot.data)), snapshot.data)
    )


def read_snapshot(reader: Reader) -> Snapshot:
    """The inverse of ``pack_snapshot``."""
    index, term = reader.u64(), reader.u64()
    check_numbers(term, index)
    membership = read_membership(reader)
    return Snapshot(index, term, membership, reader.take(reader.u32()))


def check_numbers(*numbers: int) -> None:
    """Raise MalformedBatch for a term or an index that is not below ``MAX_NUMBER``."""
    largest = max(numbers)
    if largest >= MAX_NUMBER:
        raise MalformedBatch(f"{largest} is no term or index: they lie below 2^48")


def pack_batch_header(sender: str) -> bytes:
    """What a batch begins with: version and sender. ``pack_message`` results follow."""
    return bytes((BATCH_VERSION,)) + pack_name(sender)


def pack_message(group: str, message: Message) -> bytes:
    """One message inside a batch: group, fixed fields, snapshot, entries. Sender and receiver are the batch's."""
    flags = (_REJECT if message.reject else 0) | (_TRANSFER if message.transfer else 0)
    snapshot = pack_snapshot(message.snapshot) if message.snapshot is not None else b""
    parts = [
        pack_name(group),
        _MESSAGE.pack(
            message.kind,
            flags,
            message.term,
            message.index,
            message.log_term,
            message.commit,
            message.hint,
            len(message.entries),
            len(snapshot),
        ),
        snapshot,
    ]
    pack_entries(message.entries, parts)
    return b"".join(parts)


def unpack_batch(data: bytes, to: str) -> tuple[str, list[tuple[str, Message]]]:
    """A batch's sender, and its messages with their groups. Raises MalformedBatch."""
    reader = Reader(data)
    version = reader.byte()
    if version != BATCH_VERSION:
        raise MalformedBatch(f"batch version {version} is not {BATCH_VERSION}: upgrade the older of the two orderers")
    sender = reader.name()
    messages = []
    while not reader.at_end:
        group = reader.name()
        kind, flags, term, index, log_term, commit, hint, entry_count, snapshot_size = reader.unpack(_MESSAGE)
        check_numbers(term, index, log_term, commit, hint)
        messages.append(
            (
                group,
                Message(
                    _kind(kind),
                    sender,
                    to,
                    term,
                    index,
                    log_term,
                    commit,
                    bool(flags & _REJECT),
                    hint,
                    bool(flags & _TRANSFER),
                    snapshot=read_snapshot(reader) if snapshot_size else None,
                    entries=read_entries(reader, index + 1, entry_count) if entry_count else (),
                ),
            )
        )
        _check(messages[-1][1])
    return sender, messages


def _check(message: Message) -> None:
    """What the core relies on: a snapshot where one is due, entries only in an append, terms that do not descend."""
    if (message.kind is Kind.SNAPSHOT) != (message.snapshot is not None):
        raise MalformedBatch("a snapshot is missing or out of place")
    if message.entries and message.kind is not Kind.APPEND:
        raise MalformedBatch(f"{message.kind.name} carries entries")
    previous = message.log_term
    for entry in message.entries:
        if not previous <= entry.term <= message.term:
            raise MalformedBatch("entries whose terms descend or lie beyond their leader's")
        previous = entry.term
        if entry.kind is EntryKind.MEMBERSHIP:
            unpack_membership(entry.data)


_KINDS = {int(kind): kind for kind in Kind}
_ENTRY_KINDS = {int(kind): kind for kind in EntryKind}


def _kind(value: int) -> Kind:
    kind = _KINDS.get(value)
    if kind is None:
        raise MalformedBatch(f"message kind {value} is unknown")
    return kind


def _entry_kind(value: int) -> EntryKind:
    kind = _ENTRY_KINDS.get(value)
    if kind is None:
        raise MalformedBatch(f"entry kind {value} is unknown")
    return kind
