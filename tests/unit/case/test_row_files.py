"""Rows count only if they are those of the batch on the ledger."""

from __future__ import annotations

import io
from hashlib import sha256
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.rows import row_text, rows_root
from services.case.row_files import columns_of_file

COLUMNS: dict[str, list[Any]] = {"time_us": [1, 2, 3], "V_mag": [1.5, None, 2.5]}


def _file(columns: dict[str, list[Any]] = COLUMNS) -> bytes:
    file = io.BytesIO()
    pq.write_table(pa.table(columns), file)
    return file.getvalue()


def _batch(data: bytes, columns: dict[str, list[Any]] = COLUMNS) -> dict[str, Any]:
    texts = [row_text(list(columns), row) for row in zip(*columns.values(), strict=True)]
    return {"rows": len(texts), "root": rows_root(texts), "sha256": sha256(data).hexdigest()}


def test_the_rows_of_the_batch_are_read() -> None:
    data = _file()
    assert columns_of_file(data, _batch(data), "pmu-1/1") == COLUMNS


def test_a_flipped_byte_is_named() -> None:
    data = _file()
    changed = data[:40] + bytes([data[40] ^ 1]) + data[41:]
    with pytest.raises(EvidenceError, match=r"pmu-1/1.*was changed"):
        columns_of_file(changed, _batch(data), "pmu-1/1")


def test_other_rows_under_the_files_own_hash_do_not_give_the_root() -> None:
    other = _file({**COLUMNS, "V_mag": [1.5, None, 2.6]})
    with pytest.raises(EvidenceError, match="do not give the root"):
        columns_of_file(other, {**_batch(_file()), "sha256": sha256(other).hexdigest()}, "pmu-1/1")


def test_another_number_of_rows_and_what_is_no_parquet_are_told() -> None:
    data = _file()
    with pytest.raises(EvidenceError, match="has 3 rows, the batch 4"):
        columns_of_file(data, {**_batch(data), "rows": 4}, "pmu-1/1")
    for junk in (b"", b"PAR1" * 20, data[:-9]):
        with pytest.raises(EvidenceError, match="no Parquet file"):
            columns_of_file(junk, {**_batch(data), "sha256": sha256(junk).hexdigest()}, "pmu-1/1")
