"""The world state while blocks are judged: what is committed, and above it what earlier blocks have changed."""

from __future__ import annotations

from bisect import bisect_left, insort
from collections.abc import Iterator
from heapq import merge
from itertools import zip_longest
from typing import NamedTuple, Protocol

from gridledger import jsontext
from gridledger.protocol.codes import TxValidationCode
from gridledger.protocol.result import RangeRead, Result, Version


class Reads(Protocol):
    """What judging blocks reads from the ledger. All answers are as of the block before the first one judged."""

    def version(self, namespace: str, key: str) -> Version | None:
        """The version of a key, None if it does not exist."""

    def range(self, namespace: str, start: str = "", end: str = "") -> Iterator[tuple[str, bytes, Version]]:
        """Keys with start <= key < end, ascending by UTF-8 bytes, with values and versions."""

    def find(self, tx_id: str) -> tuple[int, int, TxValidationCode] | None:
        """Block, index and code of a transaction on the chain."""


class Change(NamedTuple):
    """What a transaction left at a key: the value's JSON text, None for a deletion, and the version."""

    value: bytes | None
    version: Version


class WorldState:
    """The committed state with the changes of valid transactions laid over it, in the order of the chain."""

    def __init__(self, reads: Reads) -> None:
        self._reads = reads
        self.changes: dict[tuple[str, str], Change] = {}
        self._keys: dict[str, list[tuple[bytes, str]]] = {}
        self._unsorted: list[tuple[str, str]] = []

    def conflict(self, result: Result) -> TxValidationCode:
        """``VALID`` if all that the result read is still so, else which kind of read is not."""
        namespace, changes = result.chaincode, self.changes
        for key, version in result.reads:
            change = changes.get((namespace, key))
            if change is None:
                now = self._reads.version(namespace, key)
            else:
                now = None if change.value is None else change.version
            if now != version:
                return TxValidationCode.MVCC_READ_CONFLICT
        for item in result.ranges:
            if not self._unchanged(namespace, item):
                return TxValidationCode.PHANTOM_READ_CONFLICT
        return TxValidationCode.VALID

    def apply(self, result: Result, version: Version) -> list[tuple[tuple[str, str], bytes | None]]:
        """Lay a valid result's writes over the state; answers them as ((namespace, key), value)."""
        namespace, written = result.chaincode, []
        for key, value in result.writes:
            place = (namespace, key)
            text = None if value is None else jsontext.dumps_again(value)
            if place not in self.changes:
                self._unsorted.append(place)
            self.changes[place] = Change(text, version)
            written.append((place, text))
        return written

    def _unchanged(self, namespace: str, item: RangeRead) -> bool:
        changed = self._changed(namespace, item.start, item.end)
        stored = (
            (key.encode(), version)
            for key, _, version in self._reads.range(namespace, item.start, item.end)
            if (namespace, key) not in self.changes
        )
        now = merge(stored, changed)
        seen = ((key.encode(), version) for key, version in item.reads)
        return all(a == b for a, b in zip_longest(now, seen))

    def _changed(self, namespace: str, start: str, end: str) -> Iterator[tuple[bytes, Version]]:
        keys = self._changed_keys(namespace)
        first = bisect_left(keys, (start.encode(), ""))
        last = bisect_left(keys, (end.encode(), "")) if end else len(keys)
        for encoded, key in keys[first:last]:
            change = self.changes[(namespace, key)]
            if change.value is not None:
                yield encoded, change.version

    def _changed_keys(self, namespace: str) -> list[tuple[bytes, str]]:
        """The changed keys of a namespace, sorted: when a range read asks for them, and not before."""
        for name, key in self._unsorted:
            insort(self._keys.setdefault(name, []), (key.encode(), key))
        self._unsorted.clear()
        return self._keys.get(namespace, [])
