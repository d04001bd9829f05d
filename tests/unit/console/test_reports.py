"""Reports of benchmarks in a folder, which may hold anything."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest

from gridledger.errors import NotFoundError
from services.console.pages.benchmark import SANDBOX, run_rows
from services.console.reports import Measured, page_bytes, read_run, runs

LOAD = {
    "started_at": "2026-12-01T03:00:00Z",
    "topology": "three-shards",
    "workload": "ComputeVSI",
    "offered_tx_s": 100.0,
    "tx_s": 99.5,
    "latency": {"p50_ms": 8.0, "p95_ms": 14.0, "p99_ms": 19.0},
}
REPORT = {"title": "daily", "machine": {"processor": "X", "cores": 2, "commit": "abc"}, "loads": [LOAD]}


def write(folder: Path, name: str, report: Any, age_s: int = 0) -> None:
    (folder / name).mkdir()
    path = folder / name / "report.json"
    path.write_text(report if isinstance(report, str) else json.dumps(report))
    os.utime(path, (1_000_000 - age_s, 1_000_000 - age_s))


def test_the_newest_run_stands_first_and_what_cannot_be_read_before_it(tmp_path: Path) -> None:
    write(tmp_path, "old", REPORT, age_s=10)
    write(tmp_path, "new", REPORT)
    write(tmp_path, "broken", "{", age_s=20)
    (tmp_path / "no-report").mkdir()
    found = runs(tmp_path)
    assert [run.name for run in found] == ["new", "old", "broken"]
    assert found[0].loads == (Measured("2026-12-01T03:00:00Z", "three-shards", "ComputeVSI", 100.0, 99.5, 8, 14, 19),)
    assert (found[0].machine, found[0].commit) == ("X, 2 cores", "abc")
    rows = run_rows(found)
    assert [row.cells["run"].text for row in rows] == ["broken", "new (daily)", "old (daily)"]
    assert rows[0].state == "bad"
    assert len(run_rows(found, topology="two-shards")) == 1


@pytest.mark.parametrize(
    "text",
    [b"[]", b"null", b'{"loads": 3, "machine": [], "title": {}}', b'{"loads": [null, 1, {"tx_s": "x", "latency": 2}]}'],
)
def test_a_report_of_another_shape_has_no_numbers(text: bytes) -> None:
    run = read_run("x", text, has_page=False)
    assert not run.fault
    assert all(load.tx_s is None and load.p99_ms is None for load in run.loads)
    run_rows([run])


def test_there_may_be_no_folder(tmp_path: Path) -> None:
    assert runs(tmp_path / "none") == []


def test_only_a_page_below_the_folder_is_shown(tmp_path: Path) -> None:
    reports = tmp_path / "reports"
    reports.mkdir()
    write(reports, "one", REPORT)
    (reports / "one" / "report.html").write_text("<h1>one</h1>")
    (tmp_path / "secret").mkdir()
    (tmp_path / "secret" / "report.html").write_text("secret")
    (reports / "link").symlink_to(tmp_path / "secret")
    assert page_bytes(reports, "one") == b"<h1>one</h1>"
    for name in ("..", "../secret", "link", "none", "", "one/../one", "."):
        with pytest.raises(NotFoundError):
            page_bytes(reports, name)


def test_a_report_runs_no_script_and_has_no_origin() -> None:
    first, *_ = SANDBOX.split(";")
    assert first == "sandbox"
    assert "default-src 'none'" in SANDBOX
