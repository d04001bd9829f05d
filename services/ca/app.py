"""Wiring of the CA service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

from gridledger.web import Limits, ServerSettings, TLSFiles, WebServer, admins_and, by_certificate, create_app
from services.ca.api_description import DESCRIPTION
from services.ca.ca_server import CAServer
from services.ca.routes import OPEN_ROUTES, make_router
from services.ca.settings import CASettings


@asynccontextmanager
async def open_server(settings: CASettings) -> AsyncIterator[WebServer]:
    """The certificate authorities of all organisations, ready to serve."""
    with closing(CAServer(settings)) as ca:
        limits = Limits(max_body_bytes=settings.limits.max_body_bytes, max_requests=settings.limits.max_requests)
        app = create_app(
            "ca",
            by_certificate(ca.identify),
            limits,
            partial(_health, ca),
            node=settings.name,
            open_routes=OPEN_ROUTES,
            description=DESCRIPTION,
            may_read_metrics=admins_and(settings.metrics_readers, [one.mspid for one in ca.organisations]),
        )
        app.include_router(make_router(ca))
        roots = [one.root_pem for one in ca.organisations]
        tls = TLSFiles(ca.tls_certificate, ca.tls_key, roots)
        yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


def _health(ca: CAServer) -> Mapping[str, Any]:
    return {"status": "ok", "organisations": [one.name for one in ca.organisations]}
