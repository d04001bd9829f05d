"""How far a channel is on one peer."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from gridledger.protocol.fields import integer_of, object_of, text_of


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
    def from_dict(cls, message: Any) -> ChainInfo:
        """Read the JSON form; :class:`MalformedMessage` says what is wrong with it."""
        message = object_of(message, "how far a channel is")
        return cls(
            channel=text_of(message, "channel"),
            height=integer_of(message, "height"),
            commit_hash=text_of(message, "commit_hash"),
            last_hash=text_of(message, "last_hash"),
            timestamp_us=integer_of(message, "timestamp"),
            transactions=integer_of(message, "transactions"),
            config_sequence=integer_of(message, "config_sequence"),
            size_bytes=integer_of(message, "bytes"),
        )
