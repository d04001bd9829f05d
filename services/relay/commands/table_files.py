"""Captures as a table with a row for each reading: CSV and Parquet, written page by page."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator
from typing import Any, BinaryIO, Final

from gridledger.field.capture import MEASURES, parse_capture

COLUMNS: Final = ("relay", "minute", "time", *MEASURES, "faults", "server", "status", "sha256")
"""``minute`` is a UTC epoch minute, ``time`` the reading's by the relay's clock, ``faults`` the capture's, ``server``
who recorded it, ``sha256`` that of the text which the values are from: the one of record, or else the recorder's."""


class CSVFile:
    """RFC 4180, UTF-8, with a head."""

    def __init__(self, file: BinaryIO, record: dict[str, Any]) -> None:
        self._record = record
        self._text = io.TextIOWrapper(file, encoding="utf-8", newline="")
        self._writer = csv.writer(self._text)
        self._writer.writerow(COLUMNS)

    def add(self, page: list[dict[str, Any]]) -> None:
        """Write captures, as ListCaptures gives them with their texts."""
        self._writer.writerows(_rows_of(self._record, page))

    def close(self) -> None:
        """Leave the file, whole, to its owner."""
        self._text.flush()
        self._text.detach()


class ParquetFile:
    """A row group for each page. Needs pyarrow, of the extra ``relay``."""

    def __init__(self, file: BinaryIO, record: dict[str, Any]) -> None:
        import pyarrow as pa  # noqa: PLC0415 - of an extra
        import pyarrow.parquet as pq  # noqa: PLC0415

        types = dict.fromkeys(COLUMNS, pa.string()) | dict.fromkeys((*MEASURES, "faults"), pa.float64())
        types |= {"minute": pa.int64(), "time": pa.timestamp("ms")}
        self._record = record
        self._table_of = pa.Table.from_pydict
        self._schema = pa.schema(list(types.items()))
        self._writer = pq.ParquetWriter(file, self._schema)

    def add(self, page: list[dict[str, Any]]) -> None:
        """Write captures, as ListCaptures gives them with their texts."""
        columns = zip(*_rows_of(self._record, page), strict=True)
        self._writer.write_table(self._table_of(dict(zip(COLUMNS, columns, strict=True)), schema=self._schema))

    def close(self) -> None:
        """Write the file's end."""
        self._writer.close()


def _rows_of(record: dict[str, Any], page: list[dict[str, Any]]) -> Iterator[tuple[Any, ...]]:
    for item in page:
        # The ledger has judged its times, under the record that held then.
        capture = parse_capture(item["text"], strict=False)
        sha256 = item["record_sha256"] or item["sha256"]
        for reading in capture.readings:
            yield (
                record["relay"],
                int(item["minute"]),
                reading.time,
                *reading.values,
                capture.faults,
                item["server"],
                item["status"],
                sha256,
            )
