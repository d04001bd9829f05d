"""Errors of the REST bridge."""

from __future__ import annotations

from gridledger.errors import AuthenticationError, NotFoundError


class TokenRequired(AuthenticationError):
    """No bearer token came, or one that no client has."""

    code = "TOKEN_REQUIRED"


class IdentityUnknown(NotFoundError):
    """The bridge holds no identity of this name, or this client may not act as it."""

    code = "IDENTITY_UNKNOWN"
