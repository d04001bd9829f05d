"""Checkpoints: where a program continues in an event stream, also after a restart."""

from __future__ import annotations

from pathlib import Path

import pytest

from gridledger.client.checkpoints import Checkpoint, FileCheckpointer, MemoryCheckpointer
from gridledger.errors import SettingsError


@pytest.fixture(params=["memory", "file"])
def checkpointer(request: pytest.FixtureRequest, tmp_path: Path) -> MemoryCheckpointer:
    return MemoryCheckpointer() if request.param == "memory" else FileCheckpointer(tmp_path / "checkpoint")


def test_nothing_is_kept_at_first(checkpointer: MemoryCheckpointer) -> None:
    assert checkpointer.load() is None


def test_a_handled_block_is_continued_with_the_next(checkpointer: MemoryCheckpointer) -> None:
    checkpointer.checkpoint_block(7)
    assert checkpointer.load() == Checkpoint(8)


def test_a_handled_transaction_is_continued_in_its_block(checkpointer: MemoryCheckpointer) -> None:
    checkpointer.checkpoint_block(7)
    checkpointer.checkpoint_transaction(8, "t1")
    assert checkpointer.load() == Checkpoint(8, "t1")


def test_a_file_keeps_the_last_checkpoint_over_a_restart(tmp_path: Path) -> None:
    path = tmp_path / "checkpoint"
    first = FileCheckpointer(path)
    assert not path.exists()
    first.checkpoint_transaction(8, "t1")
    assert FileCheckpointer(path).load() == Checkpoint(8, "t1")
    first.checkpoint_block(8)
    assert FileCheckpointer(str(path)).load() == Checkpoint(9)


@pytest.mark.parametrize("text", ["", "{}", "[]", '{"block":"x","tx_id":null}', '{"block":1}'])
def test_a_file_that_is_no_checkpoint_is_refused(tmp_path: Path, text: str) -> None:
    path = tmp_path / "checkpoint"
    path.write_text(text)
    with pytest.raises(SettingsError, match="remove it to begin anew"):
        FileCheckpointer(path)
