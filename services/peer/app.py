"""Wiring of the peer service."""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from gridledger.web import (
    Limits,
    ServerSettings,
    ServerTLS,
    TLSFiles,
    WebServer,
    background,
    by_certificate,
    create_app,
    own_admins_and,
)
from services.peer.api_description import DESCRIPTION
from services.peer.opening import open_peer
from services.peer.reserves import reserves
from services.peer.routes import make_router, plain_routes
from services.peer.settings import PeerSettings


@asynccontextmanager
async def open_server(settings: PeerSettings) -> AsyncIterator[WebServer]:
    """One peer, ready to serve; it stops when a committer ends."""
    tls = ServerTLS(TLSFiles(settings.identity / "cert.pem", settings.identity / "key.pem", [settings.roots]))
    async with open_peer(settings, tls) as (peer, committers):
        edge = settings.edge
        limits = Limits(
            max_body_bytes=max(edge.max_body_bytes, edge.max_package_bytes),
            max_requests=edge.max_requests,
            max_streams=edge.max_streams,
        )
        app = create_app(
            "peer",
            by_certificate(peer.authenticate),
            limits,
            _health,
            node=settings.name,
            description=DESCRIPTION,
            reserve_of=reserves(peer),
            may_read_metrics=own_admins_and(settings.metrics_readers, peer.is_own_admin),
        )
        app.add_plain_routes(plain_routes(peer))
        app.include_router(make_router(peer))
        async with background(peer.follow_configs(), peer.local.follow(), committers.run()):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


def _health() -> Mapping[str, Any]:
    return {"status": "ok"}
