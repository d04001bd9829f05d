"""What the world state holds at a key, and what a key has held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from gridledger.protocol.fields import integer_of, list_of, object_of, text_of, value_of
from gridledger.protocol.result import Version

MAX_HISTORY = 1000
"""Writes of one page."""


class VersionedValue(NamedTuple):
    """A value of the world state (its JSON text) and where it was written."""

    value: bytes
    version: Version


@dataclass(frozen=True, slots=True)
class HistoryEntry:
    """One committed write of a key, by the transaction at position ``index`` of ``block``.

    ``value`` is the JSON value written, None where the key was deleted; ``timestamp_us`` the proposal's time, in
    microseconds since 1970.
    """

    tx_id: str
    value: Any
    block: int
    index: int
    timestamp_us: int

    @property
    def is_delete(self) -> bool:
        """Whether the key was deleted. No key has the value null."""
        return self.value is None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "tx_id": self.tx_id,
            "value": self.value,
            "deleted": self.is_delete,
            "block": self.block,
            "index": self.index,
            "timestamp": self.timestamp_us,
        }

    @classmethod
    def from_dict(cls, message: Any) -> HistoryEntry:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(message, "a write of a key")
        return cls(
            tx_id=text_of(message, "tx_id"),
            value=value_of(message, "value"),
            block=integer_of(message, "block"),
            index=integer_of(message, "index"),
            timestamp_us=integer_of(message, "timestamp"),
        )


@dataclass(frozen=True, slots=True)
class HistoryPage:
    """Some of a key's writes, the newest first. ``bookmark`` leads to those before them; None: there are none."""

    items: tuple[HistoryEntry, ...]
    bookmark: str | None

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {"items": [item.to_dict() for item in self.items], "bookmark": self.bookmark}

    @classmethod
    def from_dict(cls, value: Any) -> HistoryPage:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it. A peer of an earlier version tells
        no bookmark."""
        message = object_of(value, "a history")
        items = list_of(message, "items", max_length=MAX_HISTORY)
        bookmark = None if message.get("bookmark") is None else text_of(message, "bookmark")
        return cls(tuple(HistoryEntry.from_dict(item) for item in items), bookmark)
