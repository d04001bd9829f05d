"""The messages between a peer's edge and its committer: one JSON text per frame over the socket that they share.

The edge's first frame is the committer's task. The committer then reports each block after its commit is durable. When
one of them closes the socket, the other one stops.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from gridledger import jsontext
from gridledger.errors import MalformedMessage
from gridledger.protocol.codes import CODES
from gridledger.protocol.events import ChaincodeEvent, CommittedBlock

MAX_TASK_BYTES = 1024 * 1024
MAX_REPORT_BYTES = 64 * 1024 * 1024


@dataclass(frozen=True, slots=True)
class CommitterTask:
    """Paths are absolute. ``roots`` is the PEM file for connections to orderers, ``genesis`` the file of each channel's
    block 0, ``ahead`` those of newer config blocks that tell where its nodes are; the rest as in the peer's settings.
    """

    name: str
    identity: str
    roots: str
    ledgers: str
    genesis: dict[str, str]
    ahead: dict[str, list[str]]
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
        return Path(self.genesis[channel])


@dataclass(frozen=True, slots=True)
class BlockCommitted:
    """One block is durable on this peer. ``work_s`` is the share of validation and commit that this block took,
    ``behind`` how many blocks wait behind it, ``size`` the report's bytes."""

    block: CommittedBlock
    work_s: float = 0.0
    behind: int = 0
    size: int = 0

    def to_bytes(self) -> bytes:
        """The frame."""
        block = self.block
        return jsontext.dumps(
            {
                "report": "committed",
                "channel": block.channel,
                "number": block.number,
                "hash": block.hash,
                "timestamp_us": block.timestamp_us,
                "commit_hash": block.commit_hash,
                "tx_ids": block.tx_ids,
                "codes": [int(code) for code in block.codes],
                "events": [
                    (event.index, event.tx_id, event.chaincode, event.name, event.payload) for event in block.events
                ],
                "config_changed": block.config_changed,
                "work_s": self.work_s,
                "behind": self.behind,
            }
        )

    @classmethod
    def from_members(cls, members: dict[str, Any], size: int) -> BlockCommitted:
        """Read the frame's members but for its kind."""
        work_s, behind = members.pop("work_s"), members.pop("behind")
        channel, number, timestamp_us = members["channel"], members["number"], members["timestamp_us"]
        members["tx_ids"] = tuple(members["tx_ids"])
        members["codes"] = tuple([CODES[code] for code in members["codes"]])
        members["events"] = tuple(
            [
                ChaincodeEvent(channel, chaincode, name, payload, tx_id, number, index, timestamp_us)
                for index, tx_id, chaincode, name, payload in members["events"]
            ]
        )
        return cls(CommittedBlock(**members), work_s, behind, size)


@dataclass(frozen=True, slots=True)
class CommitterReady:
    """All ledgers are open; ``heights`` are in blocks."""

    heights: dict[str, int]

    def to_bytes(self) -> bytes:
        """The frame."""
        return jsontext.dumps({"report": "ready", "heights": self.heights})


@dataclass(frozen=True, slots=True)
class SourceChanged:
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
class CommitterFault:
    """The committer cannot go on and ends; ``error`` is a GridLedgerError's wire form."""

    message: str
    error: dict[str, Any] = field(default_factory=dict)

    def to_bytes(self) -> bytes:
        """The frame."""
        return jsontext.dumps({"report": "failed", "message": self.message, "error": self.error})


CommitterReport = BlockCommitted | CommitterReady | SourceChanged | CommitterFault


def read_report(frame: bytes) -> CommitterReport:
    """Read a frame; :class:`MalformedMessage` when it is none of ours."""
    members = jsontext.loads_trusted(frame)
    kind = members.pop("report", None)
    try:
        if kind == "committed":
            return BlockCommitted.from_members(members, len(frame))
        if kind == "source":
            return SourceChanged(**members)
        if kind == "ready":
            return CommitterReady(**members)
        if kind == "failed":
            return CommitterFault(**members)
    except (KeyError, TypeError, ValueError) as error:
        raise MalformedMessage(f"the committer's report cannot be read: {error}") from None
    raise MalformedMessage(f"the committer's report is of an unknown kind {kind!r}")
