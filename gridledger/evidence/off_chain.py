"""What a package has of what devices keep off the chain: bodies with their salts, and rows with their Merkle paths."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import Any, Final

from gridledger import jsontext
from gridledger.evidence.errors import EvidenceError
from gridledger.protocol.fields import exactly, integer_of, list_of, text_of

BODIES: Final = "bodies.json"
ROWS: Final = "rows.json"
MAX_BODIES: Final = 100_000
MAX_BODY: Final = 1024 * 1024
"""Characters of a body."""
MAX_ROWS: Final = 100_000
MAX_ROW: Final = 16 * 1024
"""Characters of a row's text."""
MAX_HASHES: Final = 64
SALT_DIGITS: Final = 32
_HEX64: Final = re.compile(r"[0-9a-f]{64}", re.ASCII)


@dataclass(frozen=True, slots=True)
class Body:
    """A body that stays off the chain, and its salt (32 hex digits)."""

    channel: str
    device: str
    seq: int
    salt: str
    body: str


@dataclass(frozen=True, slots=True)
class RowPart:
    """A row of a batch: its text, its ``index`` among the batch's rows, and its Merkle path, from the leaf up."""

    channel: str
    device: str
    seq: int
    index: int
    row: str
    path: tuple[bytes, ...]

    @property
    def place(self) -> tuple[str, str, int, int]:
        """By which rows stand in a package, each once."""
        return self.channel, self.device, self.seq, self.index

    @property
    def name(self) -> str:
        """The row in words."""
        return f"row {self.index} of batch {self.seq} of {self.device} on {self.channel}"


def bodies_text(bodies: Sequence[Body]) -> bytes:
    """The file of bodies."""
    return jsontext.dumps(
        [
            {"channel": item.channel, "device": item.device, "seq": item.seq, "salt": item.salt, "body": item.body}
            for item in bodies
        ]
    )


def rows_text(rows: Sequence[RowPart]) -> bytes:
    """The file of rows."""
    return jsontext.dumps([_row(item) for item in rows])


def _row(part: RowPart) -> dict[str, Any]:
    return {
        "channel": part.channel,
        "device": part.device,
        "seq": part.seq,
        "index": part.index,
        "row": part.row,
        "path": [item.hex() for item in part.path],
    }


def read_bodies(value: Any) -> tuple[Body, ...]:
    """The bodies of a package's file; :class:`GridLedgerError`."""
    items = list_of({"bodies": value}, "bodies", max_length=MAX_BODIES)
    return tuple([_body(item) for item in items])


def _body(value: Any) -> Body:
    message = exactly(value, frozenset(("channel", "device", "seq", "salt", "body")), "a body")
    salt = text_of(message, "salt", max_length=SALT_DIGITS)
    if not re.fullmatch(rf"[0-9a-f]{{{SALT_DIGITS}}}", salt, re.ASCII):
        raise EvidenceError("salt", f"must be {SALT_DIGITS} hex digits")
    return Body(
        text_of(message, "channel"),
        text_of(message, "device"),
        integer_of(message, "seq", minimum=1),
        salt,
        text_of(message, "body", max_length=MAX_BODY, empty=True),
    )


def read_rows(value: Any) -> tuple[RowPart, ...]:
    """The rows of a package's file; :class:`GridLedgerError`."""
    rows = tuple([_read_row(item) for item in list_of({"rows": value}, "rows", max_length=MAX_ROWS)])
    if any(later.place <= earlier.place for earlier, later in pairwise(rows)):
        raise EvidenceError("rows", "must ascend by channel, device, batch and index, each once")
    return rows


def _read_row(value: Any) -> RowPart:
    message = exactly(value, frozenset(("channel", "device", "seq", "index", "row", "path")), "a row")
    return RowPart(
        text_of(message, "channel"),
        text_of(message, "device"),
        integer_of(message, "seq", minimum=1),
        integer_of(message, "index"),
        text_of(message, "row", max_length=MAX_ROW),
        hashes_in(message, "path"),
    )


def hashes_in(message: dict[str, Any], name: str) -> tuple[bytes, ...]:
    """A member that lists hashes, each of 64 hex digits."""
    items = list_of(message, name, max_length=MAX_HASHES)
    if not all(isinstance(item, str) and _HEX64.fullmatch(item) for item in items):
        raise EvidenceError(name, "must be hashes of 64 hex digits")
    return tuple([bytes.fromhex(item) for item in items])
