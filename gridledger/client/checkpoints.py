"""Checkpoints: how far a program has handled an event stream, so that after a restart it continues there."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from gridledger import jsontext
from gridledger.errors import GridLedgerError, SettingsError
from gridledger.files import write_atomically


@dataclass(frozen=True, slots=True)
class Checkpoint:
    """A position in an event stream.

    ``block`` is the block to continue with; its events up to and including ``tx_id``'s are handled (None: none is).
    """

    block: int
    tx_id: str | None = None


class Checkpointer(Protocol):
    """Keeps a checkpoint. Tell it of an event after handling it; then every event is handled at least once."""

    def load(self) -> Checkpoint | None:
        """The checkpoint, None when nothing was handled yet."""

    def checkpoint_block(self, block: int) -> None:
        """All of this block is handled."""

    def checkpoint_transaction(self, block: int, tx_id: str) -> None:
        """The events of this block up to and including this transaction's are handled."""


class MemoryCheckpointer:
    """Keeps a checkpoint in memory, for as long as the process lives."""

    def __init__(self) -> None:
        self._checkpoint: Checkpoint | None = None

    def load(self) -> Checkpoint | None:
        """The checkpoint."""
        return self._checkpoint

    def checkpoint_block(self, block: int) -> None:
        """All of this block is handled."""
        self._keep(Checkpoint(block + 1))

    def checkpoint_transaction(self, block: int, tx_id: str) -> None:
        """The events of this block up to and including this transaction's are handled."""
        self._keep(Checkpoint(block, tx_id))

    def _keep(self, checkpoint: Checkpoint) -> None:
        self._checkpoint = checkpoint


class FileCheckpointer(MemoryCheckpointer):
    """Keeps a checkpoint in a file, which every checkpoint replaces atomically and syncs to the disk."""

    def __init__(self, path: str | Path) -> None:
        super().__init__()
        self._path = Path(path)
        if self._path.exists():
            self._checkpoint = self._read()

    def _read(self) -> Checkpoint:
        try:
            message = jsontext.loads(self._path.read_bytes())
            return Checkpoint(int(message["block"]), message["tx_id"])
        except (GridLedgerError, KeyError, TypeError, ValueError):
            raise SettingsError(f"{self._path} is not a checkpoint; remove it to begin anew") from None

    def _keep(self, checkpoint: Checkpoint) -> None:
        super()._keep(checkpoint)
        write_atomically(self._path, jsontext.dumps({"block": checkpoint.block, "tx_id": checkpoint.tx_id}))
