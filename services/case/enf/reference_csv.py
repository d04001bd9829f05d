"""A reference from a CSV file with the columns ``time_s`` and ``frequency_hz``, read in batches."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, Final

import numpy as np

from services.case.enf.errors import BadReference
from services.case.enf.reference import Batch, Reference, reference_of

TIME, FREQUENCY = "time_s", "frequency_hz"
MOST_BYTES: Final = 16 * 1024**3
_BLOCK_BYTES: Final = 1 << 22
_NOT_MEASURED: Final = ["", "NaN", "nan", "NAN", "null", "NULL", "None", "-"]


def read_reference(path: Path, nominal_hz: float) -> Reference:
    """The file's rows; :class:`BadReference` where they are none."""
    try:
        size = path.stat().st_size
    except OSError as error:
        raise BadReference(f"{path}: {error.strerror or error}") from None
    if size > MOST_BYTES:
        raise BadReference(f"{path}: {size} bytes; at most {MOST_BYTES} are read")
    if size == 0:
        raise BadReference(f"{path}: the file is empty; it must have the columns {TIME},{FREQUENCY}")
    try:
        return reference_of(_batches(path), nominal_hz)
    except BadReference as error:
        raise BadReference(f"{path}: {error.message}") from None


def _batches(path: Path) -> Iterator[Batch]:
    import pyarrow as pa  # noqa: PLC0415 -- of the extra forensics
    from pyarrow import csv  # noqa: PLC0415

    options = csv.ConvertOptions(
        column_types={TIME: pa.float64(), FREQUENCY: pa.float64()},
        include_columns=[TIME, FREQUENCY],
        null_values=_NOT_MEASURED,
    )
    try:
        with csv.open_csv(
            path,
            read_options=csv.ReadOptions(block_size=_BLOCK_BYTES),
            convert_options=options,
        ) as reader:
            for batch in reader:
                yield _floats(batch, TIME), _floats(batch, FREQUENCY)
    except (pa.ArrowInvalid, pa.ArrowKeyError, UnicodeDecodeError, OSError) as error:
        raise BadReference(f"it is no CSV with the columns {TIME},{FREQUENCY}: {error}") from None


def _floats(batch: Any, name: str) -> Any:
    return np.asarray(batch.column(name).to_numpy(zero_copy_only=False), dtype=np.float64)
