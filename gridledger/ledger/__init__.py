"""One channel's data on one peer: world state, history, transaction index, blocks; validation and commit.

Readers (chaincode hosts, a peer's edge) need :class:`Ledger` and :class:`Snapshot` alone; these import neither
cryptography nor the channel config until a config is asked for. The committer's side stands in
:mod:`gridledger.ledger.validation`, :mod:`gridledger.ledger.committer` and :mod:`gridledger.ledger.verify`.

Needs the extra ``server``: without lmdb importing this package raises :class:`~gridledger.extras.MissingExtra`.
"""

from __future__ import annotations

from gridledger.ledger.errors import (
    BlockMissing,
    BlockRejected,
    LedgerExists,
    LedgerMissing,
    StorageFailed,
    StorageFull,
    TransactionMissing,
)
from gridledger.ledger.ledger import Ledger
from gridledger.ledger.metadata import BlockMetadata, Head
from gridledger.ledger.snapshot import Snapshot

__all__ = [
    "BlockMetadata",
    "BlockMissing",
    "BlockRejected",
    "Head",
    "Ledger",
    "LedgerExists",
    "LedgerMissing",
    "Snapshot",
    "StorageFailed",
    "StorageFull",
    "TransactionMissing",
]
