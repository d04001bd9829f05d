"""The audit log's file."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gridledger.errors import UnavailableError
from services.ca.audit import AuditLog


def test_a_line_has_its_time_event_and_members(tmp_path: Path) -> None:
    log = AuditLog(tmp_path / "audit.log")
    log.write("enroll", 1_700_000_000_000_001, id="peer1", hosts=["localhost"])
    log.close()
    line = json.loads((tmp_path / "audit.log").read_text())
    assert line == {"time": "2023-11-14T22:13:20.000001Z", "event": "enroll", "id": "peer1", "hosts": ["localhost"]}


def test_a_line_that_a_kill_cut_short_does_not_swallow_the_next(tmp_path: Path) -> None:
    path = tmp_path / "audit.log"
    path.write_text('{"event": "register"}\n{"half')
    log = AuditLog(path)
    log.write("enroll", 0)
    log.close()
    assert [line[:7] for line in path.read_text().splitlines()] == ['{"event', '{"half', '{"time"']
    assert json.loads(path.read_text().splitlines()[-1])["event"] == "enroll"


def test_a_line_that_does_not_fit_is_an_error(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    log = AuditLog(tmp_path / "audit.log")
    monkeypatch.setattr("os.write", lambda _descriptor, line: len(line) - 1)
    with pytest.raises(UnavailableError, match="disk is full"):
        log.write("enroll", 0)
