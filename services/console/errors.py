"""Errors of the console, as branches of the one tree."""

from __future__ import annotations

from gridledger.errors import AuthenticationError, PermissionDeniedError


class SessionRequired(AuthenticationError):
    """The request comes with no session: nobody has logged in, or the session has ended."""

    code = "SESSION_REQUIRED"


class LoginRefused(AuthenticationError):
    """The token of a login is none, or has been used, or is too old."""

    code = "LOGIN_REFUSED"


class ForgeryRefused(PermissionDeniedError):
    """A request that changes something does not come from a page of this console."""

    code = "FORGERY_REFUSED"
