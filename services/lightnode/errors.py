"""Errors of the light node."""

from __future__ import annotations

from gridledger.errors import (
    NoSpaceLeft,
    NotFoundError,
    UnavailableError,
)


class EventUnknown(NotFoundError):
    """The light node has no such event, or no longer: it is on the ledger, and the ring has gone on."""

    code = "EVENT_UNKNOWN"


class BodyGone(NotFoundError):
    """The body of an event, which is kept off the ledger, was deleted or never was here."""

    code = "BODY_GONE"


class RecorderFull(NoSpaceLeft):
    """The recorder has no room that it may use: the event was not recorded. What waits for the ledger is kept."""

    code = "RECORDER_FULL"
    status = 507


class RecorderOut(UnavailableError):
    """The recorder's disk failed, and what it holds is unknown: nothing is recorded until the process was restarted."""

    code = "RECORDER_OUT"
