"""Wiring of the orderer service."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from functools import partial
from random import SystemRandom
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
from services.orderer.api_description import DESCRIPTION
from services.orderer.opening import open_orderer
from services.orderer.orderer import Orderer
from services.orderer.reserves import reserves
from services.orderer.routes import make_router, plain_routes
from services.orderer.settings import OrdererSettings


@asynccontextmanager
async def open_server(settings: OrdererSettings) -> AsyncIterator[WebServer]:
    """One orderer, ready to serve; it stops when its consensus engine fails."""
    tls = ServerTLS(TLSFiles(settings.identity / "cert.pem", settings.identity / "key.pem", [settings.roots]))
    async with open_orderer(settings, clock_us=_clock_us, random=SystemRandom(), tls=tls) as orderer:
        limits = Limits(
            max_body_bytes=settings.limits.max_raft_body_bytes,
            max_requests=settings.limits.max_requests,
            max_streams=settings.limits.max_streams,
        )
        app = create_app(
            "orderer",
            by_certificate(orderer.authenticate),
            limits,
            partial(_health, orderer),
            node=settings.name,
            description=DESCRIPTION,
            reserve_of=reserves(orderer),
            may_read_metrics=own_admins_and(settings.metrics_readers, orderer.is_own_admin),
        )
        app.add_plain_routes(plain_routes(orderer))
        app.include_router(make_router(orderer))
        orderer.local.trust = tls.extend_roots
        orderer.local.trust(orderer.local.roots_pem)
        async with background(orderer.run(), orderer.local.follow()):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


def _health(orderer: Orderer) -> Mapping[str, Any]:
    if orderer.broken_channels():
        return {"status": "broken"}  # the log says which and why, as do /metrics and an admin's /status
    removed = orderer.removed_channels()
    if removed and len(removed) == len(orderer.channels):
        return {"status": "removed"}
    leaders = [
        orderer.consensus.leader(name)
        for name, channel in orderer.channels.items()
        if name not in removed and orderer.votes_in(channel)
    ]
    return {"status": "ok" if all(leaders) else "electing"}


def _clock_us() -> int:
    return time.time_ns() // 1000
