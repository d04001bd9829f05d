"""The CA's errors, as branches of the one tree."""

from __future__ import annotations

from gridledger.errors import AuthenticationError, BusyError, ConflictError, InputError, PermissionDeniedError


class MalformedRequest(InputError):
    """A certificate signing request that cannot be read, is not signed by its own key, or has a key of another kind."""

    code = "MALFORMED_CSR"


class WrongSecret(AuthenticationError):
    """No identity has this id and this secret."""

    code = "WRONG_SECRET"


class TooManyWrongSecrets(BusyError):
    """Too many wrong secrets came from the caller's address, for whichever ids; a secret that is beyond guessing is let
    in all the same."""

    code = "TOO_MANY_WRONG_SECRETS"


class EnrollmentsExhausted(PermissionDeniedError):
    """The secret has been used as often as it may."""

    code = "ENROLLMENTS_EXHAUSTED"


class IdentityRevoked(PermissionDeniedError):
    """The identity was revoked and gets no more certificates."""

    code = "IDENTITY_REVOKED"


class IdentityExists(ConflictError):
    """An identity with this id is registered already."""

    code = "IDENTITY_EXISTS"


class NotARegistrar(PermissionDeniedError):
    """The caller's certificate does not carry the attribute that this needs, or is another organisation's."""

    code = "NOT_A_REGISTRAR"
