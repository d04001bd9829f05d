"""A store without a disk, for simulation and tests."""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from gridledger.ledger.codec import HEAD, Table
from gridledger.ledger.errors import HeadMoved
from gridledger.ledger.store import CommitBatch


class _Tables:
    """The tables as one commit left them. They never change, so readers share them; their order is made when needed."""

    __slots__ = ("order", "tables")

    def __init__(self, tables: dict[Table, dict[bytes, bytes]]) -> None:
        self.tables = tables
        self.order: dict[Table, list[bytes]] = {}

    def keys(self, table: Table) -> list[bytes]:
        keys = self.order.get(table)
        if keys is None:
            keys = self.order[table] = sorted(self.tables[table])
        return keys


class MemoryReader:
    """A view of a :class:`MemoryStore`."""

    __slots__ = ("_state",)

    def __init__(self, state: _Tables) -> None:
        self._state = state

    def get(self, table: Table, key: bytes) -> bytes | None:
        return self._state.tables[table].get(key)

    def scan(self, table: Table, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        keys, values = self._state.keys(table), self._state.tables[table]
        for position in range(bisect_left(keys, start), bisect_left(keys, stop)):
            yield keys[position], values[keys[position]]

    def scan_back(self, table: Table, start: bytes, stop: bytes) -> Iterator[tuple[bytes, bytes]]:
        keys, values = self._state.keys(table), self._state.tables[table]
        for position in range(bisect_left(keys, stop) - 1, bisect_left(keys, start) - 1, -1):
            yield keys[position], values[keys[position]]

    def count(self, table: Table) -> int:
        return len(self._state.tables[table])

    def close(self) -> None:
        pass

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class MemoryStore:
    """Tables in dictionaries. A commit copies what it changes: fit for thousands of entries, not millions."""

    def __init__(self) -> None:
        self._state = _Tables({table: {} for table in Table})

    def commit(self, batch: CommitBatch) -> None:
        before = self._state.tables
        if before[Table.META].get(HEAD) != batch.head_before:
            raise HeadMoved("the ledger was committed to by somebody else: it has one committer")
        after = dict(before)
        for table, changes in batch.changes.items():
            if not changes:
                continue
            entries = dict(before[table])
            for key, value in changes.items():
                if value is None:
                    entries.pop(key, None)
                else:
                    entries[key] = value
            after[table] = entries
        self._state = _Tables(after)

    def reader(self) -> MemoryReader:
        return MemoryReader(self._state)

    def size_bytes(self) -> int:
        return sum(len(key) + len(value) for table in self._state.tables.values() for key, value in table.items())

    def close(self) -> None:
        pass
