"""A folder with the Parquet files of batches: a batch's file is found by its SHA-256, and counts if its rows give the
root that the ledger has. Names and dates of files say nothing."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import file_digest
from pathlib import Path
from typing import Any, Final

from gridledger.errors import InputError
from gridledger.evidence.errors import EvidenceError
from services.case.row_files import MAX_FILE_BYTES, columns_of_file
from services.case.rows import Row

MAX_FILES: Final = 1_000_000


@dataclass(slots=True)
class BatchRows:
    """The rows of batches. ``columns``: by device, its rows by column in the order of its batches. ``used``: the
    batches whose file was there; ``missing``: those whose file was not; ``refused``: in words, those whose rows are not
    the ledger's. ``strange``: how many files are none of these batches'."""

    columns: dict[str, dict[str, list[Any]]] = field(default_factory=dict)
    used: list[Row] = field(default_factory=list)
    missing: list[Row] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    strange: int = 0

    def notes(self) -> list[str]:
        """What a reader must know of files that are not there, or do not count."""
        told = [f"refused: {each}" for each in self.refused]
        if self.missing:
            first = self.missing[0]
            told.append(f"{len(self.missing)} batches have no file, the first {first.device}/{first.seq}")
        if self.strange:
            told.append(f"{self.strange} files are none of the case's batches: they were changed, or belong elsewhere")
        return told


def read_batches(folder: Path, batches: Sequence[Row]) -> BatchRows:
    """The rows of these batches, as far as the folder has their files; :class:`InputError` where it cannot be read."""
    files = _by_hash(folder)
    found = BatchRows(strange=len(files.keys() - {str(row.details.get("sha256")) for row in batches}))
    for row in sorted(batches, key=lambda each: (str(each.device), each.seq or 0)):
        path = files.get(str(row.details.get("sha256")))
        if path is None:
            found.missing.append(row)
            continue
        try:
            columns = columns_of_file(path.read_bytes(), row.details, f"{row.device}/{row.seq}")
        except (EvidenceError, OSError) as error:
            found.refused.append(str(error))
            continue
        found.used.append(row)
        _append(found.columns.setdefault(str(row.device), {}), columns)
    return found


def _by_hash(folder: Path) -> dict[str, Path]:
    found: dict[str, Path] = {}
    try:
        for path in sorted(folder.rglob("*.parquet")):
            if len(found) >= MAX_FILES:
                raise InputError(f"{folder} has more than {MAX_FILES} files")
            if path.is_file() and path.stat().st_size <= MAX_FILE_BYTES:
                with path.open("rb") as file:
                    found[file_digest(file, "sha256").hexdigest()] = path
    except OSError as error:
        raise InputError(f"{error.filename or folder}: {error.strerror or error}") from None
    if not found:
        raise InputError(f"{folder} has no file that ends with .parquet")
    return found


def _append(columns: dict[str, list[Any]], more: dict[str, list[Any]]) -> None:
    """Put a batch's rows behind a device's others; what one of the two does not have is None there."""
    before = max(map(len, columns.values()), default=0)
    rows = max(map(len, more.values()), default=0)
    for name in columns.keys() | more.keys():
        columns.setdefault(name, [None] * before).extend(more.get(name, [None] * rows))
