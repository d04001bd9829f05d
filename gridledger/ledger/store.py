"""The small interface between the ledger and what keeps its bytes.

A store holds the tables of :class:`~gridledger.ledger.codec.Table`, each ordered by the bytes of its keys. It changes
in batches, each of which takes effect whole or not at all, and is read through readers, each of which sees one state
for as long as it lives. So a simulation can lose or keep a commit, and tests need no disk.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Protocol, Self

from gridledger.ledger.codec import Table


@dataclass(slots=True)
class CommitBatch:
    """What one commit changes: for each table its keys with their new values, None to remove one.

    Keys of BLOCKS and METADATA only ever grow, and stand in ascending order. ``head_before`` is the head that the
    batch was made from: a store whose head is another refuses it.
    """

    head_before: bytes | None
    changes: dict[Table, dict[bytes, bytes | None]] = field(default_factory=lambda: {table: {} for table in Table})

    def put(self, table: Table, key: bytes, value: bytes) -> None:
        """Set one key."""
        self.changes[table][key] = value


class Reader(Protocol):
    """One unchanging view of a store. Close it soon: a view that is held keeps old pages from being used again."""

    def get(self, table: Table, key: bytes) -> bytes | None:
        """The value of a key, None if there is none."""

    def scan(self, table: Table, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values with start <= key < stop, ascending."""

    def scan_back(self, table: Table, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        """Keys and values with start <= key < stop, descending."""

    def count(self, table: Table) -> int:
        """How many keys a table has."""

    def close(self) -> None:
        """Let the view go; closing twice is harmless."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class StateStore(Protocol):
    """A place for one ledger's tables."""

    def commit(self, batch: CommitBatch) -> None:
        """Make a batch durable, whole or not at all.

        Raises HeadMoved, StorageFull or StorageFailed; the store is then as it was.
        """

    def reader(self) -> Reader:
        """A view of what is committed now."""

    def size_bytes(self) -> int:
        """Bytes that the store takes up."""

    def close(self) -> None:
        """Let the store go; closing twice is harmless."""
