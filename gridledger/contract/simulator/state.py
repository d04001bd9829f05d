"""A world state in memory, kept in a JSON file: what ``gridledger simulate`` and tests run contracts on.

The file is one object, one line for each key::

    {"format": "gridledger-state-1", "height": 3, "clock_us": null,
     "state": {KEY: VALUE, ...},
     "history": {KEY: [[BLOCK, TX_ID, TIMESTAMP_US, VALUE], [BLOCK, TX_ID, TIMESTAMP_US], ...], ...}}

``state`` is the world state. ``history`` has every write of a key, the oldest first, a delete without a value.
``height`` is the number of blocks: the genesis block, and one for each transaction that wrote. ``clock_us``, where it
is not null, is the time that every proposal gets (microseconds since 1970). All members may be left out, and all may be
edited by hand: ``state`` counts, and a value that the history does not end with becomes one more write, of transaction
"edited".
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import Any, Final, NamedTuple

from gridledger import jsontext
from gridledger.contract.keys import check_key
from gridledger.errors import InputError
from gridledger.protocol.result import Result, Version
from gridledger.protocol.world_state import HistoryEntry, VersionedValue

FORMAT: Final = "gridledger-state-1"
_MEMBERS: Final = frozenset(("format", "height", "clock_us", "state", "history"))
_EDITED: Final = "edited"
_MAX_INTEGER: Final = 2**63 - 1


class StateFileError(InputError):
    """A state file is not one."""

    code = "BAD_STATE_FILE"


class _Write(NamedTuple):
    """One write of a key; ``value`` is its JSON text, None where the key was deleted."""

    version: Version
    tx_id: str
    timestamp_us: int
    value: bytes | None


class MemoryState:
    """A world state with its history; a :class:`~gridledger.contract.reader.StateReader` of one namespace."""

    def __init__(self) -> None:
        self.height = 1
        self.clock_us: int | None = None
        self._writes: dict[str, list[_Write]] = {}
        self._ordered: list[str] | None = None

    def get(self, namespace: str, key: str) -> VersionedValue | None:
        """The value of ``key``."""
        del namespace
        writes = self._writes.get(key)
        if not writes or writes[-1].value is None:
            return None
        return VersionedValue(writes[-1].value, writes[-1].version)

    def range(
        self, namespace: str, start: str, end: str, limit: int | None = None
    ) -> Iterator[tuple[str, bytes, Version]]:
        """Keys with start <= key < end. (Strings compare by code point, which is the order of their UTF-8 bytes.)"""
        if self._ordered is None:
            self._ordered = sorted(self._writes)
        found = 0
        for position in range(bisect_left(self._ordered, start), len(self._ordered)):
            key = self._ordered[position]
            if (end and key >= end) or found == limit:
                return
            stored = self.get(namespace, key)
            if stored is not None:
                found += 1
                yield key, stored.value, stored.version

    def history(self, namespace: str, key: str) -> Iterator[HistoryEntry]:
        """All writes of ``key``, the newest first."""
        del namespace
        for version, tx_id, timestamp_us, text in reversed(self._writes.get(key, [])):
            value = None if text is None else jsontext.loads_trusted(text)
            yield HistoryEntry(tx_id, value, *version, timestamp_us)

    def commit(self, result: Result, timestamp_us: int) -> None:
        """Apply the writes of ``result`` as the one transaction of the next block."""
        version = Version(self.height, 0)
        for key, value in result.writes:
            text = None if value is None else jsontext.dumps(value)
            self._append(key, _Write(version, result.tx_id, timestamp_us, text))
        self.height += 1

    def to_bytes(self) -> bytes:
        """The file's text."""
        state = [
            _text(key) + b": " + writes[-1].value
            for key, writes in sorted(self._writes.items())
            if writes[-1].value is not None
        ]
        history = [
            _text(key) + b": [" + b", ".join(_write_text(write) for write in writes) + b"]"
            for key, writes in sorted(self._writes.items())
        ]
        head = jsontext.dumps({"format": FORMAT, "height": self.height, "clock_us": self.clock_us})[:-1]
        return b"".join(
            (head, b',\n"state": {\n', b",\n".join(state), b'\n},\n"history": {\n', b",\n".join(history), b"\n}}\n")
        )

    @classmethod
    def from_bytes(cls, text: bytes) -> MemoryState:
        """Read a file's text (none at all is an empty state); :class:`StateFileError` names what is wrong."""
        state = cls()
        if not text.strip():
            return state
        document = jsontext.loads(text)
        if not isinstance(document, dict) or document.get("format", FORMAT) != FORMAT:
            raise StateFileError(f"it is no object of the format {FORMAT!r}")
        if unknown := document.keys() - _MEMBERS:
            raise StateFileError(f"it has unknown members {sorted(unknown)}; keys belong under 'state'")
        state.height = _integer(document.get("height", 1), "height")
        clock_us = document.get("clock_us")
        state.clock_us = None if clock_us is None else _integer(clock_us, "clock_us")
        state._read_history(_object(document, "history"))
        state._reconcile(_object(document, "state"))
        return state

    def _append(self, key: str, write: _Write) -> None:
        if key not in self._writes:
            self._writes[key] = []
            self._ordered = None
        self._writes[key].append(write)

    def _read_history(self, history: dict[str, Any]) -> None:
        for key, entries in history.items():
            check_key(key)
            if not isinstance(entries, list):
                raise StateFileError(f"history of {key!r}: a list of [block, tx_id, timestamp_us, value] is expected")
            for entry in entries:
                match entry:
                    case [int(block), str(tx_id), int(timestamp_us), *value] if len(value) <= 1:
                        text = jsontext.dumps(value[0]) if value else None
                        self._append(key, _Write(Version(block, 0), tx_id, timestamp_us, text))
                    case _:
                        raise StateFileError(f"history of {key!r}: [block, tx_id, timestamp_us, value] is expected")

    def _reconcile(self, state: dict[str, Any]) -> None:
        edited = Version(max(self.height - 1, 0), 0)
        for key, value in state.items():
            check_key(key)
            if value is None:
                raise StateFileError(f"state of {key!r}: null is no value")
            text = jsontext.dumps(value)
            stored = self.get("", key)
            if stored is None or stored.value != text:
                self._append(key, _Write(edited, _EDITED, 0, text))
        for key in self._writes.keys() - state.keys():
            if self.get("", key) is not None:
                self._append(key, _Write(edited, _EDITED, 0, None))


def _text(key: str) -> bytes:
    return jsontext.dumps(key)


def _write_text(write: _Write) -> bytes:
    head = jsontext.dumps([write.version.block, write.tx_id, write.timestamp_us])
    return head if write.value is None else head[:-1] + b"," + write.value + b"]"


def _integer(value: Any, name: str) -> int:
    if type(value) is not int or not 0 <= value <= _MAX_INTEGER:
        raise StateFileError(f"{name!r} must be an integer of 0 or more")
    return value


def _object(document: dict[str, Any], name: str) -> dict[str, Any]:
    value = document.get(name, {})
    if not isinstance(value, dict):
        raise StateFileError(f"{name!r} must be an object")
    return value
