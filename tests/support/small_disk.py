"""A file system of a few MB, which a test can fill."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

_PIECE = b"x" * 4096


class SmallDisk:
    """A mounted file system; ``root`` is its top folder."""

    def __init__(self, root: Path) -> None:
        self.root = root
        self._filling = root / "filling"

    def fill(self, *, free_kib: int = 0) -> None:
        """Fill it, up to this many KiB."""
        with self._filling.open("ab", buffering=0) as file:
            try:
                while file.write(_PIECE) == len(_PIECE):
                    pass
            except OSError:
                pass
            file.truncate(max(0, file.tell() - free_kib * 1024))

    def make_room(self) -> None:
        """Give back what was filled."""
        self._filling.unlink()


@contextmanager
def small_disk(root: Path, *, mib: int = 24) -> Iterator[SmallDisk]:
    """Mount a disk of this size at ``root`` for the block. Skips the test where nothing can be mounted."""
    root.mkdir()
    command = ["mount", "-t", "tmpfs", "-o", f"size={mib}m", "tmpfs", str(root)]
    try:
        done = subprocess.run(command, capture_output=True, text=True, check=False)
        refusal = done.stderr.strip() if done.returncode else ""
    except OSError as error:
        refusal = str(error)
    if refusal:
        pytest.skip(f"A FULL DISK IS NOT TESTED: no small disk can be mounted here, which takes root ({refusal})")
    try:
        yield SmallDisk(root)
    finally:
        subprocess.run(["umount", "--lazy", str(root)], check=False)
