"""The check of a ledger's newest blocks when it is opened for committing: bounded, however long the chain is."""

from __future__ import annotations

from gridledger.errors import CorruptionError
from gridledger.ledger.ledger import Ledger
from gridledger.ledger.snapshot import Snapshot

MAX_BLOCKS = 16
MAX_BYTES = 4 * 1024 * 1024


def check_newest(ledger: Ledger) -> int:
    """Read the newest blocks, with all that stands beside them, as they were committed; how many were read.

    What LMDB's pages have lost of them is found here and not when a client asks. Raises :class:`CorruptionError`.
    """
    with ledger.snapshot() as snapshot:
        head = snapshot.head
        expected, checked, size = head.header_hash, 0, 0
        for number in range(head.height - 1, max(-1, head.height - 1 - MAX_BLOCKS), -1):
            block = snapshot.block(number)
            metadata = snapshot.metadata(number)
            codes, envelopes = len(metadata.codes), len(block.envelopes)
            if block.header.hash != expected or not block.data_hash_holds() or codes != envelopes:
                raise _damaged(ledger, snapshot, number)
            if number == head.height - 1 and metadata.commit_hash != head.commit_hash:
                raise _damaged(ledger, snapshot, number)
            expected, checked = block.header.previous_hash, checked + 1
            size += sum(map(len, block.envelopes))
            if size > MAX_BYTES:
                break
        return checked


def _damaged(ledger: Ledger, snapshot: Snapshot, number: int) -> CorruptionError:
    return CorruptionError(
        f"the ledger of channel {ledger.channel!r} is damaged: block {number} of {snapshot.height} is not the one that "
        "was committed; remove the ledger's folder and start the peer again: it fetches all blocks anew",
        block=number,
    )
