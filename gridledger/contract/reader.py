"""The interface by which a transaction reads the world state: an LMDB snapshot's and a state's in memory."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Protocol

from gridledger.protocol.result import Version
from gridledger.protocol.world_state import HistoryEntry, VersionedValue


class StateReader(Protocol):
    """One consistent view of the world state. Every method sees the same height for as long as a call lasts."""

    def get(self, namespace: str, key: str) -> VersionedValue | None:
        """The value of ``key``, None if there is none."""

    def range(
        self, namespace: str, start: str, end: str, limit: int | None = None
    ) -> Iterator[tuple[str, bytes, Version]]:
        """Keys with start <= key < end, ascending by UTF-8 bytes; an empty ``end`` has no upper bound."""

    def history(self, namespace: str, key: str) -> Iterator[HistoryEntry]:
        """All committed writes of ``key``, the newest first; each value is a copy of its own."""
