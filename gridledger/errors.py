"""The one tree of errors.

Every error that leaves a module of GridLedger is a :class:`GridLedgerError`. ``code`` is the stable name that programs
test for, ``status`` the HTTP status with which an edge answers, ``details`` what a person needs to find the cause. An
error crosses the wire as ``{"error": {"code", "message", "details"}}`` and is rebuilt by :func:`from_wire`.
"""

from __future__ import annotations

from typing import Any

LEAST_RETRY_AFTER_S, MAX_RETRY_AFTER_S = 0.1, 3600.0
MIN_ERROR_STATUS, MAX_ERROR_STATUS = 400, 599

_BY_CODE: dict[str, type[GridLedgerError]] = {}


class GridLedgerError(Exception):
    """Base of all errors. ``message`` says what is wrong and, where it is known, what to do."""

    code: str = "INTERNAL"
    status: int = 500

    def __init__(self, message: str, *, code: str | None = None, status: int | None = None, **details: Any) -> None:
        super().__init__(message)
        self.message = message
        if code is not None:
            self.code = code
        if status is not None:
            self.status = status
        self.details = details

    def __init_subclass__(cls, **kwargs: Any) -> None:
        super().__init_subclass__(**kwargs)
        if "code" in cls.__dict__:
            _BY_CODE.setdefault(cls.code, cls)

    def to_dict(self) -> dict[str, Any]:
        """The wire form, the value of ``error`` in an HTTP error body."""
        return {"code": self.code, "message": self.message, "details": self.details}


class InputError(GridLedgerError):
    """What was sent cannot be taken as it is."""

    code = "BAD_REQUEST"
    status = 400


class MalformedJSON(InputError):
    """A text is not JSON, or is JSON that the ledger refuses (duplicate names, NaN, numbers beyond binary64)."""

    code = "MALFORMED_JSON"


class MalformedFrames(InputError):
    """A sequence of length-prefixed frames is cut short, too long, or names an impossible length."""

    code = "MALFORMED_FRAMES"


class MalformedMessage(InputError):
    """A proposal, result, transaction, block or config lacks a field, or has one of the wrong type or kind."""

    code = "MALFORMED_MESSAGE"


class SettingsError(InputError):
    """A setting, network-config file or command line cannot be used."""

    code = "BAD_SETTINGS"


class PortTaken(SettingsError):
    """Another process listens on the address."""

    code = "PORT_TAKEN"


class AuthenticationError(GridLedgerError):
    """The caller could not be identified."""

    code = "UNAUTHENTICATED"
    status = 401


class PermissionDeniedError(GridLedgerError):
    """The caller is known and may not do this."""

    code = "PERMISSION_DENIED"
    status = 403


class NotFoundError(GridLedgerError):
    """The thing named does not exist here."""

    code = "NOT_FOUND"
    status = 404


class ConflictError(GridLedgerError):
    """The request contradicts what already is."""

    code = "CONFLICT"
    status = 409


class LimitError(GridLedgerError):
    """A size or count is beyond its bound."""

    code = "LIMIT_EXCEEDED"
    status = 413


class BusyError(GridLedgerError):
    """A bounded queue is full; try again after ``retry_after_s``."""

    code = "BUSY"
    status = 429

    def __init__(self, message: str, *, retry_after_s: float = LEAST_RETRY_AFTER_S, **kwargs: Any) -> None:
        super().__init__(message, retry_after_s=retry_after_s, **kwargs)
        self.retry_after_s = retry_after_s


class UnavailableError(GridLedgerError):
    """Something that is needed cannot be reached now; the same request may succeed later."""

    code = "UNAVAILABLE"
    status = 503


class NoSpaceLeft(UnavailableError):
    """The disk is full: what was to be written is not, and can be written once there is room."""

    code = "NO_SPACE_LEFT"


class TimeoutExceeded(GridLedgerError):
    """A bounded wait ended without an answer. The outcome may be unknown: ask for the transaction's status."""

    code = "TIMEOUT"
    status = 504


class CorruptionError(GridLedgerError):
    """Stored data does not agree with itself. The node stops rather than go on."""

    code = "CORRUPTION"
    status = 500


class OtherFormat(CorruptionError):
    """What is stored has the format of another version. The line names the version that reads it."""

    code = "OTHER_FORMAT"


class DiskFailed(CorruptionError):
    """Writing or flushing a file failed. What is on the disk is unknown, so nothing more is written or trusted: the
    node stops, and reads the disk anew when it is started again."""

    code = "DISK_FAILED"


class RemoteError(GridLedgerError):
    """An error from another node whose code this version does not know."""

    code = "REMOTE_ERROR"
    status = 502


def from_wire(status: int, error: Any) -> GridLedgerError:
    """Rebuild an error from an HTTP status and the value of ``error`` in its body.

    The class is the one registered for the code, so that ``except BusyError`` works across the network; an unknown code
    keeps its name and becomes the family that has this HTTP status, or :class:`RemoteError`.
    """
    if not MIN_ERROR_STATUS <= status <= MAX_ERROR_STATUS:
        status = RemoteError.status  # it is told on as the status of an answer of ours
    if not isinstance(error, dict):
        return RemoteError(f"HTTP status {status} without a readable error", status=status)
    code = str(error.get("code", RemoteError.code))
    message = str(error.get("message", ""))
    details = error.get("details")
    known = _BY_CODE.get(code) or _FAMILY_BY_STATUS.get(status, RemoteError)
    rebuilt = known.__new__(known)
    Exception.__init__(rebuilt, message)
    rebuilt.message, rebuilt.code, rebuilt.status = message, code, status
    rebuilt.details = details if isinstance(details, dict) else {}
    if isinstance(rebuilt, BusyError):
        rebuilt.retry_after_s = _seconds(rebuilt.details.get("retry_after_s"))
    return rebuilt


def _seconds(value: Any) -> float:
    """How long another node says to wait, within bounds; the least where it says nothing that can be taken."""
    if type(value) not in (int, float) or not 0 <= value <= MAX_RETRY_AFTER_S:
        return LEAST_RETRY_AFTER_S
    return float(value)


_FAMILY_BY_STATUS: dict[int, type[GridLedgerError]] = {
    family.status: family
    for family in (
        InputError,
        AuthenticationError,
        PermissionDeniedError,
        NotFoundError,
        ConflictError,
        LimitError,
        BusyError,
        UnavailableError,
        TimeoutExceeded,
    )
}
