"""Reads a ledger without pause until its input ends: ``python -m tests.support.reading_child LEDGERS CHANNEL``.

Every view must agree with itself; the exit code says so. Prints ``reading`` first and the number of views last.
"""

from __future__ import annotations

import select
import sys

from gridledger.ledger import Ledger


def main(ledgers: str, channel: str) -> None:
    looks, height = 0, 0
    with Ledger.open(ledgers, channel, readonly=True) as ledger:
        print("reading", flush=True)
        while not select.select([sys.stdin], [], [], 0.001)[0]:
            with ledger.snapshot() as snapshot:
                head = snapshot.head
                newest = snapshot.metadata(head.height - 1)
                if newest.commit_hash != head.commit_hash or head.height < height:
                    sys.exit(f"at height {head.height}, after {height}, a view does not agree with itself")
                if snapshot.block(head.height - 1).header.hash != head.header_hash:
                    sys.exit(f"at height {head.height} the newest block is not the head's")
            looks, height = looks + 1, head.height
    print(looks)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2])
