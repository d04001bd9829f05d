"""How far a channel is on one peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True, slots=True)
class ChainInfo:
    """How far a channel is on one peer.

    ``height`` is the number of blocks; ``commit_hash``, ``last_hash`` (of the header; both hexadecimal) and
    ``timestamp_us`` are the newest block's; ``transactions`` counts those on the chain, ``config_sequence`` is the
    present configuration's, ``size_bytes`` what the ledger takes up on the peer's disk.
    """

    channel: str
    height: int
    commit_hash: str
    last_hash: str
    timestamp_us: int
    transactions: int
    config_sequence: int
    size_bytes: int

    def to_dict(self) -> dict[str, Any]:
        """The JSON form."""
        return {
            "channel": self.channel,
            "height": self.height,
            "last_hash": self.last_hash,
            "commit_hash": self.commit_hash,
            "timestamp": self.timestamp_us,
            "transactions": self.transactions,
            "config_sequence": self.config_sequence,
            "bytes": self.size_bytes,
        }

    @classmethod
    def from_dict(cls, message: dict[str, Any]) -> ChainInfo:
        """Read the JSON form."""
        return cls(
            channel=message["channel"],
            height=message["height"],
            commit_hash=message["commit_hash"],
            last_hash=message["last_hash"],
            timestamp_us=message["timestamp"],
            transactions=message["transactions"],
            config_sequence=message["config_sequence"],
            size_bytes=message["bytes"],
        )
