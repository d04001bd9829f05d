"""Wiring of the peer service."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from fastapi import FastAPI

from gridledger.errors import GridLedgerError
from gridledger.identity.certificate import Certificate
from gridledger.web import Limits, ServerSettings, ServerTLS, TLSFiles, create_app, serve
from services.peer.committer.child import CommitProcess
from services.peer.peer import Peer, open_peer
from services.peer.routes import make_router, plain_routes
from services.peer.settings import PeerSettings

_log = logging.getLogger(__name__)


async def serve_peer(settings: PeerSettings) -> None:
    """Run one peer until it is told to stop, or its committer ends."""
    opened: list[Peer] = []
    failures: list[BaseException] = []

    def authenticate(certificate: Certificate) -> Any:
        return opened[0].authenticate(certificate)

    def health() -> Mapping[str, Any]:
        if not opened:
            return {"status": "starting"}
        heights = {channel.name: channel.height for channel in opened[0].channels.all()}
        return {"status": "ok", "heights": heights}

    def ended(task: asyncio.Task[None]) -> None:
        """Stop the service when what must not end has ended. The lifespan's end raises the cause."""
        if not task.cancelled() and (error := task.exception()) is not None:
            failures.append(error)
            _log.error("%s", error, exc_info=None if isinstance(error, GridLedgerError) else error)
            signal.raise_signal(signal.SIGTERM)

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with open_peer(settings, tls) as (peer, processes):
            opened.append(peer)
            application.add_plain_routes(plain_routes(peer))
            app.include_router(make_router(peer))
            background = [asyncio.create_task(work) for work in (peer.follow_configs(), *_watches(processes))]
            for task in background:
                task.add_done_callback(ended)
            _log.info("peer %s serves %s", settings.name, ", ".join(settings.channels))
            try:
                yield
            finally:
                for task in background:
                    task.cancel()
                await asyncio.gather(*background, return_exceptions=True)
        if failures:
            raise failures[0]

    files = TLSFiles(settings.identity / "cert.pem", settings.identity / "key.pem", [settings.roots])
    tls = ServerTLS(files)
    edge = settings.edge
    limits = Limits(
        max_body_bytes=max(edge.max_body_bytes, edge.max_package_bytes),
        max_requests=edge.max_requests,
        max_streams=edge.max_streams,
    )
    application = create_app("peer", authenticate, limits, health, node=settings.name, lifespan=lifespan)
    await serve(application, ServerSettings(settings.host, settings.port, tls))


def _watches(processes: list[CommitProcess]) -> list[Any]:
    return [process.watch() for process in processes]
