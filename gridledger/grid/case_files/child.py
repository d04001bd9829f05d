"""Reads case files in a child process, for formats whose readers may crash, hang or take memory without bound.

MATLAB's binary format is read by compiled code that a damaged file can crash; workbooks and nets may be made to
unfold into far more than they are. Whatever the child does, the caller gets tables or a CaseFileError. The child has
the caller's rights: it is a bound, no sandbox.

A request is a line of JSON (``kind``, ``name``, ``bytes``) and the file's bytes. An answer is a line of JSON, ``error``
or the ``rows`` of bus, gen, branch and coordinates, and behind it binary64 numbers: base_mva and the tables by row.
"""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from threading import Event, Timer
from typing import IO, Any, Final, Self

import numpy as np

from gridledger import jsontext
from gridledger.errors import MalformedJSON
from gridledger.extras import MissingExtra
from gridledger.grid.case_files.tables import COLUMNS, MAX_ROWS, CaseFileError, CaseTables, Table

TABLES: Final = (*COLUMNS, "coordinates")
WIDTHS: Final = (*(len(columns) for columns in COLUMNS.values()), 2)
MAX_LINE: Final = 16_384
"""Bytes of the line that begins a request or an answer."""
_NUMBER_BYTES: Final = 8
_ENDS_S: Final = 5.0
"""How long a child may take to end once its input has ended."""
_OUT_OF_TIME: Final = -getattr(signal, "SIGXCPU", 1 << 16)
"""How a child ends that has used up its processor time; nothing where the system has no such signal."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """What the child may take for a file: wall time, and where the system bounds them processor time and addresses.

    A workbook of the largest tables that are read takes about 100 s. Importing pandapower takes 1.6 GiB of addresses.
    """

    wall_s: float = 300.0
    cpu_s: int = 180
    memory_bytes: int = 3 * 1024**3


class CaseFileChild:
    """A child process that reads one file after the other, started when the first comes, and anew when it has died."""

    def __init__(self, bounds: Bounds | None = None) -> None:
        self._bounds = bounds or Bounds()
        self._process: subprocess.Popen[bytes] | None = None

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        if self._process is not None:
            self._process.kill()  # it has nothing to save, and taking pandas down takes a second
        self._end()

    def tables(self, kind: str, name: str, data: bytes) -> CaseTables:
        """The tables of a file's bytes. ``kind``: what a case file's name ends in.

        Raises CaseFileError, also where the child dies or takes too long, and MissingExtra.
        """
        name = name.encode("utf-8", "replace").decode()  # names of files need not be UTF-8
        process = self._started()
        stdin, stdout = process.stdin, process.stdout
        assert stdin is not None and stdout is not None  # noqa: S101, PT018 -- both are pipes
        too_long = Event()

        def give_up() -> None:
            too_long.set()
            process.kill()

        timer = Timer(self._bounds.wall_s, give_up)
        timer.daemon = True
        timer.start()
        try:
            stdin.write(jsontext.dumps({"kind": kind, "name": name, "bytes": len(data)}) + b"\n")
            stdin.write(data)
            stdin.flush()
            return _answer(name, stdout)
        except (OSError, EOFError):
            what = self._what_happened(kind, too_long.is_set())
            raise CaseFileError(
                f"{name}: {what}: the file is damaged, or far too large; write the case anew, or as .m"
            ) from None
        finally:
            timer.cancel()

    def _what_happened(self, kind: str, too_long: bool) -> str:
        """Why a child gave no answer. The child is gone then."""
        status = self._end()
        if too_long:
            return f"reading it took longer than {self._bounds.wall_s:g} s"
        if status == _OUT_OF_TIME:
            return f"reading it took more than {self._bounds.cpu_s} s of a processor"
        how = f"signal {-status}" if status < 0 else f"exit code {status}"
        return f"the reader of {kind} files crashed on it ({how})"

    def _started(self) -> subprocess.Popen[bytes]:
        if self._process is not None and self._process.poll() is None:
            return self._process
        self._end()
        limits = (str(self._bounds.cpu_s), str(self._bounds.memory_bytes))
        # What a pool of threads sets aside counts as addresses, so there is none.
        environment = {"PYTHONPATH": os.pathsep.join(entry or str(Path.cwd()) for entry in sys.path)} | dict.fromkeys(
            ("OPENBLAS_NUM_THREADS", "OMP_NUM_THREADS", "MKL_NUM_THREADS"), "1"
        )
        self._process = subprocess.Popen(  # noqa: S603 -- our own module
            [sys.executable, "-P", "-m", "gridledger.grid.case_files.child_main", *limits],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            env=os.environ | environment,
        )
        return self._process

    def _end(self) -> int:
        """End the child, if there is one; how it ended: minus a signal, or an exit code."""
        process, self._process = self._process, None
        if process is None:
            return 0
        for pipe in (process.stdin, process.stdout):
            with suppress(OSError):  # it died with a request half read
                if pipe is not None:
                    pipe.close()
        try:
            return process.wait(_ENDS_S)
        except subprocess.TimeoutExpired:
            process.kill()
            return process.wait()


def _answer(name: str, stdout: IO[bytes]) -> CaseTables:
    """The tables in an answer; EOFError for what is none: the child wrote it after it had read what may be hostile."""
    head = _head(stdout.readline(MAX_LINE))
    if "missing" in head:
        raise MissingExtra(f"the case file {name}", str(head["missing"])[:100], "feeder")
    if "error" in head:
        raise CaseFileError(str(head["error"]))
    rows = head.get("rows")
    if not isinstance(rows, list) or len(rows) != len(TABLES) or not all(_is_count(count) for count in rows):
        raise EOFError
    wanted = _NUMBER_BYTES * (1 + sum(count * width for count, width in zip(rows, WIDTHS, strict=True)))
    data = stdout.read(wanted)
    if len(data) != wanted:
        raise EOFError
    numbers: Table = np.frombuffer(data, dtype="<f8").astype(np.float64)
    tables: list[Table] = []
    at = 1
    for count, width in zip(rows, WIDTHS, strict=True):
        tables.append(numbers[at : at + count * width].reshape(count, width))
        at += count * width
    bus, gen, branch, coordinates = tables
    if len(coordinates) not in (0, len(bus)):
        raise EOFError
    return CaseTables(name, float(numbers[0]), bus, gen, branch, coordinates if len(coordinates) else None)


def _head(line: bytes) -> dict[str, Any]:
    try:
        head = jsontext.loads(line)
    except MalformedJSON:
        raise EOFError from None
    if isinstance(head, dict):
        return head
    raise EOFError


def _is_count(value: object) -> bool:
    return isinstance(value, int) and not isinstance(value, bool) and 0 <= value <= MAX_ROWS
