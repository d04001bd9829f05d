"""One table of a run, written while the run goes on.

Rows are collected and written in blocks, on one thread, so that the loop does not wait. Each block is a row group: a
Parquet file of its own in ``NAME.parts/`` until the run ends, because a Parquet file can be read only once it is
closed, and lines of ``NAME.csv``. At the end the parts become the one file ``NAME.parquet``.
"""

from __future__ import annotations

import shutil
from collections.abc import Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from pathlib import Path
from typing import Any, Final

from gridledger.extras import MissingExtra
from services.feeder.results.columns import Column

ROWS: Final = 65_536
"""Of a row group; a block that is due by time has fewer."""

_WAITING: Final = 4
"""Blocks that may wait for the disk; then the run waits."""


def arrow() -> Any:
    """The module pyarrow, with its parts for Parquet and CSV. Raises MissingExtra."""
    try:
        import pyarrow  # noqa: PLC0415 -- of an extra; takes half a second
        import pyarrow.csv  # noqa: PLC0415
        import pyarrow.parquet  # noqa: PLC0415
    except ImportError as error:
        raise MissingExtra("a run's tables", "pyarrow", "feeder") from error
    return pyarrow


def schema_of(columns: Sequence[Column]) -> Any:
    """The Arrow schema; unit and meaning of each column are in its metadata."""
    pa = arrow()
    types = {"integer": pa.int64(), "real": pa.float64(), "text": pa.string(), "truth": pa.bool_()}
    return pa.schema(
        [
            pa.field(c.name, types[c.type], nullable=c.optional, metadata={"unit": c.unit, "meaning": c.meaning})
            for c in columns
        ]
    )


class TableWriter:
    """Writes NAME.parquet and NAME.csv into ``folder``. ``disk``: a pool of one thread, which keeps the order."""

    def __init__(self, folder: Path, name: str, columns: Sequence[Column], *, disk: ThreadPoolExecutor, csv: bool):
        self._pa = arrow()
        self._folder, self._name, self._disk = folder, name, disk
        self._names = [column.name for column in columns]
        self._schema = schema_of(columns)
        self._collected: list[Mapping[str, Any]] = []
        self._rows = 0
        self._parts = 0
        self._waiting: list[Future[None]] = []
        self._csv = self._pa.csv.CSVWriter(str(folder / f"{name}.csv"), self._schema) if csv else None
        self._parts_folder.mkdir()

    @property
    def _parts_folder(self) -> Path:
        return self._folder / f"{self._name}.parts"

    def add(self, columns: Mapping[str, Any], rows: int) -> None:
        """Collect rows: for each column an array of ``rows`` values, or one value for all of them.

        NaN in an optional column is an empty field. Arrays must not be changed afterwards. Raises what the writing of
        an earlier block met.
        """
        self._collected.append({**columns, "": rows})
        self._rows += rows
        if self._rows >= ROWS:
            self.write()
        self._raise_failed()

    def write(self) -> None:
        """Have what was collected written; waits only where the disk is far behind. Raises what it met."""
        if not self._rows:
            return
        collected, self._collected, self._rows = self._collected, [], 0
        self._parts += 1
        self._waiting.append(self._disk.submit(self._write, collected, self._parts))
        while len(self._waiting) > _WAITING:
            self._waiting.pop(0).result()
        self._raise_failed()

    def _raise_failed(self) -> None:
        """Take the blocks that are written off the list; raises what the writing of one met."""
        while self._waiting and self._waiting[0].done():
            self._waiting.pop(0).result()

    def close(self) -> None:
        """Write what is left, and join the parts to one file."""
        self.write()
        self._disk.submit(self._join).result()
        for waiting in self._waiting:
            waiting.result()

    def _write(self, collected: list[Mapping[str, Any]], part: int) -> None:
        table = self._table_of(collected)
        path = self._parts_folder / f"{part:06}.parquet"
        # Under its name only once it is whole: whoever reads the parts sees no half of one.
        unfinished = path.with_suffix(".unfinished")
        try:
            self._pa.parquet.write_table(table, unfinished, compression="zstd")
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        unfinished.replace(path)
        if self._csv is not None:
            self._csv.write_table(table)

    def _table_of(self, collected: list[Mapping[str, Any]]) -> Any:
        import numpy as np  # noqa: PLC0415

        columns = []
        for field in self._schema:
            pieces = []
            for rows in collected:
                value = rows[field.name]
                if isinstance(value, self._pa.Array):
                    pieces.append(value)
                elif isinstance(value, np.ndarray | list):
                    pieces.append(self._pa.array(value, type=field.type, from_pandas=field.nullable))
                else:
                    pieces.append(self._pa.repeat(self._pa.scalar(value, type=field.type), rows[""]))
            columns.append(self._pa.chunked_array(pieces, type=field.type).combine_chunks())
        return self._pa.table(columns, schema=self._schema)

    def _join(self) -> None:
        if self._csv is not None:
            self._csv.close()
        unfinished = self._folder / f"{self._name}.unfinished"
        try:
            self._join_into(unfinished)
        except OSError:
            unfinished.unlink(missing_ok=True)
            raise
        unfinished.replace(self._folder / f"{self._name}.parquet")
        shutil.rmtree(self._parts_folder)

    def _join_into(self, unfinished: Path) -> None:
        with self._pa.parquet.ParquetWriter(unfinished, self._schema, compression="zstd") as writer:
            waiting: list[Any] = []
            for part in sorted(self._parts_folder.glob("*.parquet")):
                waiting.append(self._pa.parquet.read_table(part, schema=self._schema))
                if sum(len(table) for table in waiting) >= ROWS:
                    writer.write_table(self._pa.concat_tables(waiting))
                    waiting = []
            if waiting:
                writer.write_table(self._pa.concat_tables(waiting))
