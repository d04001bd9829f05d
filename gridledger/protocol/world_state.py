"""What the world state holds at a key, and what a key has held."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any, NamedTuple

from gridledger.protocol.result import Version


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
    def from_dict(cls, message: dict[str, Any]) -> HistoryEntry:
        """Read the JSON form."""
        return cls(
            tx_id=message["tx_id"],
            value=message["value"],
            block=message["block"],
            index=message["index"],
            timestamp_us=message["timestamp"],
        )
