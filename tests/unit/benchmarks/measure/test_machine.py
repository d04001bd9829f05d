"""The floor that a machine's signatures set."""

from __future__ import annotations

from pathlib import Path

import pytest

from benchmarks.load.topologies import TOPOLOGIES
from benchmarks.measure.machine import Machine, commit_here


def test_the_floor_counts_every_signature_of_a_transaction() -> None:
    machine = Machine(cores=2, processor="p", python="3.11", commit="0", sign_s=0.001, verify_s=0.002)
    # Client 2, endorsers 3 signatures; endorsers 3, orderer 1, six peers 1 + 3 verifications each.
    assert machine.floor_tx_s(TOPOLOGIES["no-shard"]) == pytest.approx(2 / (5 * 0.001 + 28 * 0.002))
    assert "sign 1000 us, verify 2000 us" in str(machine)


def test_the_commit_is_unknown_without_git(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", str(tmp_path))
    assert commit_here() == "unknown"


def test_the_commit_is_unknown_outside_a_checkout(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("GIT_CEILING_DIRECTORIES", str(tmp_path.parent))
    assert commit_here() == "unknown"
