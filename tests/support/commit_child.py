"""Commits prepared blocks until it is killed: ``python -m tests.support.commit_child LEDGERS CHANNEL BLOCKS SIZE``.

Prints a line with the height after each commit, that is when the blocks are durable.
"""

from __future__ import annotations

import sys
from pathlib import Path

from gridledger import framing
from gridledger.ledger import Ledger
from gridledger.ledger.committer import BlockCommitter
from gridledger.protocol.block import SignedBlock


def main(ledgers: str, channel: str, blocks: str, size: int) -> None:
    prepared = framing.unpack(Path(blocks).read_bytes(), max_frames=100_000)
    with Ledger.open(ledgers, channel) as ledger:
        committer = BlockCommitter(ledger)
        height = ledger.height
        print(height, flush=True)
        while height <= len(prepared):
            height += len(committer.process([SignedBlock.from_bytes(item) for item in prepared[height - 1 :][:size]]))
            print(height, flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2], sys.argv[3], int(sys.argv[4]))
