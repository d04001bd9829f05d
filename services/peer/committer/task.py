"""What the edge tells its committer to do: the first frame on their socket."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from pathlib import Path

from gridledger import jsontext

MAX_TASK_BYTES = 1024 * 1024


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
