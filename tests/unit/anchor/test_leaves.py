"""The file of leaf hashes: appended to, cut, and read back as a tree."""

from __future__ import annotations

import errno
import os
from hashlib import sha256
from pathlib import Path

import pytest

from gridledger.evidence.anchor import HeaderTree
from services.anchor.leaves import LeafFile

LEAVES = [sha256(bytes([number])).digest() for number in range(9)]


def test_what_was_added_is_read_back(tmp_path: Path) -> None:
    file = LeafFile(tmp_path / "new" / "shard1.leaves")
    file.add(LEAVES[:4])
    file.add([])
    file.add(LEAVES[4:])
    file.close()
    file.close()
    again = LeafFile(tmp_path / "new" / "shard1.leaves")
    assert (again.size, again.leaf(8)) == (9, LEAVES[8])
    assert again.tree().root() == HeaderTree.from_hashes(LEAVES).root()
    again.cut(3)
    assert again.tree().root() == HeaderTree.from_hashes(LEAVES[:3]).root()
    again.close()


@pytest.mark.parametrize("torn", range(1, 32))
def test_a_torn_end_is_cut(tmp_path: Path, torn: int) -> None:
    path = tmp_path / "shard1.leaves"
    path.write_bytes(b"".join(LEAVES[:3]) + LEAVES[3][:torn])
    file = LeafFile(path)
    assert (file.size, path.stat().st_size) == (3, 96)
    file.add(LEAVES[3:5])
    assert file.tree().root() == HeaderTree.from_hashes(LEAVES[:5]).root()
    file.close()


def test_a_full_disk_leaves_the_file_as_it_was(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    file = LeafFile(tmp_path / "shard1.leaves")
    file.add(LEAVES[:2])
    write, calls = os.pwrite, 0

    def fails(descriptor: int, data: bytes, at: int) -> int:
        nonlocal calls
        calls += 1
        if calls > 1:
            raise OSError(errno.ENOSPC, "full")
        return write(descriptor, data[:40], at)

    monkeypatch.setattr(os, "pwrite", fails)
    with pytest.raises(OSError, match="full"):
        file.add(LEAVES[2:6])
    monkeypatch.undo()
    assert (file.size, (tmp_path / "shard1.leaves").stat().st_size) == (2, 64)
    file.close()
