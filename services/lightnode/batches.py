"""Rows of a PMU in Parquet files, one for each span of time; the ledger gets root and synopsis of each.

Rows of the span that is open lie in a text file, which is written every second, so that a kill costs a second of rows
at most. When a span is over, all of its rows are flushed there; then its Parquet file is on the disk, then the batch is
recorded as an event of the device, then the text file is emptied. A node that is killed on the way makes the same file
and the same batch again, which the recorder knows.
"""

from __future__ import annotations

import asyncio
import cmath
import io
import logging
import os
import re
import struct
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any, Final

import pyarrow as pa
import pyarrow.parquet as pq

from gridledger import jsontext
from gridledger.disk import SYSTEM_DISK, Disk
from gridledger.errors import GridLedgerError
from gridledger.evidence.events import BATCH, batch_body
from gridledger.evidence.rows import TIME, Value, row_path, row_text, rows_root, rows_tree, synopsis_of
from gridledger.field.c37118 import Configuration, PmuData
from gridledger.files import disk_failure, write_atomically
from services.lightnode.errors import RowsChanged, RowsGone
from services.lightnode.recorder.records import Entry

WRITE_EVERY_S: Final = 1.0
LINGER_S: Final = 2.0
"""So long after the end of a span rows of it may come; by the newest row's time, or the node's clock."""
MAX_ROWS: Final = 1_000_000
"""Of one span; further rows are left out, loudly."""
_S: Final = 1_000_000
_FLAGS: Final = os.O_RDWR | os.O_CREAT
_NO_NAME: Final = re.compile(r"[^A-Za-z0-9._-]")
_SINGLE: Final = struct.Struct(">f")

Tell = Callable[[Entry], Awaitable[Any]]

_log = logging.getLogger(__name__)


@dataclass(slots=True)
class Span:
    """The rows of a span that is open. ``begin_us`` to before ``end_us``."""

    begin_us: int
    end_us: int
    columns: tuple[str, ...]
    rows: list[tuple[Value, ...]] = field(default_factory=list)
    written: int = 0

    def texts(self) -> list[bytes]:
        """The rows' texts."""
        return [row_text(self.columns, row) for row in self.rows]


class Rows:
    """The rows of one device. :meth:`take` is called from the event loop; :meth:`run` writes."""

    def __init__(
        self,
        device: str,
        folder: Path,
        batch_s: int,
        where: str,
        tell: Tell,
        *,
        now_us: Callable[[], int],
        disk: Disk = SYSTEM_DISK,
    ) -> None:
        """``where``: what a file's name is appended to, to be its ``uri`` on the ledger."""
        self._device = device
        self._folder = folder
        self._batch_us = batch_s * _S
        self._where = where
        self._tell = tell
        self._now_us = now_us
        self._disk = disk
        self._open = folder / "open.jsonl"
        self._span: Span | None = None
        self._over: list[Span] = []
        self._last_us = -1
        self._ended_us: int | None = None
        """Where the newest batch ends."""
        folder.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._recover()

    def take(self, time_us: int, pmu: PmuData, config: Configuration) -> None:
        """Take a moment. One that is not later than the one before is left out: it was there, or its clock is wrong,
        which events tell."""
        if time_us <= self._last_us:
            return
        self._last_us = time_us
        self._add(time_us, columns_of(config), row_of(time_us, pmu))

    async def run(self) -> None:
        """Write rows, and batches of spans that are over, until this is cancelled."""
        try:
            while True:
                await asyncio.sleep(WRITE_EVERY_S)
                await self.step()
        finally:
            if self._span is not None and not self._over:
                self._write_open(self._span)

    async def step(self) -> None:
        """Write what is due. What fails is told in the log, and tried again."""
        span = self._span
        if span is not None and self._now_us() > span.end_us + int(LINGER_S * _S) and self._last_us < span.end_us:
            self._close()
        try:
            while self._over:
                await self._finish(self._over[0])
                self._over.pop(0)
            if self._span is not None:
                await asyncio.to_thread(self._write_open, self._span)
        except GridLedgerError as error:
            _log.error("rows cannot be kept", extra={"device": self._device, "why": error.message})

    def _add(self, time_us: int, columns: tuple[str, ...], row: tuple[Value, ...]) -> None:
        begin_us = time_us - time_us % self._batch_us
        span = self._span
        if span is not None and (span.columns != columns or not span.begin_us <= time_us < span.end_us):
            if span.columns != columns and time_us < span.end_us:
                span.end_us = time_us  # another configuration: its rows have a file of their own
            self._close()
            span = None
        if span is None:
            begin_us = max(begin_us, self._ended_us or time_us) if self._ended_us is not None else time_us
            end_us = time_us - time_us % self._batch_us + self._batch_us
            span = self._span = Span(begin_us, end_us, columns)
        if len(span.rows) < MAX_ROWS:
            span.rows.append(row)
        elif len(span.rows) == MAX_ROWS:
            _log.error("rows are left out", extra={"device": self._device, "most": MAX_ROWS})

    def _close(self) -> None:
        if self._span is not None:
            self._over.append(self._span)
            self._ended_us = self._span.end_us
            self._span = None

    async def _finish(self, span: Span) -> None:
        """Have a span's file on the disk and its batch in the recorder."""
        name, body = await asyncio.to_thread(self._write_file, span)
        await self._tell(Entry(self._device, BATCH, span.begin_us, body))
        await asyncio.to_thread(self._empty_open)
        _log.debug("a batch of rows", extra={"device": self._device, "file": name, "rows": len(span.rows)})

    def _write_file(self, span: Span) -> tuple[str, str]:
        self._write_open(span, flush=True)
        data = parquet_of(span.columns, span.rows)
        name = f"{span.begin_us:016d}.parquet"
        try:
            write_atomically(self._folder / name, data, mode=0o600, disk=self._disk)
        except OSError as error:
            raise disk_failure(error, self._folder / name) from error
        body = batch_body(
            from_us=span.begin_us,
            to_us=span.end_us,
            rows=len(span.rows),
            root=rows_root(span.texts()),
            sha256=sha256(data).hexdigest(),
            uri=f"{self._where}{name}",
            synopsis=synopsis_of(span.columns, span.rows),
        )
        return name, body

    def _write_open(self, span: Span, *, flush: bool = False) -> None:
        """Append the rows that have come since. Without ``flush`` a power loss costs the rows of a span."""
        rows = span.rows[span.written :]
        if not rows and not flush:
            return
        head = [] if span.written else [jsontext.dumps([span.begin_us, span.end_us, list(span.columns)])]
        lines = b"".join([line + b"\n" for line in (*head, *(jsontext.dumps(row) for row in rows))])
        descriptor = self._disk.open(self._open, _FLAGS, 0o600)
        try:
            self._disk.pwrite(descriptor, (lines,), self._disk.size(descriptor) if span.written else 0)
            if flush:
                self._disk.fdatasync(descriptor)
        except OSError as error:
            raise disk_failure(error, self._open) from error
        finally:
            self._disk.close(descriptor)
        span.written += len(rows)

    def _empty_open(self) -> None:
        descriptor = self._disk.open(self._open, _FLAGS, 0o600)
        try:
            self._disk.truncate(descriptor, 0)
        finally:
            self._disk.close(descriptor)

    def _recover(self) -> None:
        """Take up the span that was open. What is torn at its end is left out."""
        if not self._disk.exists(self._open):
            return
        lines = self._disk.read(self._open).splitlines(keepends=True)
        whole = [line for line in lines if line.endswith(b"\n")]
        try:
            begin_us, end_us, columns = jsontext.loads(whole[0]) if whole else (0, 0, ())
            rows = [tuple(jsontext.loads(line)) for line in whole[1:]]
        except (GridLedgerError, ValueError, TypeError):
            _log.error("the rows of an open span cannot be read", extra={"file": str(self._open)})
            return
        if rows:
            self._span = Span(begin_us, end_us, tuple(columns), rows, written=len(rows))
            self._last_us = int(rows[-1][0] or 0)


def columns_of(config: Configuration) -> tuple[str, ...]:
    """The columns of the first PMU of a stream: names that a synopsis may have, each once."""
    pmu = config.pmus[0]
    names = [TIME, "stat", "frequency", "rocof"]
    for phasor in pmu.phasors:
        names += [f"{_named(phasor.name)}_mag", f"{_named(phasor.name)}_ang"]
    names += [_named(analog.name) for analog in pmu.analogs]
    names += [f"digital_{number}" for number in range(1, len(pmu.digitals) + 1)]
    seen: dict[str, int] = {}
    found: list[str] = []
    for name in names:
        seen[name] = seen.get(name, 0) + 1
        found.append(name if seen[name] == 1 else f"{name}.{seen[name]}")
    return tuple(found)


def row_of(time_us: int, pmu: PmuData) -> tuple[Value, ...]:
    """A moment as a row: magnitudes in V and A, angles in radians; numbers in single precision, as frames have them."""
    row: list[Value] = [time_us, pmu.stat.word, _single(pmu.freq_hz), _single(pmu.rocof_hz_s)]
    for phasor in pmu.phasors:
        row += [_single(abs(phasor)), _single(cmath.phase(phasor))]
    row += [_single(analog) for analog in pmu.analogs]
    return (*row, *pmu.digitals)


def parquet_of(columns: Sequence[str], rows: Sequence[Sequence[Value]]) -> bytes:
    """The file of these rows: ``time_us`` in 64 bits, whole numbers in 32, others in single precision."""
    arrays, encodings = {}, {}
    for place, name in enumerate(columns):
        values = [row[place] for row in rows]
        whole = all(isinstance(value, int) for value in values)
        kind = pa.int64() if name == TIME else pa.int32() if whole else pa.float32()
        arrays[name] = pa.array(values, kind)
        encodings[name] = "DELTA_BINARY_PACKED" if whole else "BYTE_STREAM_SPLIT"
    file = io.BytesIO()
    pq.write_table(pa.table(arrays), file, compression="zstd", use_dictionary=False, column_encoding=encodings)
    return file.getvalue()


def texts_of(data: bytes) -> list[bytes]:
    """The texts of a file's rows."""
    return _texts(pq.read_table(io.BytesIO(data)))


def _texts(table: pa.Table) -> list[bytes]:
    return [
        row_text(table.column_names, row) for row in zip(*(column.to_pylist() for column in table.columns), strict=True)
    ]


class RowFiles:
    """The Parquet files of a node's devices, as they are asked for."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def file(self, device: str, body: str) -> bytes:
        """The file that a batch names. Raises :class:`RowsGone`, and :class:`RowsChanged` where it is another than the
        ledger has the hash of; root and synopsis still prove what was."""
        told = jsontext.loads(body)
        path = self._folder / device / f"{told['from_us']:016d}.parquet"
        try:
            data = path.read_bytes()
        except OSError as error:
            raise RowsGone(f"{path.name} of {device} cannot be read: {error.strerror}", uri=told["uri"]) from None
        if sha256(data).hexdigest() != told["sha256"]:
            raise RowsChanged(
                f"{path.name} of {device} is not the file that the ledger has the hash of: it was changed",
                uri=told["uri"],
            )
        return data

    def row(self, device: str, body: str, index: int) -> dict[str, Any]:
        """A row of a batch, with its path to the batch's root."""
        told = jsontext.loads(body)
        texts = texts_of(self.file(device, body))
        if not 0 <= index < len(texts):
            raise RowsGone(f"the batch has {len(texts)} rows, and no row {index}")
        if rows_root(texts) != told["root"]:
            raise RowsChanged("the rows of the file do not give the root that the ledger has", uri=told["uri"])
        path = row_path(texts, index)
        return {"row": texts[index].decode(), "index": index, "count": len(texts), "path": path, "root": told["root"]}

    def rows(
        self, device: str, body: str, span_us: tuple[int, int], *, start: int = 0, limit: int = MAX_ROWS
    ) -> dict[str, Any]:
        """A batch's rows of a span of time, with their paths: those from the index ``start`` on, at most ``limit``.

        ``next`` is the index of the first that is left out, None where none is.
        """
        told = jsontext.loads(body)
        table = pq.read_table(io.BytesIO(self.file(device, body)))
        texts, times = _texts(table), table[TIME].to_pylist()
        tree = rows_tree(texts)
        if tree.root().hex() != told["root"]:
            raise RowsChanged("the rows of the file do not give the root that the ledger has", uri=told["uri"])
        found = [index for index in range(start, len(texts)) if span_us[0] <= times[index] < span_us[1]]
        rows = [
            {
                "index": index,
                "row": texts[index].decode(),
                "path": [node.hex() for node in tree.inclusion(index, tree.size)],
            }
            for index in found[:limit]
        ]
        following = found[limit] if len(found) > limit else None
        return {"root": told["root"], "count": len(texts), "rows": rows, "next": following}


def _named(name: str) -> str:
    return _NO_NAME.sub("_", name.strip())[:48].lstrip("._-") or "unnamed"


def _single(value: float) -> float | None:
    """A number as single precision has it; None where it was not measured."""
    try:
        single: float = _SINGLE.unpack(_SINGLE.pack(value))[0]
    except OverflowError:
        return None
    return single if single - single == 0 else None
