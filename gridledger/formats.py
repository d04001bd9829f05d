"""The numbers of the stored formats: a node that meets another number stops with one line that says who reads it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from gridledger import __version__
from gridledger.errors import OtherFormat

_READERS = {1: "GridLedger 0.1.0 up to commit 8b6a057", 2: "GridLedger 0.1.0 up to commit 135166e"}


@dataclass(frozen=True, slots=True)
class Format:
    """One stored format. The number grows with each change after which an older version would misread what is stored,
    or a newer one what an older has stored."""

    what: str
    number: int

    def check(self, found: object, where: Path | str) -> None:
        """Raise :class:`OtherFormat` unless ``found``, read at ``where``, is the number that this version reads."""
        if found == self.number:
            return
        readers = _READERS if self.number > 1 else {}
        reader = readers.get(found) if isinstance(found, int) else None
        raise OtherFormat(
            f"{where}: the {self.what} has format {found}, which {reader or 'another version of GridLedger'} reads; "
            f"this one ({__version__}) reads {self.number} and converts nothing: run that version, or begin anew",
            found=found,
            reads=self.number,
        )


BLOCK_STORE = Format("block store", 2)
WRITE_AHEAD_LOG = Format("write-ahead log", 1)
LEDGER = Format("ledger", 2)
INCARNATION = Format("orderer's incarnation", 1)
LIVES = Format("orderer's record of the others", 1)
CHANNEL_RECORD = Format("record of a node's channels", 1)
NETWORK_FOLDER = Format("network's folder", 3)
CHANNEL_CONFIG = Format("channel's configuration", 2)
