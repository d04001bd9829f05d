"""Errors of the vault's holders, of those who talk to them, and of its commands."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from gridledger.errors import (
    ConflictError,
    GridLedgerError,
    InputError,
    NoSpaceLeft,
    NotFoundError,
    PermissionDeniedError,
    UnavailableError,
)


class KemKeyBad(InputError):
    """A text is no key that shares can be sealed to."""

    code = "BAD_KEM_KEY"


class CannotOpen(InputError):
    """A sealed message does not open: it is for another key or purpose, or it was changed on its way."""

    code = "CANNOT_OPEN"


class WrongShare(InputError):
    """What was sent is not the share of which the ledger has the commitment."""

    code = "WRONG_SHARE"
    status = 422


class ShareMissing(NotFoundError):
    """The holder does not have this share."""

    code = "NO_SUCH_SHARE"


class ShareDamaged(ConflictError):
    """The holder's copy of a share is not what the ledger has the commitment of: it has to be repaired."""

    code = "SHARE_DAMAGED"


class NotGranted(PermissionDeniedError):
    """The ledger has no grant for what was asked for: no read, another's, another purpose, or its time is over."""

    code = "NOT_GRANTED"


class HolderRefuses(PermissionDeniedError):
    """The holder is not active on the ledger (revoked, or not admitted yet), and so it takes and serves nothing."""

    code = "HOLDER_NOT_ACTIVE"


class HolderFull(NoSpaceLeft):
    """The holder's disk, or its share of it, is full: the share was not stored and is not acknowledged."""

    code = "HOLDER_FULL"
    status = 507


class HolderOut(UnavailableError):
    """A holder's own files cannot be trusted: it takes and serves nothing until its operator has seen to it."""

    code = "HOLDER_OUT"


class RepairFailed(GridLedgerError):
    """The contributions do not add up to the share that the ledger has the commitment of.

    ``details``: ``named`` are holders whose message is wrong by itself. Where that is empty, one or several of
    ``unresolved`` (all who contributed) told a wrong value, or the fragment was wrong (``part``: key or fragment).
    """

    code = "REPAIR_FAILED"
    status = 422

    def __init__(self, message: str, *, named: Sequence[str] = (), unresolved: Sequence[str] = (), **more: Any) -> None:
        super().__init__(message, named=list(named), unresolved=list(unresolved), **more)


class PutIncomplete(UnavailableError):
    """Fewer holders than t + spare have acknowledged their shares. ``details``: ``object``, ``acked``, ``failed``."""

    code = "PUT_INCOMPLETE"


class TooFewAnswered(UnavailableError):
    """Fewer holders than are needed served a good share.

    ``details``: ``needed``, ``holders`` (how many there are), ``answered`` (names), ``others`` (why not, by name).
    """

    code = "TOO_FEW_ANSWERED"

    def __init__(self, name: str, needed: int, answered: Sequence[str], others: dict[str, str]) -> None:
        count = len(answered) + len(others)
        told = f"{name} needs {needed} of {count}, {len(answered)} answered: {', '.join(answered) or 'none'}"
        missing = "; ".join(f"{holder}: {why}" for holder, why in others.items())
        super().__init__(
            f"{told}; {missing}" if missing else told,
            object=name,
            needed=needed,
            holders=count,
            answered=list(answered),
            others=others,
        )


class DealerAtFault(ConflictError):
    """An object's dealer committed to shares that do not belong together: which data they give depends on whose shares
    are taken. ``details``: ``object``, ``version``, ``holders`` whose shares are false (none where no data came out).
    """

    code = "DEALER_AT_FAULT"


class NotRepaired(ConflictError):
    """A share cannot be repaired as things are; the text says what can be done."""

    code = "NOT_REPAIRED"


class EmergencyRefused(InputError):
    """A request for an emergency read, or an approval of it, is not what it must be."""

    code = "EMERGENCY_REFUSED"
