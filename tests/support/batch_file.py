"""Files of batches as light nodes write them, and their rows on the ledger."""

from __future__ import annotations

import io
from collections.abc import Mapping, Sequence
from hashlib import sha256
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from gridledger.evidence.rows import row_text, rows_root
from services.case.rows import Row
from tests.support.told_rows import row

Columns = Mapping[str, Sequence[Any]]


def parquet(columns: Columns) -> bytes:
    """A file with these columns."""
    file = io.BytesIO()
    pq.write_table(pa.table({name: pa.array(values) for name, values in columns.items()}), file)
    return file.getvalue()


def on_ledger(device: str, seq: int, columns: Columns, data: bytes) -> Row:
    """The batch that the ledger has of a file; ``columns`` have ``time_us``, its times follow one another."""
    read = {name: pq.read_table(io.BytesIO(data))[name].to_pylist() for name in columns}
    texts = [row_text(list(columns), values) for values in zip(*read.values(), strict=True)]
    times = [int(each) for each in columns["time_us"]]
    told: dict[str, Any] = {"from_us": times[0], "to_us": times[-1] + 1, "rows": len(texts), "synopsis": {}}
    told |= {"root": rows_root(texts), "sha256": sha256(data).hexdigest()}
    return row("batch", 0, text=told, device=device, seq=seq, said_us=times[0], block_us=times[-1] + 100_000)


def in_folder(folder: Path, device: str, seq: int, columns: Columns) -> Row:
    """Write the file of a batch; its row on the ledger."""
    data = parquet(columns)
    place = folder / device
    place.mkdir(parents=True, exist_ok=True)
    (place / f"{seq:08d}.parquet").write_bytes(data)
    return on_ledger(device, seq, columns, data)
