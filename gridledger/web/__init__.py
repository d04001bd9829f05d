"""What every service's HTTP edge shares: mutual TLS, the caller's certificate, limits, errors, health, metrics.

A service makes its application with :func:`create_app`, adds its routers, and runs ``run(serve(app, settings))``.
Routes take a plain ``Request``: the caller is ``request.state.caller``, the body comes from :func:`read_body`, and
errors are raised.
"""

from __future__ import annotations

from gridledger.web.app import (
    Application,
    Health,
    Lifespan,
    RouteNotFound,
    StreamResponse,
    WholeNumber,
    create_app,
    json_response,
    read_body,
)
from gridledger.web.call_stream import CallHandler, CallStream
from gridledger.web.edge import Authenticator, BodyTooLarge, ClientCertificateRequired, Limits, StreamLimit
from gridledger.web.plain_routes import PlainRequest, PlainRoute, unless_disconnected
from gridledger.web.server import EXIT_PORT_TAKEN, PortTaken, ServerSettings, WebServer, bind, run, serve
from gridledger.web.tls import ServerTLS, TLSFiles

__all__ = [
    "EXIT_PORT_TAKEN",
    "Application",
    "Authenticator",
    "BodyTooLarge",
    "CallHandler",
    "CallStream",
    "ClientCertificateRequired",
    "Health",
    "Lifespan",
    "Limits",
    "PlainRequest",
    "PlainRoute",
    "PortTaken",
    "RouteNotFound",
    "ServerSettings",
    "ServerTLS",
    "StreamLimit",
    "StreamResponse",
    "TLSFiles",
    "WebServer",
    "WholeNumber",
    "bind",
    "create_app",
    "json_response",
    "read_body",
    "run",
    "serve",
    "unless_disconnected",
]
