"""Wiring of the REST bridge."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from gridledger.web import Limits, ServerSettings, TLSFiles, WebServer, create_app
from services.rest.api_description import DESCRIPTION
from services.rest.bridge import open_bridge
from services.rest.callers import Callers
from services.rest.routes import OPEN_ROUTES, make_router
from services.rest.settings import RestSettings
from services.rest.tokens import Tokens
from services.rest.voltage_stability import VoltageStability


@asynccontextmanager
async def open_server(settings: RestSettings) -> AsyncIterator[WebServer]:
    """The bridge, ready to serve."""
    tokens = Tokens(settings.tokens)
    tokens.open(on_loopback=settings.on_loopback)
    tls = TLSFiles(settings.tls.cert, settings.tls.key, []) if settings.tls is not None else None
    async with open_bridge(settings) as bridge:
        bounds = settings.limits
        limits = Limits(bounds.max_body_bytes, bounds.max_requests, bounds.max_streams)
        callers = Callers(settings, tokens)
        app = create_app(
            "rest",
            callers.identify,
            limits,
            node=settings.name,
            open_routes=OPEN_ROUTES,
            description=DESCRIPTION,
            may_read_metrics=lambda client: client.name in settings.metrics_readers,
        )
        app.include_router(make_router(bridge, VoltageStability(bridge, settings.data), bounds))
        yield WebServer(app, ServerSettings(settings.host, settings.port, tls))
