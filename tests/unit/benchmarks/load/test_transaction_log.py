"""Transaction logs as files."""

from __future__ import annotations

from pathlib import Path

from benchmarks.load.transaction_log import TransactionLog

ROWS = [(0.5, 0.9, "VALID"), (1.4, 1.5, "MVCC_READ_CONFLICT"), (1.6, 1.7, "BUSY"), (2.2, 2.6, "VALID")]


def test_a_log_is_read_as_it_was_written(tmp_path: Path) -> None:
    log = TransactionLog()
    for intended, ended, code in ROWS:
        log.add(intended, intended + 0.01, ended, code, committed=code != "BUSY")
    log.write(tmp_path / "log", begin_at=5.0)
    again, begin_at = TransactionLog.read(tmp_path / "log")
    assert [(intended, ended, code) for intended, _, ended, code in again.rows()] == ROWS
    assert list(again.sent) == list(log.sent)
    assert (again.committed, begin_at) == ({"VALID", "MVCC_READ_CONFLICT"}, 5.0)
