"""The messages between a peer's edge and its committer: one JSON text per frame over the socket that they share.

The edge's first frame is the committer's task. The committer then reports, after each durable commit, never before.
When either closes the socket the other one stops.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, NamedTuple

from gridledger import jsontext
from gridledger.errors import MalformedMessage

MAX_TASK_BYTES = 1024 * 1024
MAX_REPORT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CommitterTask:
    """Paths are absolute. ``roots`` is the PEM file for connections to orderers; the rest as in the peer's settings."""

    name: str
    identity: str
    roots: str
    ledgers: str
    genesis: str
    channels: list[str]
    log_level: str
    map_bytes: int
    max_blocks_per_commit: int
    max_bytes_per_commit: int
    max_buffered_bytes: int
    verify_threads: int
    backoff_initial_s: float
    backoff_max_s: float
    stall_s: float
    progress_interval_s: float

    def to_bytes(self) -> bytes:
        """The frame."""
        return jsontext.dumps(asdict(self))

    @classmethod
    def from_bytes(cls, frame: bytes) -> CommitterTask:
        """Read the frame; the edge that wrote it is of the same version."""
        return cls(**jsontext.loads_trusted(frame))

    def genesis_file(self, channel: str) -> Path:
        """Where block 0 of a channel lies."""
        return Path(self.genesis) / f"{channel}.genesis"


class EventRecord(NamedTuple):
    """One event of a VALID transaction: position in its block, transaction id, chaincode, name and payload."""

    position: int
    tx_id: str
    chaincode: str
    name: str
    payload: Any


@dataclass(frozen=True, slots=True)
class Committed:
    """One block is durable on this peer. ``codes`` are TxValidationCodes by position, ``tx_ids`` empty where a
    transaction could not be read. ``config`` says that the channel's config changed with it.
    ``work_s`` is the share of validation and commit that this block took, ``behind`` how many blocks wait behind it,
    ``size`` the report's bytes.
    """

    channel: str
    number: int
    header_hash: str
    timestamp_us: int
    commit_hash: str
    tx_ids: tuple[str, ...]
    codes: tuple[int, ...]
    events: tuple[EventRecord, ...] = ()
    config: bool = False
    work_s: float = 0.0
    behind: int = 0
    size: int = 0

    def to_bytes(self) -> bytes:
        """The frame."""
        members = {name: getattr(self, name) for name in self.__dataclass_fields__ if name != "size"}
        members["events"] = [tuple(event) for event in self.events]
        return jsontext.dumps({"report": "committed", **members})


@dataclass(frozen=True, slots=True)
class Ready:
    """All ledgers are open; ``heights`` are in blocks."""

    heights: dict[str, int]

    def to_bytes(self) -> bytes:
        """The frame."""
        return jsontext.dumps({"report": "ready", "heights": self.heights})


@dataclass(frozen=True, slots=True)
class Source:
    """Where a channel's blocks come from now: an orderer's name, or None with the reason why from nowhere."""

    channel: str
    orderer: str | None
    reason: str = ""

    def to_bytes(self) -> bytes:
        """The frame."""
        return jsontext.dumps(
            {"report": "source", "channel": self.channel, "orderer": self.orderer, "reason": self.reason}
        )


@dataclass(frozen=True, slots=True)
class Failed:
    """The committer cannot go on and ends; ``error`` is a GridLedgerError's wire form."""

    message: str
    error: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The frame."""
        return jsontext.dumps({"report": "failed", "message": self.message, "error": self.error})


Report = Committed | Ready | Source | Failed


def parse(frame: bytes) -> Report:
    """Read a frame; :class:`MalformedMessage` when it is none of ours."""
    members = jsontext.loads_trusted(frame)
    kind = members.pop("report", None)
    try:
        if kind == "committed":
            members["tx_ids"] = tuple(members["tx_ids"])
            members["codes"] = tuple(members["codes"])
            members["events"] = tuple(EventRecord(*event) for event in members["events"])
            return Committed(**members, size=len(frame))
        if kind == "source":
            return Source(**members)
        if kind == "ready":
            return Ready(**members)
        if kind == "failed":
            return Failed(**members)
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedMessage(f"the committer's report cannot be read: {error}") from None
    raise MalformedMessage(f"the committer's report is of an unknown kind {kind!r}")
