"""What one device takes in a year."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Device:
    """What a device of a kind leaves in a year, in bytes: in files, in the blocks, in a full node's ledger folder."""

    kind: str
    tells: str
    files: float
    blocks: float
    folder: float

    @property
    def all(self) -> float:
        """On a node that has the files and the section's ledger."""
        return self.files + self.folder
