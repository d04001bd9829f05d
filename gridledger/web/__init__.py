"""The HTTP edge that all services share: mutual TLS, the caller's certificate, limits, errors, health, metrics.

A service makes its application with :func:`create_app`, adds its routers, and is run by :func:`run_service`.
Routes take a plain ``Request``: the caller is ``request.state.caller``, the body comes from :func:`read_body`, and
errors are raised.
"""

from __future__ import annotations

from gridledger.shares import Pool
from gridledger.web.app import (
    Application,
    Health,
    WholeNumber,
    create_app,
    json_response,
    read_body,
)
from gridledger.web.call_stream import CallHandler, CallStream
from gridledger.web.edge import Authenticator, Identify, Limits, Reserve, by_certificate
from gridledger.web.errors import BodyTooLarge, ClientCertificateRequired, MethodNotAllowed, RouteNotFound, WrongHost
from gridledger.web.members import Members
from gridledger.web.metrics_access import admins_and, own_admins_and
from gridledger.web.own_host import OwnHost
from gridledger.web.participation import participation_routes
from gridledger.web.plain_routes import PlainRequest, PlainRoute, unless_disconnected
from gridledger.web.server import ServerSettings, WebServer, bind, serve
from gridledger.web.service import background, run_service, settings_file
from gridledger.web.stream_response import StreamResponse
from gridledger.web.tls import ServerTLS, TLSFiles

__all__ = [
    "Application",
    "Authenticator",
    "BodyTooLarge",
    "CallHandler",
    "CallStream",
    "ClientCertificateRequired",
    "Health",
    "Identify",
    "Limits",
    "Members",
    "MethodNotAllowed",
    "OwnHost",
    "PlainRequest",
    "PlainRoute",
    "Pool",
    "Reserve",
    "RouteNotFound",
    "ServerSettings",
    "ServerTLS",
    "StreamResponse",
    "TLSFiles",
    "WebServer",
    "WholeNumber",
    "WrongHost",
    "admins_and",
    "background",
    "bind",
    "by_certificate",
    "create_app",
    "json_response",
    "own_admins_and",
    "participation_routes",
    "read_body",
    "run_service",
    "serve",
    "settings_file",
    "unless_disconnected",
]
