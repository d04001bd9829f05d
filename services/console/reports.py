"""Reports of benchmarks as they lie in a folder: ``report.json`` and ``report.html`` of each run. They are foreign
text: whoever can write there says what stands in them."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

from gridledger import jsontext
from gridledger.errors import GridLedgerError, NotFoundError

MAX_RUNS: Final = 50
MAX_FOLDERS: Final = 2000
MAX_LOADS: Final = 200
MAX_REPORT_BYTES: Final = 16 * 1024 * 1024
_NAME: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,127}")


@dataclass(frozen=True, slots=True)
class Measured:
    """One load of a run. Latencies are milliseconds, None where nothing became VALID."""

    started_at: str
    topology: str
    workload: str
    offered_tx_s: float | None
    tx_s: float | None
    p50_ms: float | None
    p95_ms: float | None
    p99_ms: float | None


@dataclass(frozen=True, slots=True)
class Run:
    """One run: the name of its folder, the machine and its loads; ``fault`` says why its report cannot be read."""

    name: str
    title: str = ""
    commit: str = ""
    machine: str = ""
    loads: tuple[Measured, ...] = ()
    has_page: bool = False
    fault: str = ""


def runs(folder: Path) -> list[Run]:
    """The newest ``MAX_RUNS`` runs below a folder, the newest first; nothing where there is no such folder."""
    found = []
    try:
        for number, path in enumerate(folder.iterdir()):
            if number >= MAX_FOLDERS:
                break
            report = path / "report.json"
            if _NAME.fullmatch(path.name) and report.is_file():
                found.append((report.stat().st_mtime, path))
    except OSError:
        return []
    found.sort(key=lambda one: (-one[0], one[1].name))
    return [_run(path) for _, path in found[:MAX_RUNS]]


def page_bytes(folder: Path, name: str) -> bytes:
    """A run's page. :class:`NotFoundError` where it has none below this folder, or a longer one than is shown."""
    missing = NotFoundError(f"there is no report {name!r:.80}")
    if not _NAME.fullmatch(name):
        raise missing
    try:
        path = (folder / name / "report.html").resolve(strict=True)
        if not path.is_relative_to(folder.resolve()) or path.stat().st_size > MAX_REPORT_BYTES:
            raise missing
        return path.read_bytes()
    except OSError:
        raise missing from None


def _run(path: Path) -> Run:
    report = path / "report.json"
    try:
        if report.stat().st_size > MAX_REPORT_BYTES:
            return Run(path.name, fault=f"report.json has more than {MAX_REPORT_BYTES:,} bytes")
        return read_run(path.name, report.read_bytes(), has_page=(path / "report.html").is_file())
    except OSError as error:
        return Run(path.name, fault=f"report.json cannot be read: {error.strerror}")


def read_run(name: str, text: bytes, *, has_page: bool) -> Run:
    """A run by the text of its ``report.json``; what a report of another version lacks stays empty."""
    try:
        report = jsontext.loads(text)
    except GridLedgerError as error:
        return Run(name, has_page=has_page, fault=f"report.json cannot be read: {error.message}")
    machine = _member(report, "machine", dict)
    cores = _number(machine, "cores")
    words = [_member(machine, "processor", str), "" if cores is None else f"{cores:g} cores"]
    return Run(
        name=name,
        title=_member(report, "title", str),
        commit=_member(machine, "commit", str),
        machine=", ".join(filter(None, words)),
        loads=tuple(map(_measured, _member(report, "loads", list)[:MAX_LOADS])),
        has_page=has_page,
    )


def _measured(load: Any) -> Measured:
    latency = _member(load, "latency", dict)
    return Measured(
        started_at=_member(load, "started_at", str),
        topology=_member(load, "topology", str),
        workload=_member(load, "workload", str),
        offered_tx_s=_number(load, "offered_tx_s"),
        tx_s=_number(load, "tx_s"),
        p50_ms=_number(latency, "p50_ms"),
        p95_ms=_number(latency, "p95_ms"),
        p99_ms=_number(latency, "p99_ms"),
    )


def _member(value: Any, name: str, kind: type) -> Any:
    """A member of an object, or the empty value of its kind where there is none of this kind."""
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, kind) else kind()


def _number(value: Any, name: str) -> float | None:
    found = value.get(name) if isinstance(value, Mapping) else None
    return found if isinstance(found, int | float) and not isinstance(found, bool) else None
