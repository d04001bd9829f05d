"""What a transaction reads from: the small interface that an LMDB snapshot and a state in memory both satisfy."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from gridledger.protocol.result import Version


class StoredValue(Protocol):
    """A value of the world state: its JSON text and its version."""

    @property
    def value(self) -> bytes: ...
    @property
    def version(self) -> Version: ...


class HistoryRecord(Protocol):
    """One committed write of a key; ``value`` is None where it was deleted."""

    @property
    def tx_id(self) -> str: ...
    @property
    def value(self) -> bytes | None: ...
    @property
    def timestamp_us(self) -> int: ...


class StateReader(Protocol):
    """One consistent view of the world state. Every method sees the same height for as long as a call lasts."""

    def get(self, namespace: str, key: str) -> StoredValue | None:
        """The value of ``key``, None if there is none."""

    def range(
        self, namespace: str, start: str, end: str, limit: int | None = None
    ) -> Iterator[tuple[str, bytes, Version]]:
        """Keys with start <= key < end, ascending by UTF-8 bytes; an empty ``end`` has no upper bound."""

    def history(self, namespace: str, key: str) -> Iterator[HistoryRecord]:
        """All committed writes of ``key``, the newest first."""
