"""What can go wrong with a ledger."""

from __future__ import annotations

from gridledger.errors import ConflictError, CorruptionError, InputError, NotFoundError, UnavailableError


class LedgerMissing(NotFoundError):
    """There is no ledger of this channel in the folder, or its block 0 was never committed."""

    code = "LEDGER_MISSING"


class LedgerExists(ConflictError):
    """The folder holds a ledger of this channel that began with another block 0."""

    code = "LEDGER_EXISTS"


class BlockMissing(NotFoundError):
    """The ledger has not this block, or not yet."""

    code = "BLOCK_NOT_FOUND"


class TransactionMissing(NotFoundError):
    """The ledger has no transaction of this id, or not yet."""

    code = "TRANSACTION_NOT_FOUND"


class BlockRejected(InputError):
    """A block does not continue the chain, is not what its header says, or no orderer of the channel has signed it.

    Nothing of it, nor of blocks given with it, was committed: fetch it from another orderer. ``details`` name the
    block's ``number``.
    """

    code = "BLOCK_REJECTED"


class HeadMoved(ConflictError):
    """Somebody else committed to this ledger meanwhile: a ledger has one committer."""

    code = "HEAD_MOVED"


class StorageFull(UnavailableError):
    """The disk or the ledger's map is full. The ledger is as it was; free space, or raise the map size, and go on."""

    code = "STORAGE_FULL"


class StorageFailed(CorruptionError):
    """Writing or reading the ledger's files failed. What was committed before stays; open the ledger anew to go on."""

    code = "STORAGE_FAILED"
