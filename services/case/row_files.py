"""Parquet files of rows, held against the batch that the ledger has of them: SHA-256, number of rows, root.

What a file says counts only if the batch's root is over its rows; so a file may come from anybody.
"""

from __future__ import annotations

import io
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Final

from gridledger.evidence.errors import EvidenceError
from gridledger.evidence.rows import row_text, rows_root
from gridledger.extras import require_extra

MAX_FILE_BYTES: Final = 1 << 30
MAX_ROWS: Final = 5_000_000


def columns_of_file(data: bytes, batch: Mapping[str, Any], name: str) -> dict[str, list[Any]]:
    """The columns of a file, by name. ``batch``: its members on the ledger (rows, root, sha256). Raises
    :class:`EvidenceError` under ``name`` where the file is not the batch's."""
    require_extra("forensics", "rows of a batch")
    import pyarrow as pa  # noqa: PLC0415 - of the extra
    import pyarrow.parquet as pq  # noqa: PLC0415

    if len(data) > MAX_FILE_BYTES:
        raise EvidenceError(name, f"the file has {len(data)} bytes, more than {MAX_FILE_BYTES}")
    if sha256(data).hexdigest() != batch.get("sha256"):
        raise EvidenceError(name, "the file is not the one whose SHA-256 the ledger has: it was changed")
    try:
        file = pq.ParquetFile(io.BytesIO(data))
        if file.metadata.num_rows > MAX_ROWS or file.metadata.num_rows != batch.get("rows"):
            raise EvidenceError(name, f"the file has {file.metadata.num_rows} rows, the batch {batch.get('rows')}")
        table = file.read()
    except (pa.ArrowException, OSError, ValueError) as error:
        raise EvidenceError(name, f"the file is no Parquet file that can be read: {str(error)[:200]}") from None
    columns = {column: table[column].to_pylist() for column in table.column_names}
    texts = [row_text(table.column_names, row) for row in zip(*columns.values(), strict=True)]
    if rows_root(texts) != batch.get("root"):
        raise EvidenceError(name, "the file's rows do not give the root that the ledger has")
    return columns
