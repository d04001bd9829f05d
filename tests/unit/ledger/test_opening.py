"""Opening a ledger costs the same for a long chain as for a short one."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.ledger.lmdb_store import LmdbReader
from tests.support.paper import PaperChain, PaperNetwork


def _look_ups(folder: Path, monkeypatch: pytest.MonkeyPatch) -> int:
    """How often the store is asked between opening the ledger and being ready to commit."""
    count = 0
    get, scan = LmdbReader.get, LmdbReader.scan

    def counted_get(self: LmdbReader, table: object, key: bytes) -> bytes | None:
        nonlocal count
        count += 1
        return get(self, table, key)  # type: ignore[arg-type]

    def counted_scan(self: LmdbReader, table: object, start: bytes, stop: bytes) -> object:
        nonlocal count
        for item in scan(self, table, start, stop):  # type: ignore[arg-type]
            count += 1
            yield item

    with monkeypatch.context() as patch:
        patch.setattr(LmdbReader, "get", counted_get)
        patch.setattr(LmdbReader, "scan", counted_scan)
        with Ledger.open(folder, "shard1") as ledger:
            assert ledger.config().sequence == 0
            BlockCommitter(ledger)
    return count


def test_takes_as_many_look_ups_at_any_height(
    tmp_path: Path, paper: PaperNetwork, chain: PaperChain, monkeypatch: pytest.MonkeyPatch
) -> None:
    Ledger.create(tmp_path, paper.genesis).close()
    short = _look_ups(tmp_path, monkeypatch)
    with Ledger.open(tmp_path, "shard1") as ledger:
        committer = BlockCommitter(ledger)
        for _ in range(5):
            committer.process([chain.next(paper.transaction({"a": 1})) for _ in range(40)])
    assert _look_ups(tmp_path, monkeypatch) == short


def test_readers_need_no_cryptography() -> None:
    """A chaincode host starts fast and is never near a key."""
    program = "import sys, gridledger.ledger; sys.exit('cryptography' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", program], check=False, timeout=60).returncode == 0
