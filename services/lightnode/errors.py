"""Errors of the light node."""

from __future__ import annotations

from gridledger.errors import (
    ConflictError,
    GridLedgerError,
    InputError,
    NoSpaceLeft,
    NotFoundError,
    UnavailableError,
)


class EventRefused(InputError):
    """An event that is no event of this device: its kind, its time, or its body. The message begins with the member."""

    code = "EVENT_REFUSED"

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(f"{field}: {reason}", field=field)


class DeviceUnknown(NotFoundError):
    """The light node has no such device."""

    code = "DEVICE_UNKNOWN"


class EventUnknown(NotFoundError):
    """The light node has no such event, or no longer: it is on the ledger, and the ring has gone on."""

    code = "EVENT_UNKNOWN"


class BodyGone(NotFoundError):
    """The body of an event, which is kept off the ledger, was deleted or never was here."""

    code = "BODY_GONE"


class RowsGone(NotFoundError):
    """The rows of a batch are not here any more: root and synopsis on the ledger still say what was."""

    code = "ROWS_GONE"


class RowsChanged(ConflictError):
    """The file of a batch's rows is not the one that the ledger has the hash of."""

    code = "ROWS_CHANGED"


class NotOnChain(ConflictError):
    """There is no proof yet: the event is not on the ledger, or the light node lacks the headers up to it."""

    code = "NOT_ON_CHAIN"


class RecorderFull(NoSpaceLeft):
    """The recorder has no room that it may use: the event was not recorded. What waits for the ledger is kept."""

    code = "RECORDER_FULL"
    status = 507


class RecorderOut(UnavailableError):
    """The recorder's disk failed, and what it holds is unknown: nothing is recorded until the process was restarted."""

    code = "RECORDER_OUT"


class ChainBroken(GridLedgerError):
    """Headers that a peer told do not follow from those that the light node has, or no orderer has signed them."""

    code = "CHAIN_BROKEN"
    status = 502
