"""The leaf hashes of one channel's blocks in a file, 32 bytes each, in the order of the blocks.

They are a copy of what the peer has: nothing is flushed, a torn end is cut, and what is not the anchored chain is read
from the peer again.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from typing import Final

from gridledger.evidence.anchor import HeaderTree
from gridledger.protocol.merkle import HASH_BYTES

_CHUNK: Final = 65_536 * HASH_BYTES


class LeafFile:
    """The file, opened for as long as the process lives. Blocks for the disk: a block is 32 bytes."""

    def __init__(self, path: Path) -> None:
        path.parent.mkdir(parents=True, exist_ok=True, mode=0o700)
        self._descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        length = os.fstat(self._descriptor).st_size
        self.size = length // HASH_BYTES
        if length % HASH_BYTES:
            self.cut(self.size)

    def tree(self) -> HeaderTree:
        """The tree over all leaves."""
        tree = HeaderTree()
        for start in range(0, self.size * HASH_BYTES, _CHUNK):
            data = os.pread(self._descriptor, min(_CHUNK, self.size * HASH_BYTES - start), start)
            for at in range(0, len(data), HASH_BYTES):
                tree.append(data[at : at + HASH_BYTES])
        return tree

    def leaf(self, index: int) -> bytes:
        """One leaf's hash."""
        return os.pread(self._descriptor, HASH_BYTES, index * HASH_BYTES)

    def add(self, leaves: Sequence[bytes]) -> None:
        """Append leaves. Raises :class:`OSError` where the disk is full; the file is then as it was."""
        data, at = b"".join(leaves), self.size * HASH_BYTES
        done = 0
        try:
            while done < len(data):
                done += os.pwrite(self._descriptor, data[done:], at + done)
        except OSError:
            self.cut(self.size)
            raise
        self.size += len(leaves)

    def cut(self, size: int) -> None:
        """Keep the first ``size`` leaves."""
        os.ftruncate(self._descriptor, size * HASH_BYTES)
        self.size = size

    def close(self) -> None:
        """Let the file go; closing twice is harmless."""
        if self._descriptor >= 0:
            os.close(self._descriptor)
            self._descriptor = -1
