"""Wiring of the orderer service."""

from __future__ import annotations

import asyncio
import signal
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager, suppress
from random import SystemRandom
from typing import Any

from fastapi import FastAPI

from gridledger.identity.certificate import Certificate
from gridledger.web import Limits, ServerSettings, TLSFiles, create_app, serve
from services.orderer.orderer import Orderer, open_orderer
from services.orderer.routes import make_router, plain_routes
from services.orderer.settings import OrdererSettings


async def serve_orderer(settings: OrdererSettings) -> None:
    """Run one orderer until it is told to stop, or its consensus engine fails."""
    opened: list[Orderer] = []

    def authenticate(certificate: Certificate) -> Any:
        return opened[0].authenticate(certificate)

    def health() -> Mapping[str, Any]:
        groups = [opened[0].consensus.leader(name) for name in opened[0].channels] if opened else [None]
        return {"status": "ok" if all(groups) else "electing"}

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_orderer(settings, clock_us=_clock_us, random=SystemRandom()) as orderer:
            opened.append(orderer)
            application.add_plain_routes(plain_routes(orderer))
            app.include_router(make_router(orderer))
            running = asyncio.create_task(orderer.run())
            running.add_done_callback(_stop_on_failure)
            try:
                yield
            finally:
                running.cancel()
                with suppress(asyncio.CancelledError):
                    await running

    limits = Limits(
        max_body_bytes=settings.limits.max_raft_body_bytes,
        max_requests=settings.limits.max_requests,
        max_streams=settings.limits.max_streams,
    )
    application = create_app("orderer", authenticate, limits, health, node=settings.name, lifespan=lifespan)
    tls = TLSFiles(settings.identity / "cert.pem", settings.identity / "key.pem", [settings.roots])
    await serve(application, ServerSettings(settings.host, settings.port, tls))


def _stop_on_failure(task: asyncio.Task[None]) -> None:
    # A node whose log failed must not go on answering. The lifespan's end raises the cause.
    if not task.cancelled():
        signal.raise_signal(signal.SIGTERM)


def _clock_us() -> int:
    return time.time_ns() // 1000
