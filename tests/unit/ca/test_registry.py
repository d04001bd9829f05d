"""The registry's file."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import pytest

from gridledger.errors import NoSpaceLeft, SettingsError
from services.ca.registry import Registry, RevocationList


def test_a_registry_of_a_later_version_is_refused(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry.sqlite")
    with registry.transaction():
        registry._db.execute("PRAGMA user_version = 99")
    registry.close()
    with pytest.raises(SettingsError, match="schema 99"):
        Registry(tmp_path / "registry.sqlite")
    (tmp_path / "other").write_text("no database, but long enough to be looked at as one by SQLite itself" * 20)
    with pytest.raises(SettingsError, match="cannot use the registry"):
        Registry(tmp_path / "other")


def test_an_error_in_a_transaction_leaves_all_as_it_was(tmp_path: Path) -> None:
    registry = Registry(tmp_path / "registry.sqlite")
    rows = [("Org1", 1, "pem", 2)] * 2  # the second breaks the primary key
    with pytest.raises(sqlite3.IntegrityError), registry.transaction():
        registry._db.executemany("INSERT INTO revocation_lists VALUES (?, ?, ?, ?)", rows)
    assert registry.revocation_list("Org1") is None
    registry.close()


def test_a_full_disk_leaves_all_as_it_was_and_is_told(tmp_path: Path) -> None:
    """A bound on the file's pages stands for the disk."""
    registry = Registry(tmp_path / "registry.sqlite")
    pages = registry._db.execute("PRAGMA page_count").fetchone()[0]
    registry._db.execute(f"PRAGMA max_page_count = {pages}")
    with pytest.raises(NoSpaceLeft, match="free space where the CA keeps its data"), registry.transaction():
        registry._db.execute("INSERT INTO revocation_lists VALUES ('Org1', 1, ?, 2)", ("x" * 1_000_000,))
    assert registry.revocation_list("Org1") is None
    registry._db.execute(f"PRAGMA max_page_count = {pages + 1000}")
    with registry.transaction():
        registry._db.execute("INSERT INTO revocation_lists VALUES ('Org1', 1, ?, 2)", ("x" * 1_000_000,))
    assert registry.revocation_list("Org1") == RevocationList(1, "x" * 1_000_000, 2)
    registry.close()
