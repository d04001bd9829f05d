"""Errors of the HTTP edge, as branches of the one tree."""

from __future__ import annotations

from gridledger.errors import AuthenticationError, InputError, LimitError, NotFoundError, PermissionDeniedError


class ClientCertificateRequired(AuthenticationError):
    """The connection shows no client certificate, and this route needs one."""

    code = "CLIENT_CERTIFICATE_REQUIRED"


class BodyTooLarge(LimitError):
    """The request's body is beyond the edge's bound, or the route's."""

    code = "BODY_TOO_LARGE"


class RouteNotFound(NotFoundError):
    """No route has this path."""

    code = "ROUTE_NOT_FOUND"


class MethodNotAllowed(InputError):
    """A route has this path, but does not take the method."""

    code = "METHOD_NOT_ALLOWED"
    status = 405


class WrongHost(PermissionDeniedError):
    """The Host header names another machine: a page in a browser may be calling."""

    code = "WRONG_HOST"
