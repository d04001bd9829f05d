"""The child of :mod:`.child`: ``python -m ... CPU_S MEMORY_BYTES`` reads files until its input ends."""

from __future__ import annotations

import os
import sys
from contextlib import suppress

import numpy as np

from gridledger import jsontext
from gridledger.grid.case_files.child import MAX_LINE, TABLES
from gridledger.grid.case_files.tables import CaseFileError, CaseTables

_MAX_ERROR = 1000
"""Characters of an error that is told."""


def main() -> None:
    """Answer every request."""
    cpu_s, memory_bytes = int(sys.argv[1]), int(sys.argv[2])
    requests = sys.stdin.buffer
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "wb")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what a library prints is no answer
    _bound_memory(memory_bytes)
    while line := requests.readline(MAX_LINE):
        request = jsontext.loads(line)
        _bound_time(cpu_s)
        answers.writelines(_answer(request["kind"], request["name"], requests.read(request["bytes"])))
        answers.flush()


def _answer(kind: str, name: str, data: bytes) -> list[bytes]:
    try:
        tables = _tables(kind, name, data)
    except CaseFileError as error:
        return [_error(str(error))]
    except ImportError as error:
        return [_line({"missing": error.name or str(error)[:100]})]
    except MemoryError:
        return [_error(f"{name}: reading it takes more memory than is allowed: it is damaged, or far too large")]
    except Exception as error:
        return [_error(f"{name}: no case that can be read: {error!r}")]
    parts = [np.zeros((0, 2)) if table is None else table for table in (getattr(tables, one) for one in TABLES)]
    numbers = [np.asarray([tables.base_mva]), *parts]
    return [
        _line({"rows": [len(part) for part in parts]}),
        *(np.ascontiguousarray(part, dtype="<f8").tobytes() for part in numbers),
    ]


def _tables(kind: str, name: str, data: bytes) -> CaseTables:
    if kind == ".json":
        from gridledger.grid.case_files.pandapower_net import tables_of_net_text  # noqa: PLC0415 -- takes 2 s

        return tables_of_net_text(name, jsontext.loads_trusted(data))  # the parent has parsed it
    from gridledger.grid.case_files.matpower_binary import tables_of_mat, tables_of_workbook  # noqa: PLC0415

    return (tables_of_mat if kind == ".mat" else tables_of_workbook)(name, data)


def _error(text: str) -> bytes:
    return _line({"error": text[:_MAX_ERROR].encode("utf-8", "replace").decode()})


def _line(head: dict[str, object]) -> bytes:
    return jsontext.dumps(head) + b"\n"


def _bound_memory(memory_bytes: int) -> None:
    try:
        import resource  # noqa: PLC0415 -- Windows has none
    except ImportError:
        return
    for what, limit in ((resource.RLIMIT_CORE, 0), (resource.RLIMIT_AS, memory_bytes)):
        hard = resource.getrlimit(what)[1]
        with suppress(OSError, ValueError):  # macOS bounds no addresses: time and inflated sizes are bounded still
            resource.setrlimit(what, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


def _bound_time(cpu_s: int) -> None:
    """Processor time from now on."""
    try:
        import resource  # noqa: PLC0415 -- Windows has none
    except ImportError:
        return
    used = resource.getrusage(resource.RUSAGE_SELF)
    hard = resource.getrlimit(resource.RLIMIT_CPU)[1]
    limit = int(used.ru_utime + used.ru_stime) + 1 + cpu_s
    resource.setrlimit(resource.RLIMIT_CPU, (limit if hard == resource.RLIM_INFINITY else min(limit, hard), hard))


if __name__ == "__main__":
    main()
