"""Rows of CSV and Parquet files, one after the other; of a file of any length few are in memory."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

from gridledger.errors import InputError

MAX_ROW_CHARACTERS = 8 * 1024 * 1024
_BATCH_ROWS = 256
_PARQUET = b"PAR1"


def rows_of(path: Path, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    """Each row's columns ``names``, and where it stands for errors. Parquet is known by its first bytes.

    Raises InputError for a file that cannot be read, or that lacks a column.
    """
    try:
        with path.open("rb") as file:
            is_parquet = file.read(len(_PARQUET)) == _PARQUET
        yield from _parquet(path, names) if is_parquet else _csv(path, names)
    except OSError as error:
        raise InputError(f"{path}: {error.strerror or error}") from None


def _csv(path: Path, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    csv.field_size_limit(MAX_ROW_CHARACTERS)
    with path.open(encoding="utf-8-sig", newline="") as file:
        reader = csv.reader(_bounded(path, file))
        try:
            header = next(reader, [])
            places = _places(path, header, names)
            for row in reader:
                if row and len(row) != len(header):
                    raise InputError(f"{path}, line {reader.line_num}: {len(row)} cells, and {len(header)} columns")
                if row:
                    yield f"{path}, line {reader.line_num}", {name: row[at] for name, at in places}
        except (csv.Error, UnicodeDecodeError) as error:
            raise InputError(f"{path}, line {reader.line_num}: {error!s:.200}") from None


def _bounded(path: Path, file: Any) -> Iterator[str]:
    while line := file.readline(MAX_ROW_CHARACTERS + 1):
        if len(line) > MAX_ROW_CHARACTERS:
            raise InputError(f"{path}: a line is longer than {MAX_ROW_CHARACTERS} characters")
        yield line


def _parquet(path: Path, names: Sequence[str]) -> Iterator[tuple[str, dict[str, Any]]]:
    import pyarrow as pa  # noqa: PLC0415 -- takes half a second
    import pyarrow.parquet as pq  # noqa: PLC0415

    try:
        with pq.ParquetFile(path) as file:
            _places(path, file.schema_arrow.names, names)
            number = 0
            for batch in file.iter_batches(_BATCH_ROWS, columns=list(names)):
                for row in batch.to_pylist():
                    number += 1
                    yield f"{path}, row {number}", row
    except (pa.ArrowException, ValueError, OverflowError) as error:  # a text that is not UTF-8, a date beyond all years
        raise InputError(f"{path}: it is no Parquet that can be read: {error!s:.200}") from None


def _places(path: Path, header: Sequence[str], names: Sequence[str]) -> list[tuple[str, int]]:
    count = Counter(header)
    if missing := [name for name in names if name not in count]:
        raise InputError(f"{path}: it has no column {missing[0]!r:.80}")
    if twice := [name for name in names if count[name] > 1]:
        raise InputError(f"{path}: it has two columns {twice[0]!r:.80}")
    place = {name: at for at, name in enumerate(header)}
    return [(name, place[name]) for name in names]
