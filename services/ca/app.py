"""Wiring of the CA service."""

from __future__ import annotations

import asyncio
import logging
import signal
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager, closing
from functools import partial
from typing import Any

from gridledger.errors import GridLedgerError
from gridledger.identity.msp import Identity
from gridledger.web import (
    Limits,
    ServerSettings,
    ServerTLS,
    TLSFiles,
    WebServer,
    admins_and,
    background,
    by_certificate,
    create_app,
)
from services.ca.api_description import DESCRIPTION
from services.ca.ca_server import CAServer
from services.ca.routes import OPEN_ROUTES, make_router
from services.ca.settings import CASettings

_log = logging.getLogger(__name__)

Reread = Callable[[], CASettings]
"""Reads the service's settings again."""


@asynccontextmanager
async def open_server(settings: CASettings, *, reread: Reread | None = None) -> AsyncIterator[WebServer]:
    """The certificate authorities of all organisations, ready to serve.

    At SIGHUP the settings are read again, and further organisations are hosted; all else needs a restart.
    """
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
            may_read_metrics=partial(_may_read_metrics, ca, settings),
        )
        app.include_router(make_router(ca))
        roots = [one.root_pem for one in ca.organisations]
        tls = ServerTLS(TLSFiles(ca.tls_certificate, ca.tls_key, roots))
        async with background(_host_more(ca, tls, reread or (lambda: settings))):
            yield WebServer(app, ServerSettings(settings.host, settings.port, tls))


async def _host_more(ca: CAServer, tls: ServerTLS, reread: Reread) -> None:
    """Until cancelled: host at each SIGHUP the organisations that are new in the settings. Where that fails, its log
    says why, and the service goes on."""
    loop, told = asyncio.get_running_loop(), asyncio.Event()
    loop.add_signal_handler(signal.SIGHUP, told.set)
    try:
        while True:
            await told.wait()
            told.clear()
            try:
                again = await asyncio.to_thread(reread)
                for one in await asyncio.to_thread(ca.host, again.organisations):
                    tls.extend_roots(one.root_pem)
                    _log.info("hosting the CA of %s from now on", one.name)
            except (GridLedgerError, OSError) as error:
                _log.error("further organisations cannot be hosted: %s", error)
    finally:
        loop.remove_signal_handler(signal.SIGHUP)


def _may_read_metrics(ca: CAServer, settings: CASettings, caller: Identity) -> bool:
    return admins_and(settings.metrics_readers, [one.mspid for one in ca.organisations])(caller)


def _health(ca: CAServer) -> Mapping[str, Any]:
    return {"status": "ok", "organisations": [one.name for one in ca.organisations]}
